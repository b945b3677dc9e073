"""Servers that we write ourselves, because the real ones can't be started here; each runs as a process."""
