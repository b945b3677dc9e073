"""Reading: its own read-only connection, so that looking at the queue never waits for the writer."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mta import events
from mta.adapters.store import survey
from mta.adapters.store.administration import Which
from mta.adapters.store.operations import Key
from mta.adapters.store.rows import accepted_message, leased_delivery, moment, recipient_entries, storable, unpack_edits
from mta.adapters.store.statements import SQL, json_answer, json_list
from mta.model.delivery import Body, LeasedDelivery, State, StoredVariant
from mta.model.queue import (
    Breakdown,
    Draining,
    FrozenHop,
    LateMail,
    QueueCount,
    QueuedDelivery,
    QueueEntry,
    SummaryRow,
    is_frozen,
)
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.model.sentitem import Switch

OLDEST, LATEST = 500, 100
"""Deliveries for one next hop that are looked at so that senders take turns, where more are due than are taken."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Deliveries, and those whose rows this version can't read."""

    deliveries: dict[Key, LeasedDelivery]
    undecodable: tuple[Key, ...]


class Reader:
    """Synchronous; used by one thread at a time. Each call reads one state of the database."""

    def __init__(self, connection: sqlite3.Connection, bodies: Path) -> None:
        self._connection = connection
        self.bodies = bodies

    def close(self) -> None:
        self._connection.close()

    def highest_id(self) -> int:
        """The highest id of a message."""
        (highest,) = self._connection.execute(SQL["highest_id"]).fetchone()
        return int(highest)

    def free_octets(self) -> int:
        """What stands unused in the database."""
        (pages,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)

    def claimed(self, keys: Collection[str], now: int) -> frozenset[str]:
        """Those of the keys that are held at that time."""
        stored = {storable(key): key for key in keys}
        held = json_answer(self._connection.cursor(), "held_claims", (json_list(stored), now))
        return frozenset(stored[key] for key, _ in held)

    def due(self, now: int, *, limit: int, blocked: Collection[str], per_next_hop: int) -> tuple[Key, ...]:
        """Due deliveries, oldest due first. What waits for blocked or frozen next hops costs nothing, however much.

        The `limit` oldest can only be for the `limit` next hops whose first is oldest, so no others are looked at.
        """
        with self.snapshot() as cursor:
            frozen = frozenset(name for name, *_ in cursor.execute(SQL["frozen"]).fetchall())
            due = [name for name, _ in cursor.execute(SQL["due_next_hops"], (now,)).fetchall() if name not in blocked]
            hops = [name for name in due if not is_frozen(name, frozen)] if frozen else due
            found: list[tuple[int, int, int]] = []
            for next_hop in hops[:limit]:
                most = min(per_next_hop, limit)
                rows = cursor.execute(
                    SQL["due_deliveries"], {"next_hop": next_hop, "now": now, "limit": most}
                ).fetchall()
                if len(rows) == most:
                    window = {"next_hop": next_hop, "now": now, "oldest": OLDEST + most, "latest": LATEST}
                    rows = _in_turn(cursor.execute(SQL["due_by_sender"], window).fetchall(), most)
                first_of = {message: (due_at, message, part) for message, part, due_at in reversed(rows)}
                found += reversed(first_of.values())
        return tuple((message, part) for _, message, part in sorted(found)[:limit])

    def overdue(self, next_hop: str, now: int, *, late: int, expired: int, limit: int) -> tuple[Key, ...]:
        """Due deliveries of messages accepted up to `expired`, or up to `late` where nobody was warned; one of each."""
        values = {"next_hop": next_hop, "now": now, "late": late, "expired": expired, "limit": limit}
        found = self._connection.execute(SQL["overdue_deliveries"], values).fetchall()
        return tuple({message: (message, part) for message, part in reversed(found)}.values())

    def load(self, which: Collection[Key]) -> Loaded:
        """Deliveries with their messages (a body in a file as its path), recipients and stored variants."""
        messages = json_list({message for message, _ in which})
        with self.snapshot() as cursor:
            rows = cursor.execute(SQL["load_deliveries"], (messages,)).fetchall()
            contents = cursor.execute(SQL["load_messages"], (messages,)).fetchall()
            edits = cursor.execute(SQL["load_variants"], (messages,)).fetchall()
        rows_of: dict[int, list[Sequence[Any]]] = {}
        for row in rows:
            rows_of.setdefault(row[0], []).append(row)
        edits_of: dict[int, list[Sequence[Any]]] = {}
        for message, *edit in edits:
            edits_of.setdefault(message, []).append(edit)
        loaded: dict[Key, LeasedDelivery] = {}
        undecodable: list[Key] = []
        for content in contents:
            message = content[0]
            mine = rows_of.get(message, [])
            keys = {(message, row[1]) for row in mine}.intersection(which)
            try:
                variants = [
                    unpack_edits(group, packed, is_changed=bool(is_changed))
                    for group, packed, is_changed in edits_of.get(message, ())
                ]
                found = self._decoded(content, mine, variants)
            except (KeyError, ValueError, TypeError, OverflowError) as error:
                events.internal_error("spool-load", queue_id=content[1], error=repr(error))
                undecodable += keys
            else:
                loaded.update((key, found[key]) for key in keys)
        return Loaded(loaded, tuple(undecodable))

    def _decoded(
        self, content: Sequence[Any], rows: Sequence[Sequence[Any]], variants: Sequence[StoredVariant]
    ) -> dict[Key, LeasedDelivery]:
        recipients = {row[1]: recipient_entries(row[5], row[2], row[3]) for row in rows}
        everybody = tuple(sorted((e for some in recipients.values() for e in some), key=lambda entry: entry.index))
        message = accepted_message(content, everybody, self.bodies)
        return {
            (number, part): leased_delivery(
                message, next_hop, recipients[part], attempts, variants, is_warned=bool(warned)
            )
            for number, part, next_hop, _, attempts, _, warned in rows
        }

    def message(self, queue_id: str) -> LeasedDelivery | None:
        """One message with all its open recipients."""
        row = self._connection.execute(SQL["message_of"], (queue_id,)).fetchone()
        if row is None:
            return None
        rows = self._connection.execute(SQL["load_deliveries"], (json_list(row),)).fetchall()
        found = list(self.load([(message, part) for message, part, *_ in rows]).deliveries.values())
        if not found:
            return None
        first = found[0]
        hops = {delivery.next_hop for delivery in found}
        return LeasedDelivery(
            first.message,
            first.next_hop if len(hops) == 1 else "",
            first.message.recipients,
            max(delivery.attempts for delivery in found),
            tuple({variant.group: variant for delivery in found for variant in delivery.variants}.values()),
            all(delivery.is_warned for delivery in found),
        )

    def body(self, queue_id: str) -> Body:
        """Raises KeyError if there is no such message, TemporaryError if its file is missing."""
        row = self._connection.execute(SQL["read_body"], (queue_id,)).fetchone()
        if row is None:
            raise KeyError(queue_id)
        size, file, data = row
        path = None if file is None else self.bodies / file
        if path is not None and not path.exists():
            events.internal_error("spool-body", queue_id=queue_id, error=f"the body file {path} is missing")
            raise TemporaryError(INTERNAL_ERROR)
        return Body(data, path, size)

    def named_files(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the body files that a message names."""
        return frozenset(json_answer(self._connection.cursor(), "named_files", (json_list(names),)))

    def entries(self, which: Which, now: int, limit: int) -> list[QueueEntry]:
        """Messages with a delivery that matches, oldest first."""
        with self.snapshot() as cursor:
            rows = cursor.execute(which.statement("matching_messages"), {**which.values, "limit": limit}).fetchall()
            deliveries: dict[int, list[Sequence[Any]]] = {}
            messages = json_list(row[0] for row in rows)
            for message, *delivery in cursor.execute(SQL["entry_deliveries"], (now, messages)):
                deliveries.setdefault(message, []).append(delivery)
        return [_entry(row, deliveries[row[0]]) for row in rows]

    def count(self, which: Which) -> QueueCount:
        """How much matches."""
        with self.snapshot() as cursor:
            return survey.count(cursor, which)

    def summary(self, which: Which, by: Breakdown, now: int) -> list[SummaryRow]:
        """What matches, in rows."""
        with self.snapshot() as cursor:
            return survey.summary(cursor, which, by, now)

    def late(self, since: int, limit: int) -> LateMail | None:
        """What was accepted by then and is still queued, and the `limit` next hops that most of it waits for."""
        with self.snapshot() as cursor:
            messages, oldest = cursor.execute(SQL["late_in_all"], {"late": since}).fetchone()
            if not messages:
                return None
            hops = cursor.execute(SQL["late_by_next_hop"], {"late": since, "limit": limit}).fetchall()
        return LateMail(messages, moment(oldest), tuple(hops))

    def frozen(self) -> list[FrozenHop]:
        """What is frozen, by name."""
        rows = self._connection.execute(SQL["frozen"]).fetchall()
        return [FrozenHop(next_hop, moment(since), by, reason) for next_hop, since, by, reason in rows]

    def draining(self) -> Draining | None:
        """The order to take no mail, while it stands."""
        row = self._connection.execute(SQL["draining"]).fetchone()
        return None if row is None else Draining(moment(row[0]), row[1], row[2])

    def sent_items_switch(self) -> Switch:
        """What is ordered for the whole of Sent Items."""
        row = self._connection.execute(SQL["switch"]).fetchone()
        return Switch.ON if row is None else Switch(row[0])

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Cursor]:
        """All that is read within it is one state of the database."""
        cursor = self._connection.cursor()
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:
            cursor.execute("COMMIT")


def _in_turn(rows: Sequence[tuple[int, int, int, str]], most: int) -> list[tuple[int, int, int]]:
    """The oldest of each sender, then the second of each, and so on."""
    so_far: Counter[str] = Counter()
    turns = []
    for message, part, due_at, sender in rows:
        so_far[sender] += 1
        turns.append((so_far[sender], due_at, message, part))
    return [(message, part, due_at) for _, due_at, message, part in sorted(turns)[:most]]


def _entry(row: Sequence[Any], rows: Sequence[Sequence[Any]]) -> QueueEntry:
    """From a row of `matching_messages` and the message's rows of `entry_deliveries`."""
    _, queue_id, accepted_at, size, reverse_path, message_id = row
    deliveries = tuple(_queued_delivery(each) for each in rows)
    recipients = [recipient for delivery in deliveries for recipient in delivery.recipients]
    waiting = [each.due_at for each in deliveries if each.due_at is not None and not each.leased_by]
    return QueueEntry(
        queue_id=queue_id,
        accepted_at=moment(accepted_at),
        size_octets=size,
        reverse_path=reverse_path,
        message_id=message_id,
        recipients=tuple(sorted(recipients, key=lambda entry: entry.index)),
        attempts=max(delivery.attempts for delivery in deliveries),
        due_at=min(waiting, default=None),
        leased=any(delivery.leased_by for delivery in deliveries),
        deliveries=deliveries,
    )


def _queued_delivery(row: Sequence[Any]) -> QueuedDelivery:
    next_hop, state, attempts, due_at, owner, column = row
    return QueuedDelivery(
        next_hop,
        State(state),
        attempts,
        None if due_at is None else moment(due_at),
        (owner or "").partition(":")[0],
        recipient_entries(column, next_hop, state),
    )
