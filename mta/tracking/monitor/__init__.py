"""Monitored mailboxes: when they are polled, what is fetched, and what becomes of it on the server."""
