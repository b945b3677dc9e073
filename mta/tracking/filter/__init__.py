"""Which messages are left out, and why."""
