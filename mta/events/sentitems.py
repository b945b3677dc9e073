"""Sent Items jobs."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit, listed


def sent_item_job(
    job: str, *, mailbox: str, message_id: str, queue_id: str, state: str, reason: str, detail: str
) -> None:
    """A job was tried: how it stands."""
    emit(
        "info", "sent-item", job=job, mailbox=mailbox, message_id=message_id, queue_id=queue_id, state=state,
        reason=reason, detail=detail,
    )  # fmt: skip


def sent_items_changed(operation: str, *, by: str, which: str, jobs: int) -> None:
    """An administrator has changed jobs."""
    emit("warning", "sent-items-changed", operation=operation, by=by, which=which, jobs=jobs)


def sent_items_ordered(order: str, *, by: str, servers: Iterable[str]) -> None:
    """An administrator has switched it on or off, paused or resumed it; `servers` are those resumed."""
    emit("warning", "sent-items-ordered", order=order, by=by, servers=listed(servers))
