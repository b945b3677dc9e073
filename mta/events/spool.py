"""The queue on disk."""

from __future__ import annotations

from collections.abc import Sequence

from mta.events.log import emit


def spool_full(*, free: int, reserve: int) -> None:
    """No room above the reserve: senders get 452 4.3.1 and keep their mail until there is."""
    emit("error", "spool-full", free=free, reserve=reserve)


def spool_has_room(*, free: int) -> None:
    emit("info", "spool-has-room", free=free)


def spool_locked(*, by: str, waited_s: float) -> None:
    """Another program holds the database's lock: clients were told to come back."""
    emit("error", "spool-locked", by=by or "unknown", waited_s=round(waited_s, 1))


def spool_slow(*, waited_s: float) -> None:
    """A commit has been under way for so long: the disk, or a worker that was stopped in the midst of its own."""
    emit("error", "spool-slow", waited_s=round(waited_s, 1), outcome="mail is answered with 451 until it ends")


def spool_swift_again(*, slow_s: float) -> None:
    emit("info", "spool-swift-again", slow_s=round(slow_s, 1))


def spool_closed(*, error: str, again_in_s: float) -> None:
    """The queue on disk can't be used: mail is answered with 451, nothing is delivered from it."""
    outcome = "mail is answered with 451, what is queued waits"
    emit("error", "spool-closed", error=error, outcome=outcome, again_in_s=again_in_s)


def spool_opened(*, closed_s: float) -> None:
    emit("warning", "spool-opened", closed_s=round(closed_s, 1))


def spool_set_aside(folder: object) -> None:
    """A damaged queue was moved away with its bodies; a fresh one is begun."""
    mend = "`stampline queue recover` brings back what can be read in it"
    emit("error", "spool-set-aside", folder=str(folder), mend=mend)


def queue_recovered(folder: str, *, by: str, brought_back: Sequence[str], unreadable: Sequence[str]) -> None:
    """Messages of a queue that was set aside; 100 queue ids a line."""
    for start in range(0, max(len(brought_back), len(unreadable), 1), 100):
        emit(
            "warning", "queue-recovered", folder=folder, by=by, count=len(brought_back),
            unreadable_count=len(unreadable), queue_ids=",".join(brought_back[start : start + 100]),
            unreadable=",".join(unreadable[start : start + 100]),
        )  # fmt: skip


def erasure_begun(person: str, *, by: str, records: str) -> None:
    """A person is taken out of the store; `person` is a digest of the addresses, see mta.model.erasure."""
    emit("warning", "erasure-begun", person=person, by=by, records=records)


def erasure_done(person: str, *, by: str, what: str, kept: int) -> None:
    """What was removed or changed, and how many things that name the person were kept."""
    emit("warning", "erasure-done", person=person, by=by, what=what, kept=kept)


def body_lost(queue_id: str, *, error: str) -> None:
    """A message in the queue without its bytes: tried again, for a backup may bring them; then its sender is told."""
    mend = "put the file back from a backup; else the sender gets a DSN when the message expires"
    emit("error", "body-lost", queue_id=queue_id, error=error, mend=mend)
