"""What the writer carries out for the relay: accept, settle, lease and the like, whole batches at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mta.adapters.store.claims import Claims
from mta.adapters.store.rows import MessageRows, OpenRecipient, pack_edits, recipients_json, storable
from mta.adapters.store.sent_operations import make_jobs
from mta.adapters.store.sent_rows import CopyRows
from mta.adapters.store.statements import SQL, RowInsert, json_answer, json_list
from mta.adapters.store.writer import Operation
from mta.model.delivery import Accepted, Settlement
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.ports.spool import LeaseLostError

_MESSAGES = RowInsert("insert_messages")
_CONTENTS = RowInsert("insert_contents")
_DELIVERIES = RowInsert("insert_deliveries")
_VARIANTS = RowInsert("insert_variants")

_NOTHING_MORE = Accepted()

Key = tuple[int, int]
"""A delivery: (message, part)."""


@dataclass(frozen=True, slots=True)
class Accept(Operation[Accepted]):
    """Store a message, and what it spawned as far as its claims go."""

    crash_before: ClassVar[str] = "before-commit"
    crash_after: ClassVar[str] = "after-commit"
    rows: MessageRows
    folder: Path
    """Where body files are."""
    now: int
    octets: int = 0
    spawned: tuple[MessageRows, ...] = ()

    @property
    def has_its_files(self) -> bool:
        """False where the sweep took one, for it waited so long for this commit."""
        if self.rows.file is None and not self.spawned:
            return True
        files = [rows.file for rows in (self.rows, *self.spawned) if rows.file is not None]
        return all((self.folder / file).exists() for file in files)

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Accept]) -> Sequence[Accepted | Exception]:
        accepted = [op for op in batch if op.has_its_files]
        insert_messages(cursor, [op.rows for op in accepted])
        more = _claim(cursor, [op for op in accepted if op.rows.claims or op.spawned])
        if len(accepted) == len(batch):
            return [more.get(op.rows.queue_id, _NOTHING_MORE) for op in batch]
        swept = TemporaryError(INTERNAL_ERROR)
        return [more.get(op.rows.queue_id, _NOTHING_MORE) if op in accepted else swept for op in batch]


def _claim(cursor: sqlite3.Cursor, batch: Sequence[Accept]) -> dict[str, Accepted]:
    """Queue id → what its message got; spawned messages that get their claims are inserted."""
    if not batch:
        return {}
    wanted = {key for op in batch for rows in (op.rows, *op.spawned) for key, _, _ in rows.claims}
    claims = Claims.of(cursor, wanted, batch[0].now)
    outcomes: dict[str, Accepted] = {}
    queued: list[MessageRows] = []
    for op in batch:
        mine = [claim[0] for claim in op.rows.claims if claims.take((claim,))]
        spawned = [rows for rows in op.spawned if claims.take(rows.claims)]
        queued += spawned
        outcomes[op.rows.queue_id] = Accepted(frozenset(mine), frozenset(rows.queue_id for rows in spawned))
    claims.write(cursor)
    insert_messages(cursor, queued)
    return outcomes


def insert_messages(cursor: sqlite3.Cursor, messages: Sequence[MessageRows]) -> None:
    """Insert messages with their deliveries; one whose recipients are all final leaves nothing."""
    stored = [rows for rows in messages if rows.deliveries]
    _MESSAGES.run(cursor, [rows.message for rows in stored])
    _CONTENTS.run(cursor, [rows.content for rows in stored])
    _DELIVERIES.run(cursor, [delivery for rows in stored for delivery in rows.deliveries])


@dataclass(frozen=True, slots=True)
class Settle(Operation[tuple[str, ...]]):
    """Write down what became of a leased delivery; gives the body files that no message names (any more)."""

    crash_before: ClassVar[str] = "before-settle"
    crash_after: ClassVar[str] = "after-settle"
    settlement: Settlement
    due_at: int
    owner: str
    spawned: tuple[MessageRows, ...] = ()
    sent: tuple[CopyRows, ...] = ()
    copies: tuple[MessageRows, ...] = ()
    now: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Settle]) -> Sequence[tuple[str, ...] | Exception]:
        leased = _leased(cursor, batch)
        ended: list[Key] = []
        variants: list[tuple[object, ...]] = []
        sent: list[tuple[int, str, CopyRows]] = []
        for number, delivery in leased.items():
            op, message = batch[number], delivery.key[0]
            left = [recipient for recipient in delivery.recipients if recipient[0] not in op.settlement.final]
            if left:
                _defer(cursor, op, delivery.key, left)
            else:
                ended.append(delivery.key)
            if left or op.sent:
                variants += _to_keep(op, message, {group for _, _, group, _ in left})
                sent += ((message, op.settlement.queue_id, copy) for copy in op.sent)
        _VARIANTS.run(cursor, variants)
        if sent:
            make_jobs(cursor, sent)
        files = {number: delivery.file for number, delivery in leased.items() if delivery.file is not None}
        gone = end_deliveries(cursor, ended, files.values())
        insert_messages(cursor, [rows for number in leased for rows in batch[number].spawned])
        copied = _queue_copies(cursor, [batch[number] for number in leased if batch[number].copies])
        return [
            LeaseLostError(op.settlement.queue_id) if number not in leased
            else (*((files[number],) if files.get(number) in gone else ()), *copied.get(op.settlement.queue_id, ()))
            for number, op in enumerate(batch)
        ]  # fmt: skip


def _queue_copies(cursor: sqlite3.Cursor, batch: Sequence[Settle]) -> dict[str, tuple[str, ...]]:
    """Queue copies that get all their claims; gives the files of those that don't, by the queue id of the original."""
    if not batch:
        return {}
    claims = Claims.of(cursor, {key for op in batch for rows in op.copies for key, _, _ in rows.claims}, batch[0].now)
    queued: list[MessageRows] = []
    unused: dict[str, tuple[str, ...]] = {}
    for op in batch:
        done = [rows for rows in op.copies if not claims.take(rows.claims)]
        queued += (rows for rows in op.copies if rows not in done)
        files = tuple(rows.file for rows in done if rows.file is not None)
        unused[op.settlement.queue_id] = (*unused.get(op.settlement.queue_id, ()), *files)
    claims.write(cursor)
    insert_messages(cursor, queued)
    return unused


