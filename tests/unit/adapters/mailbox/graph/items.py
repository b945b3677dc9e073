"""Items to be made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mta.model.mailbox_item import ItemRef, NewAttachment, NewItem, Participant, SentItem

STAMP = f"{'0' * 32} q1.0 abc"


def new_item(*attachments: NewAttachment, html: str = "<p>Hello", stamp: str = STAMP, **original: Any) -> NewItem:
    """A mail of Ann's to Bob."""
    ann = Participant("ann@example.com", "Ann")
    return NewItem(
        stamp=stamp,
        original=SentItem(
            ref=ItemRef("original"), message_id="<1@example.com>", subject="Hello",
            sent_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC), author=ann, sender=ann,
            to=(Participant("bob@example.net", "Bob"),), **original,
        ),
        mime=b"", message_id="<1@example.com>", subject="Hello", html=html, attachments=attachments,
    )  # fmt: skip
