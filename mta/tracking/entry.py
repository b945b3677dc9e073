"""The row that says what became of a message."""

from __future__ import annotations

from datetime import datetime

from mta.model.tracking import Entry, EntryState
from mta.model.transaction import Transaction
from mta.tracking.incoming import Incoming


def entry_of(
    incoming: Incoming, state: EntryState, reason: str, now: datetime, transaction: Transaction | None = None
) -> Entry:
    """The entry of a message that was read."""
    return Entry(
        key=incoming.key,
        organisation=incoming.organisation,
        mailbox=incoming.mailbox,
        message_id=incoming.message_id,
        content_hash=incoming.content_hash,
        state=state,
        reason=reason,
        at=now,
        sender=incoming.author_key,
        direction="sent" if incoming.is_sent else "received",
        transaction=transaction,
    )
