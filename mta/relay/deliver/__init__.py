"""Variants in; next hop, connection, result per recipient, DSN out."""
