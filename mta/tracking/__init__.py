"""Tracked conversations: monitored mailboxes become records. The way is in mta/README.md."""
