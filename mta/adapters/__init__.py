"""Adapters: each fulfils a port with something real (SQLite, SMTP, a YAML file)."""
