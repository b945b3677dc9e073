"""Why a message was set aside: words for the log, the store and `mailbox list --set-aside`."""

from __future__ import annotations

from datetime import datetime

from mta.model.tracking import Entry, EntryState

TOO_LARGE = "too-large"
REFUSED = "refused-by-server"
"""The server does not give it to us."""
FAILS = "fails"
"""Our own fault, three times; the log has it."""
KILLS = "kills-us"
"""The process died over it twice."""

ATTEMPTS_MAX = 2
"""Attempts that were begun and not ended, after which a message is not looked into again."""


def aside_entry(
    organisation: str, mailbox: str, ref: str, *, reason: str, detail: str, at: datetime, message_id: str = ""
) -> Entry:
    """What the store notes of it. Its key is none that a message has: moved back, it is taken like any other."""
    return Entry(
        key=f"aside:{mailbox}:{ref}", organisation=organisation, mailbox=mailbox, message_id=message_id,
        content_hash="", state=EntryState.SET_ASIDE, reason=f"{reason}: {detail}" if detail else reason, at=at,
        sender="", direction="received",
    )  # fmt: skip