@dataclass(frozen=True, slots=True)
class _Leased:
    key: Key
    file: str | None
    recipients: list[OpenRecipient]


def _leased(cursor: sqlite3.Cursor, batch: Sequence[Settle]) -> dict[int, _Leased]:
    """Place in the batch → delivery, for those whose lease still holds; of two for one delivery, the first."""
    wanted = json_list((op.settlement.queue_id, op.settlement.next_hop) for op in batch)
    found: dict[int, _Leased] = {}
    seen: set[Key] = set()
    for number, message, part, file, recipients in sorted(
        json_answer(cursor, "leased_deliveries", (wanted, batch[0].owner)), key=lambda row: row[:3]
    ):
        if (message, part) not in seen and number not in found:
            seen.add((message, part))
            found[number] = _Leased((message, part), file, recipients)
    return found


def _defer(cursor: sqlite3.Cursor, op: Settle, key: Key, left: Sequence[OpenRecipient]) -> None:
    """Some recipients stay."""
    settlement = op.settlement
    replies = {result.index: storable(result.remote_reply or str(result.reply)) for result in settlement.results}
    recipients = [(position, address, group, replies.get(position, last)) for position, address, group, last in left]
    cursor.execute(SQL["defer_delivery"], (op.due_at, recipients_json(recipients), settlement.warned, *key))


def _to_keep(op: Settle, message: int, groups: Collection[int]) -> Iterator[tuple[object, ...]]:
    """Rows of the variants that those who stay (`groups`) or a job will need."""
    wanted = {*groups, *(copy.group for copy in op.sent)}
    for variant in op.settlement.variants:
        if variant.group in wanted:
            yield message, variant.group, pack_edits(variant), int(variant.is_changed)


def end_deliveries(cursor: sqlite3.Cursor, ended: Sequence[Key], files: Collection[str]) -> frozenset[str]:
    """Delete deliveries, and with the last one its message, where no job needs it; gives those of `files` that no
    message names now."""
    if ended:
        cursor.execute(SQL["delete_deliveries"], (json_list(ended),))
    if not files:
        return frozenset()
    return frozenset(files).difference(json_answer(cursor, "named_files", (json_list(files),)))


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
class Lease(Operation[tuple[Key, ...]]):
    """Lease these deliveries, as far as they are still due; gives those leased."""

    which: tuple[Key, ...]
    now: int
    until: int
    owner: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Lease]) -> Sequence[tuple[Key, ...]]:
        outcomes = []
        for op in batch:
            values = {"which": json_list(op.which), "now": op.now, "until": op.until, "owner": op.owner}
            outcomes.append(tuple(cursor.execute(SQL["lease_deliveries"], values).fetchall()))
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
    """Unlink those of the files that no message names; gives how many.

    This has to hold the writer's lock: a file is either named by now, or its accept has not run yet, finds it gone and
    fails. So no commit can ever name a file that the sweep has taken.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[SweepFiles]) -> Sequence[int]:
        outcomes = []
        for op in batch:
            orphans = set(op.names).difference(json_answer(cursor, "named_files", (json_list(op.names),)))
            for name in orphans:
                (op.folder / name).unlink(missing_ok=True)
            outcomes.append(len(orphans))
        return outcomes
