"""Reading: its own read-only connection, so that looking at the queue never waits for the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mta import events
from mta.adapters.store.administration import Which
from mta.adapters.store.operations import json_list
from mta.adapters.store.rows import leased_delivery, moment, recipient_entry, unpack_edits
from mta.adapters.store.statements import SQL
from mta.model.delivery import Body, LeasedDelivery, QueueEntry, RecipientEntry, StoredVariant
from mta.model.reply import INTERNAL_ERROR, TemporaryError


@dataclass(frozen=True, slots=True)
class Loaded:
    """Deliveries by id, and the ids of those whose rows this version can't read."""

    deliveries: dict[int, LeasedDelivery]
    undecodable: tuple[int, ...]


class Reader:
    """Synchronous; used by one thread at a time. Each call reads one state of the database."""

    def __init__(self, connection: sqlite3.Connection, bodies: Path) -> None:
        self._connection = connection
        self._bodies = bodies

    def close(self) -> None:
        self._connection.close()

    def due(self, now: int, *, limit: int, blocked: Collection[str], per_next_hop: int) -> tuple[int, ...]:
        """Ids of due deliveries, oldest due first. What waits for blocked next hops costs nothing, whatever its number.

        The `limit` oldest can only be for the `limit` next hops whose first is oldest, so no others are looked at.
        """
        with self._snapshot() as cursor:
            hops = [name for name, _ in cursor.execute(SQL["due_next_hops"], (now,)) if name not in blocked]
            found: list[tuple[int, int]] = []
            for next_hop in hops[:limit]:
                values = {"next_hop": next_hop, "now": now, "limit": min(per_next_hop, limit)}
                seen: set[int] = set()
                for delivery, message, _, due_at in cursor.execute(SQL["due_deliveries"], values):
                    if message not in seen:
                        seen.add(message)
                        found.append((due_at, delivery))
        return tuple(delivery for _, delivery in sorted(found)[:limit])

    def load(self, ids: Sequence[int]) -> Loaded:
        """Deliveries with their messages (a body in a file as its path), recipients and stored variants."""
        with self._snapshot() as cursor:
            rows = cursor.execute(SQL["load_deliveries"], (json_list(ids),)).fetchall()
            messages = json_list({row[1] for row in rows})
            recipients = _recipients(cursor, messages)
            variants: dict[int, list[StoredVariant]] = {}
            for message, group, edits in cursor.execute(SQL["load_variants"], (messages,)):
                variants.setdefault(message, []).append(unpack_edits(group, edits))
        deliveries: dict[int, LeasedDelivery] = {}
        undecodable = []
        for row in rows:
            delivery, message = row[0], row[1]
            mine = tuple(entry for owner, entry in recipients[message] if owner == delivery)
            everybody = tuple(entry for _, entry in recipients[message])
            try:
                loaded = leased_delivery(row, mine, everybody, variants.get(message, ()), self._bodies)
            except (KeyError, ValueError, TypeError) as error:
                events.internal_error("spool-load", queue_id=row[4], error=repr(error))
                undecodable.append(delivery)
            else:
                deliveries[delivery] = loaded
        return Loaded(deliveries, tuple(undecodable))

    def message(self, queue_id: str) -> LeasedDelivery | None:
        """One message with all its open recipients."""
        with self._snapshot() as cursor:
            ids = [delivery for (delivery,) in cursor.execute(SQL["deliveries_of"], (queue_id,))]
        found = list(self.load(ids).deliveries.values())
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
        )

    def body(self, queue_id: str) -> Body:
        """Raises KeyError if there is no such message, TemporaryError if its file is missing."""
        row = self._connection.execute(SQL["read_body"], (queue_id,)).fetchone()
        if row is None:
            raise KeyError(queue_id)
        size, file, data = row
        path = None if file is None else self._bodies / file
        if path is not None and not path.exists():
            events.internal_error("spool-body", queue_id=queue_id, error=f"the body file {path} is missing")
            raise TemporaryError(INTERNAL_ERROR)
        return Body(data, path, size)

    def named_files(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the body files that a row names."""
        return frozenset(name for (name,) in self._connection.execute(SQL["named_files"], (json_list(names),)))

    def entries(self, which: Which, now: int, limit: int) -> list[QueueEntry]:
        """Messages with a delivery that matches, oldest first."""
        with self._snapshot() as cursor:
            rows = cursor.execute(which.statement("matching_messages"), {**which.values, "limit": limit}).fetchall()
            messages = json_list(row[0] for row in rows)
            recipients = _recipients(cursor, messages)
            states: dict[int, list[tuple[int, int | None, int]]] = {}
            for message, *state in cursor.execute(SQL["delivery_states"], (now, messages)):
                states.setdefault(message, []).append((state[0], state[1], state[2]))
        return [_entry(row, recipients[row[0]], states[row[0]]) for row in rows]

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:
            cursor.execute("COMMIT")


def _recipients(cursor: sqlite3.Cursor, messages: str) -> dict[int, list[tuple[int, RecipientEntry]]]:
    """Message → (delivery, recipient), in the decision's order."""
    found: dict[int, list[tuple[int, RecipientEntry]]] = {}
    for message, delivery, *row in cursor.execute(SQL["load_recipients"], (messages,)):
        found.setdefault(message, []).append((delivery, recipient_entry(row)))
    return found


def _entry(
    row: Sequence[Any], recipients: Sequence[tuple[int, RecipientEntry]], states: Sequence[tuple[int, int | None, int]]
) -> QueueEntry:
    _, queue_id, accepted_at, size, reverse_path, message_id = row
    waiting = [due_at for _, due_at, leased in states if due_at is not None and not leased]
    return QueueEntry(
        queue_id=queue_id,
        accepted_at=moment(accepted_at),
        size_octets=size,
        reverse_path=reverse_path,
        message_id=message_id,
        recipients=tuple(entry for _, entry in recipients),
        attempts=max(attempts for attempts, _, _ in states),
        due_at=moment(min(waiting)) if waiting else None,
        leased=any(leased for _, _, leased in states),
    )
