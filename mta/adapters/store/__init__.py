"""The spool on SQLite."""
