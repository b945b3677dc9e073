"""What the writer carries out for the relay: accept, settle, lease and the like, whole batches at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mta.adapters.store.rows import MessageRows, pack_edits, storable
from mta.adapters.store.statements import SQL, RowInsert
from mta.adapters.store.writer import Operation
from mta.model.delivery import Settlement
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.ports.spool import LeaseLostError

_MESSAGES = RowInsert("insert_messages")
_BODIES = RowInsert("insert_bodies")
_DELIVERIES = RowInsert("insert_deliveries")
_RECIPIENTS = RowInsert("insert_recipients")


def json_list(values: Iterable[object]) -> str:
    """A list as one parameter, for json_each."""
    return json.dumps(list(values))


@dataclass(frozen=True, slots=True)
class Accept(Operation[frozenset[str]]):
    """Store a message; gives the once keys that it is the first to claim."""

    crash_before: ClassVar[str] = "before-commit"
    crash_after: ClassVar[str] = "after-commit"
    rows: MessageRows
    folder: Path
    """Where body files are."""
    now: int
    keys_until: int
    octets: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Accept]) -> Sequence[frozenset[str] | Exception]:
        there = [op.rows.file is None or (op.folder / op.rows.file).exists() for op in batch]
        accepted = [op for op, is_there in zip(batch, there, strict=True) if is_there]
        insert_messages(cursor, [op.rows for op in accepted])
        first = _claim_keys(cursor, accepted) if any(op.rows.once_keys for op in accepted) else {}
        return [
            first.get(op.rows.queue_id, frozenset()) if is_there else TemporaryError(INTERNAL_ERROR)
            for op, is_there in zip(batch, there, strict=True)
        ]


def insert_messages(cursor: sqlite3.Cursor, messages: Sequence[MessageRows]) -> None:
    """Insert messages with their deliveries; one whose recipients are all final leaves nothing."""
    message_id, delivery_id = cursor.execute(SQL["highest_ids"]).fetchone()
    rows, bodies = [], []
    deliveries: list[Sequence[object]] = []
    recipients: list[Sequence[object]] = []
    for message in messages:
        if not message.deliveries:
            continue
        message_id += 1
        rows.append((message_id, *message.columns))
        if message.file is None:
            bodies.append((message_id, message.inline))
        for delivery in message.deliveries:
            delivery_id += 1
            deliveries.append((delivery_id, message_id, *delivery.columns))
            recipients += [(delivery_id, *recipient) for recipient in delivery.recipients]
    _MESSAGES.run(cursor, rows)
    _BODIES.run(cursor, bodies)
    _DELIVERIES.run(cursor, deliveries)
    _RECIPIENTS.run(cursor, recipients)


def _claim_keys(cursor: sqlite3.Cursor, batch: Sequence[Accept]) -> dict[str, frozenset[str]]:
    """Queue id → keys that nobody held; of two messages in one batch, the first has the key."""
    wanted = json_list(dict.fromkeys(key for op in batch for key in op.rows.once_keys))
    cursor.execute(SQL["forget_expired_keys"], (wanted, batch[0].now))
    claimed = {key for (key,) in cursor.execute(SQL["claim_keys"], (batch[0].keys_until, wanted)).fetchall()}
    first = {}
    for op in batch:
        mine = claimed.intersection(op.rows.once_keys)
        claimed -= mine
        first[op.rows.queue_id] = frozenset(mine)
    return first


@dataclass(frozen=True, slots=True)
class Settle(Operation[tuple[str, ...]]):
    """Write down what became of a leased delivery; gives the body files that no row names any more."""

    crash_before: ClassVar[str] = "before-settle"
    crash_after: ClassVar[str] = "after-settle"
    settlement: Settlement
    due_at: int
    owner: str
    spawned: tuple[MessageRows, ...] = ()
    octets: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Settle]) -> Sequence[tuple[str, ...] | Exception]:
        leased = _leased(cursor, batch)
        remaining = _open_recipients(cursor, [delivery for delivery, _ in leased.values()])
        ended: list[int] = []
        for number, (delivery, message) in leased.items():
            op = batch[number]
            left = {position: v for position, v in remaining[delivery].items() if position not in op.settlement.final}
            if left:
                _defer(cursor, op, delivery, message, left)
            else:
                ended.append(number)
        files = end_deliveries(cursor, {leased[number] for number in ended}) if ended else {}
        spawned = [rows for number in leased for rows in batch[number].spawned]
        if spawned:
            insert_messages(cursor, spawned)
        return [
            (files.pop(leased[number][1], ()) if number in leased else LeaseLostError(op.settlement.queue_id))
            for number, op in enumerate(batch)
        ]


def _leased(cursor: sqlite3.Cursor, batch: Sequence[Settle]) -> dict[int, tuple[int, int]]:
    """Place in the batch → (delivery, message), for those whose lease still holds; of two for one, the first."""
    wanted = json_list((op.settlement.queue_id, op.settlement.next_hop) for op in batch)
    found: dict[int, tuple[int, int]] = {}
    seen: set[int] = set()
    rows = cursor.execute(SQL["leased_deliveries"], (wanted, batch[0].owner)).fetchall()
    for number, delivery, message in sorted(rows):
        if delivery not in seen and number not in found:
            seen.add(delivery)
            found[number] = (delivery, message)
    return found


def _open_recipients(cursor: sqlite3.Cursor, deliveries: Sequence[int]) -> dict[int, dict[int, int]]:
    """Delivery → position → variant."""
    found: dict[int, dict[int, int]] = {delivery: {} for delivery in deliveries}
    for delivery, position, variant in cursor.execute(SQL["open_recipients"], (json_list(deliveries),)):
        found[delivery][position] = variant
    return found


def _defer(cursor: sqlite3.Cursor, op: Settle, delivery: int, message: int, left: dict[int, int]) -> None:
    """Some recipients stay: the others' rows go, and what a later attempt needs is stored."""
    settlement = op.settlement
    cursor.executemany(SQL["delete_recipient"], [(delivery, position) for position in settlement.final])
    replies = [
        (storable(result.remote_reply or str(result.reply)), delivery, result.index)
        for result in settlement.results
        if result.index in left
    ]
    cursor.executemany(SQL["set_last_reply"], replies)
    groups = set(left.values())
    edits = [(message, v.group, pack_edits(v)) for v in settlement.variants if v.group in groups]
    cursor.executemany(SQL["insert_variant"], edits)
    cursor.execute(SQL["defer_delivery"], (op.due_at, delivery))


