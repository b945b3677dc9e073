"""What the lines about one message say: where it came from, and what became of each recipient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from mta.model.delivery import State
from mta.model.queue import QueuedDelivery, QueueEntry
from mta.trace.log_lines import LogLine
from mta.trace.search import BIRTHS, Found

Outcome = Literal["delivered", "failed", "dropped", "deleted", "redirected", "held", "queued", "waiting", "unknown"]
"""Final, but for the last four: `queued` and `held` are the queue's word, `waiting` is the log's; `unknown`: the log
does not tell, and it is not in the queue."""
_FINAL = frozenset({"delivered", "failed", "dropped", "deleted", "redirected"})


@dataclass(slots=True)
class Fate:
    """What became of one recipient."""

    address: str
    outcome: Outcome = "unknown"
    at: datetime | None = None
    """Of the line that says so; of what is queued, of its last attempt."""
    next_hop: str = ""
    remote: str = ""
    reply: str = ""
    attempts: int = 0
    due_at: datetime | None = None
    """When it is tried again, or given up if it is held."""

    @property
    def is_final(self) -> bool:
        return self.outcome in _FINAL


@dataclass(slots=True)
class Life:
    """One message."""

    queue_id: str
    lines: Sequence[LogLine]
    """In the order of time."""
    fates: dict[str, Fate] = field(default_factory=dict)
    """By the address in lower case."""
    birth: LogLine | None = None
    """The line of that one that says so."""
    entry: QueueEntry | None = None
    """What of it is in the queue."""

    @property
    def accepted(self) -> LogLine | None:
        return next((line for line in self.lines if line.action == "accepted"), None)

    @property
    def began_at(self) -> datetime | None:
        accepted = self.accepted
        if accepted is not None:
            return accepted.at
        if self.birth is not None:
            return self.birth.at
        if self.entry is not None:
            return self.entry.accepted_at
        return self.lines[0].at if self.lines else None

    @property
    def parent(self) -> str:
        """The message that it follows from, as a DSN or a notice does."""
        return "" if self.birth is None else self.birth.queue_id

    @property
    def sender(self) -> str:
        """The reverse-path; `<>` for the null one, "" where nothing tells it."""
        accepted = self.accepted
        if accepted is not None:
            return accepted.text("sender")
        return "" if self.entry is None else self.entry.reverse_path or "<>"

    @property
    def message_id(self) -> str:
        accepted = self.accepted
        if accepted is not None:
            return accepted.text("message_id")
        return "" if self.entry is None else self.entry.message_id


def lives_of(found: Found, entries: Iterable[QueueEntry], is_queue_known: bool) -> dict[str, Life]:
    """The messages of a search, and of the queue, by queue id, oldest first.

    `is_queue_known`: what is not among `entries` is not in the queue.
    """
    by_id = {entry.queue_id: entry for entry in entries}
    lives = {
        queue_id: Life(queue_id, found.lines.get(queue_id, ()), {}, found.births.get(queue_id), by_id.get(queue_id))
        for queue_id in dict.fromkeys((*found.lines, *found.births, *by_id))
    }
    for life in lives.values():
        if life.birth is not None and life.birth.action in BIRTHS:
            for address in life.birth.items("to") or life.birth.items("recipients"):
                _fate(life, address).outcome = "waiting"
        for line in life.lines:
            _note(life, line)
        if life.entry is not None:
            for delivery in life.entry.deliveries:
                _note_queued(life, delivery)
        elif is_queue_known:
            for fate in life.fates.values():
                if not fate.is_final:
                    fate.outcome = "unknown"
    began = {queue_id: life.began_at for queue_id, life in lives.items()}
    order = sorted((at, queue_id) for queue_id, at in began.items() if at is not None)
    return {queue_id: lives[queue_id] for _, queue_id in order}


def _note(life: Life, line: LogLine) -> None:
    """Bring the fates up to date with one line."""
    match line.action:
        case "accepted":
            for address in line.items("recipients"):
                _fate(life, address).outcome = "waiting"
        case "recipient-added":
            _fate(life, line.text("recipient")).outcome = "waiting"
            if instead := line.text("in_place_of"):
                _end(_fate(life, instead), "redirected", line)
        case "delivered" | "failed" | "dropped":
            for address in line.items("recipients"):
                _end(_fate(life, address), line.action, line)
        case "held":
            for address in line.items("recipients"):
                _end(_fate(life, address), "held", line)
        case "deferred":
            for address in line.items("recipients"):
                _end(_fate(life, address), "waiting", line)
                _fate(life, address).due_at = _moment(line.text("due_at"))
        case "queue-changed":
            _note_change(life, line)


def _note_change(life: Life, line: LogLine) -> None:
    """What an administrator did; a filter's recipient is meant alone."""
    now: dict[str, Outcome] = {"delete": "deleted", "hold": "held", "release": "waiting"}
    outcome = now.get(line.text("what"))
    if outcome is None:
        return
    terms = [term.partition("=") for term in line.text("which").split()]
    wanted = [value.lower() for name, _, value in terms if name == "recipient"]
    for key, fate in life.fates.items():
        if not fate.is_final and all(fnmatchcase(key, pattern.replace("[", "[[]")) for pattern in wanted):
            _end(fate, outcome, line)


def _end(fate: Fate, outcome: Outcome, line: LogLine) -> None:
    fate.outcome, fate.at, fate.due_at = outcome, line.at, None
    fate.next_hop = line.text("next_hop") or fate.next_hop
    fate.remote, fate.reply = line.text("remote"), line.text("reply") or line.text("reason")
    attempts = line.text("attempts")
    if attempts.isdecimal():
        fate.attempts = int(attempts)


def _note_queued(life: Life, delivery: QueuedDelivery) -> None:
    """The queue knows better than the log what is still there."""
    for recipient in delivery.recipients:
        fate = _fate(life, str(recipient.address))
        fate.outcome = "held" if delivery.state is State.HELD else "queued"
        fate.next_hop, fate.attempts, fate.due_at = delivery.next_hop, delivery.attempts, delivery.due_at
        fate.reply = recipient.last_reply or fate.reply


def _fate(life: Life, address: str) -> Fate:
    return life.fates.setdefault(address.lower(), Fate(address))


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
