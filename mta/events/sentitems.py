"""Sent Items jobs."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit, listed


def sent_item_job(
    job: str, *, mailbox: str, message_id: str, queue_id: str, state: str, reason: str, detail: str,
    server: str = "", is_news: bool = True, record: str = "",
) -> None:  # fmt: skip
    """A job was tried: how it stands. No news: it waits on for the same reason as before. `record`: whose mark it puts
    on.
    """
    emit(
        "info" if is_news else "debug", "sent-item", job=job, mailbox=mailbox, message_id=message_id,
        queue_id=queue_id, state=state, reason=reason, detail=detail, server=server, record=record or None,
    )  # fmt: skip


def sent_item_left_out(queue_id: str, *, mailboxes: Iterable[str], reason: str) -> None:
    """A copy went out, and no job was made to put it into Sent Items."""
    emit("warning", "sent-item-left-out", queue_id=queue_id, mailboxes=listed(mailboxes), reason=reason)


def sent_items_changed(operation: str, *, by: str, which: str, jobs: int) -> None:
    """An administrator has changed jobs."""
    emit("warning", "sent-items-changed", operation=operation, by=by, which=which, jobs=jobs)


def sent_items_ordered(order: str, *, by: str, servers: Iterable[str]) -> None:
    """An administrator has switched it on or off, paused or resumed it; `servers` are those resumed."""
    emit("warning", "sent-items-ordered", order=order, by=by, servers=listed(servers))


def mailbox_server_left_alone(
    server: str, *, reason: str, detail: str, for_s: float | None, connections: int | None
) -> None:
    """Its jobs wait, until somebody mends it where `for_s` is None. `connections`: how many at a time it stands now."""
    action = "mailbox-server-left-alone" if for_s is not None else "mailbox-server-stopped"
    emit(
        "warning" if for_s is not None else "error", action, server=server, reason=reason, detail=detail,
        for_s=None if for_s is None else round(for_s, 1), connections=connections,
    )  # fmt: skip


def mailbox_server_answers(server: str, *, reason: str) -> None:
    """After it was left alone for that reason."""
    emit("info", "mailbox-server-answers", server=server, was=reason)


def mailbox_server_resumed(server: str, *, reason: str) -> None:
    """It was stopped for that reason, and an administrator or another configuration has it tried again."""
    emit("info", "mailbox-server-resumed", server=server, was=reason)


def mailbox_server_unverified(server: str) -> None:
    """Said at each start and reload."""
    emit(
        "warning", "mailbox-server-unverified", server=server,
        what="tls: verify: false, so anybody on the way can read and change everything, passwords too",
    )  # fmt: skip


def mailbox_server_retires(server: str) -> None:
    """Exchange Web Services of Exchange Online."""
    emit(
        "warning", "mailbox-server-retires", server=server,
        what="Exchange Online blocks EWS since 1 October 2026 unless the tenant allows this app, and ends it on "
        "1 April 2027: use kind graph",
    )  # fmt: skip


def sent_items_forgotten(jobs: int) -> None:
    """Jobs that ended so long ago that nobody has to remember them."""
    emit("info", "sent-items-forgotten", jobs=jobs)
