"""Sent Items jobs."""

from __future__ import annotations

from mta.events.log import emit


def sent_item_job(
    job: str, *, mailbox: str, message_id: str, queue_id: str, state: str, reason: str, detail: str
) -> None:
    """A job was tried: how it stands."""
    emit(
        "info", "sent-item", job=job, mailbox=mailbox, message_id=message_id, queue_id=queue_id, state=state,
        reason=reason, detail=detail,
    )  # fmt: skip
