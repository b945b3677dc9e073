"""Monitored mailboxes."""
