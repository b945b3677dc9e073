"""Business rules: what an accepted message does to records."""
