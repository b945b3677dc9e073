"""Tracking: monitored mailboxes, what became of their messages, records, tasks."""

from __future__ import annotations
