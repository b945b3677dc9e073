"""Patterns that rules look for in texts: run by RE2 in linear time."""
