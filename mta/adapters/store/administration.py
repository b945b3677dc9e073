"""What administrators do to the queue, by filter: hold, release, retry, delete."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mta.adapters.store.operations import Key, end_deliveries
from mta.adapters.store.rows import OpenRecipient, microseconds, recipients_json
from mta.adapters.store.statements import SQL, json_answer
from mta.adapters.store.writer import Operation
from mta.model.delivery import State
from mta.model.queue import QueueFilter

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
    """What one transaction did: how many deliveries, the last of them, and body files without a message now."""

    deliveries: int
    last: Key
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change(Operation[Changed]):
    """Give the next matching deliveries (those after `after`) a state and a time, or (state None) delete them.

    The filter is judged inside the transaction, so that nothing is touched that has changed since somebody looked. With
    a recipient in it, only that recipient's part of a delivery is meant: deleting or holding one addressee's copy must
    not take the others' with it.
    """

    which: Which
    state: State | None
    due_at: int | None
    divides: bool = True
    """False: a delivery is changed as a whole, whichever of its recipients the filter names."""
    after: Key = (0, 0)

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Change]) -> Sequence[Changed]:
        return [_carry_out(cursor, op) for op in batch]


def _carry_out(cursor: sqlite3.Cursor, op: Change) -> Changed:
    message, part = op.after
    values = {**op.which.values, "message": message, "part": part, "limit": CHUNK}
    found = cursor.execute(op.which.statement("matching_deliveries"), values).fetchall()
    whole: list[Key] = []
    for message, part, column, _ in found:
        meant, others = _divided(cursor, column, op.which.values.get("recipient") if op.divides else None)
        if op.state is None and others:
            cursor.execute(SQL["set_recipients"], (recipients_json(others), message, part))
        elif op.state is None:
            whole.append((message, part))
        else:
            changed = _split_off(cursor, (message, part), meant, others) if others else part
            cursor.execute(SQL["change_delivery"], (op.state.value, op.due_at, message, changed))
    files = end_deliveries(cursor, whole, [row[3] for row in found if row[3] is not None])
    return Changed(len(found), found[-1][:2] if found else op.after, files)


def _divided(cursor: sqlite3.Cursor, column: str, recipient: object) -> tuple[list[OpenRecipient], list[OpenRecipient]]:
    """A delivery's recipients: those who are meant, and the others."""
    everybody: list[OpenRecipient] = json.loads(column)
    if recipient is None:
        return everybody, []
    positions = set(json_answer(cursor, "recipients_matching", (column, recipient)))
    return [r for r in everybody if r[0] in positions], [r for r in everybody if r[0] not in positions]


def _split_off(
    cursor: sqlite3.Cursor, key: Key, meant: Sequence[OpenRecipient], others: Sequence[OpenRecipient]
) -> int:
    """Move some recipients into a delivery of their own; gives its part."""
    cursor.execute(SQL["set_recipients"], (recipients_json(others), *key))
    ((part,),) = cursor.execute(SQL["split_delivery"], (recipients_json(meant), *key)).fetchall()
    return int(part)
