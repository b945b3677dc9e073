"""SMTP in: sessions, who may relay, limits, loop detection. Out: an accepted envelope and body."""