def end_deliveries(cursor: sqlite3.Cursor, ended: Collection[tuple[int, int]]) -> dict[int, tuple[str, ...]]:
    """Delete (delivery, message) pairs, and the messages whose last delivery that was; gives their body files."""
    deliveries = json_list(delivery for delivery, _ in ended)
    cursor.execute(SQL["delete_recipients"], (deliveries,))
    cursor.execute(SQL["delete_deliveries"], (deliveries,))
    touched = json_list({message for _, message in ended})
    finished = dict(cursor.execute(SQL["finished_messages"], (touched,)).fetchall())
    if finished:
        gone = json_list(finished)
        for statement in ("delete_bodies", "delete_variants", "delete_messages"):
            cursor.execute(SQL[statement], (gone,))
    return {message: (file,) for message, file in finished.items() if file is not None}


@dataclass(frozen=True, slots=True)
class GiveBack(Operation[None]):
    """End the lease of a message's delivery for one next hop, or (None) of all its deliveries."""

    queue_id: str
    next_hop: str | None
    due_at: int
    owner: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[GiveBack]) -> Sequence[None]:
        for op in batch:
            values = {"due_at": op.due_at, "owner": op.owner, "next_hop": op.next_hop, "queue_id": op.queue_id}
            cursor.execute(SQL["give_back"], values)
        return [None] * len(batch)


@dataclass(frozen=True, slots=True)
class Lease(Operation[tuple[int, ...]]):
    """Lease these deliveries, as far as they are still due; gives the ids of those leased."""

    ids: tuple[int, ...]
    now: int
    until: int
    owner: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Lease]) -> Sequence[tuple[int, ...]]:
        outcomes = []
        for op in batch:
            values = {"ids": json_list(op.ids), "now": op.now, "until": op.until, "owner": op.owner}
            outcomes.append(tuple(row[0] for row in cursor.execute(SQL["lease_deliveries"], values).fetchall()))
        return outcomes


@dataclass(frozen=True, slots=True)
class Statement(Operation[int]):
    """One statement that changes rows; gives how many."""

    name: str
    values: tuple[object, ...] | dict[str, object]

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Statement]) -> Sequence[int]:
        return [cursor.execute(SQL[op.name], op.values).rowcount for op in batch]


@dataclass(frozen=True, slots=True)
class SweepFiles(Operation[int]):
    """Unlink those of the files that no row names; gives how many.

    This has to hold the writer's lock: a file is either named by now, or its accept has not run yet, finds it gone and
    fails. So no commit can ever name a file that the sweep has taken.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[SweepFiles]) -> Sequence[int]:
        outcomes = []
        for op in batch:
            named = {name for (name,) in cursor.execute(SQL["named_files"], (json_list(op.names),)).fetchall()}
            orphans = [name for name in op.names if name not in named]
            for name in orphans:
                (op.folder / name).unlink(missing_ok=True)
            outcomes.append(len(orphans))
        return outcomes
