"""A wall clock that can be set, for processes that have this folder on PYTHONPATH."""
