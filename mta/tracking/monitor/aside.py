"""Why a message was set aside: words for the log, the store and `mailbox messages`."""

from __future__ import annotations

import re
from datetime import datetime

from mta.model.tracking import Entry, EntryState

TOO_LARGE = "too-large"
REFUSED = "refused-by-server"
"""The server does not give it to us."""
NOT_GIVEN = "server-fails"
"""The server fails at it poll after poll, and answers for all else."""
FAILS = "fails"
"""Our own fault, three times; the log has it."""
KILLS = "kills-us"
"""The process died over it twice, with nothing else in hand."""

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:\s*(<[\x21-\x3b\x3d\x3f-\x7e]{1,990}>)", re.IGNORECASE | re.MULTILINE)
_LOOKED_AT = 65_536
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


def message_id_of(data: bytes) -> str:
    """The Message-ID of what can't be read otherwise, so that it is found in logs; "" for none."""
    match = _MESSAGE_ID.search(data[:_LOOKED_AT])
    return match[1].decode("ascii") if match is not None else ""
