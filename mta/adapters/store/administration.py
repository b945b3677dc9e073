"""What administrators do to the queue, by filter: hold, release, retry, delete."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mta.adapters.store.operations import end_deliveries
from mta.adapters.store.rows import microseconds
from mta.adapters.store.statements import SQL
from mta.adapters.store.writer import Operation
from mta.model.delivery import QueueFilter, State

CHUNK = 200
"""Deliveries that one transaction changes, so that a large queue is worked without holding up mail."""


@dataclass(frozen=True, slots=True)
class Which:
    """A filter as SQL conditions and their values."""

    conditions: tuple[str, ...]
    values: dict[str, object]

    def statement(self, name: str) -> str:
        """The named statement with these conditions."""
        return SQL[name].replace("{which}", " AND ".join(self.conditions) or "true")


def conditions(which: QueueFilter, now: datetime, state: State | None = None) -> Which:
    """Translate a filter; `state` narrows it. Addresses match without regard to case, `*` stands for anything."""
    states = {wanted for wanted in (which.state, state) if wanted is not None}
    if len(states) > 1:
        return Which(("false",), {"now": microseconds(now)})
    wanted: dict[str, object] = {
        "queue_id": which.queue_id or None,
        "sender": "" if which.sender == "<>" else _pattern(which.sender),
        "recipient": _pattern(which.recipient),
        "next_hop": which.next_hop or None,
        "state": states.pop().value if states else None,
        "accepted_before": None
        if which.older_than_s is None
        else microseconds(now - timedelta(seconds=which.older_than_s)),
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    return Which(tuple(SQL[f"which_{name}"] for name in asked), {**asked, "now": microseconds(now)})


def _pattern(text: str) -> str | None:
    if not text:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


@dataclass(frozen=True, slots=True)
class Changed:
    """What one transaction did: how many deliveries, the last one's id, and body files without a name now."""

    deliveries: int = 0
    last: int = 0
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change(Operation[Changed]):
    """Give the next matching deliveries (ids above `above`) a state and a time, or (state None) delete them.

    The filter is judged inside the transaction, so that nothing is touched that has changed since somebody looked. With
    a recipient in it, only that recipient's part of a delivery is meant: deleting or holding one addressee's copy must
    not take the others' with it.
    """

    which: Which
    state: State | None
    due_at: int | None
    above: int = 0
    divides: bool = True
    """False: a delivery is changed as a whole, whichever of its recipients the filter names."""

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Change]) -> Sequence[Changed]:
        return [_carry_out(cursor, op) for op in batch]


def _carry_out(cursor: sqlite3.Cursor, op: Change) -> Changed:
    values = {**op.which.values, "above": op.above, "limit": CHUNK}
    found = cursor.execute(op.which.statement("matching_deliveries"), values).fetchall()
    whole = []
    for delivery, message in found:
        part = _part(cursor, delivery, op.which.values.get("recipient")) if op.divides else []
        if op.state is None and part:
            cursor.executemany(SQL["delete_recipient"], [(delivery, position) for position in part])
        elif op.state is None:
            whole.append((delivery, message))
        else:
            changed = _split_off(cursor, delivery, part) if part else delivery
            cursor.execute(SQL["change_delivery"], (op.state.value, op.due_at, changed))
    files = end_deliveries(cursor, whole) if whole else {}
    last = found[-1][0] if found else 0
    return Changed(len(found), last, tuple(name for names in files.values() for name in names))


def _part(cursor: sqlite3.Cursor, delivery: int, recipient: object) -> list[int]:
    """Positions of the recipients that are meant; empty where all are."""
    if recipient is None:
        return []
    meant = [position for (position,) in cursor.execute(SQL["recipients_matching"], (delivery, recipient))]
    (total,) = cursor.execute(SQL["count_recipients"], (delivery,)).fetchone()
    return meant if len(meant) < total else []


def _split_off(cursor: sqlite3.Cursor, delivery: int, positions: Sequence[int]) -> int:
    """Move recipients into a delivery of their own."""
    (new,) = cursor.execute(SQL["split_delivery"], (delivery,)).fetchone()
    cursor.executemany(SQL["move_recipient"], [(new, delivery, position) for position in positions])
    return int(new)
