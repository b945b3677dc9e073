"""What senders are told, and copies that go out in another form."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit


def dsn_queued(queue_id: str, *, dsn: str, to: object, next_hop: str) -> None:
    """The sender of a message (or the postmaster) is told what became of it; `dsn` is the report's queue id."""
    emit("info", "dsn-queued", queue_id=queue_id, dsn=dsn, to=str(to), next_hop=next_hop)


def own_message_lost(queue_id: str, *, recipients: Iterable[object], reply: str, message_id: str) -> None:
    """A DSN, notice or auto-response of ours can't be delivered. Nobody is told but whoever reads this."""
    emit(
        "warning", "own-message-lost", queue_id=queue_id, recipients=",".join(map(str, recipients)), reply=reply,
        message_id=message_id,
    )  # fmt: skip


def sent_otherwise(
    queue_id: str, *, is_unstamped: bool, group: int, reason: str, next_hop: str, recipients: int, breaks: int = 0
) -> None:
    """A next hop did not take a copy as it was, and takes it unstamped, or encoded otherwise.

    `breaks`: how many DKIM signatures of others may not be valid any more.
    """
    emit(
        "warning" if is_unstamped else "info", "sent-unstamped" if is_unstamped else "sent-recoded",
        queue_id=queue_id, group=group, reason=reason, next_hop=next_hop, recipients=recipients, breaks=breaks or None,
    )  # fmt: skip


def no_other_form(queue_id: str, *, group: int, reason: str, next_hop: str, why: str) -> None:
    """A next hop does not take a copy, and there is no form of it that it could take."""
    emit("warning", "no-other-form", queue_id=queue_id, group=group, reason=reason, next_hop=next_hop, why=why)
