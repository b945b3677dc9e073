"""Looking for work costs by what is due, not by what waits for a dead next hop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mta.adapters.store.database import connect, connect_reader, prepare
from mta.adapters.store.reader import Reader
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import State
from mta.model.queue import QueueFilter
from tests.spool_samples import sample_message

NOW = 1_000_000_000
INSERT = (
    "INSERT INTO delivery (message, part, next_hop, state, due_at, attempts, lease_owner, recipients)"
    " VALUES (?, 0, ?, 'queued', ?, 1, NULL, '[]')"
)


class CountingReader:
    """A reader, and how many hundred steps of SQLite's virtual machine it took."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect_reader(folder)
        self._connection.execute("SELECT 1 FROM delivery").fetchone()  # what reading the schema takes is not counted
        self._connection.set_progress_handler(self._count, 100)
        self.reader = Reader(self._connection, folder / "bodies")
        self.hundreds = 0

    def _count(self) -> int:
        self.hundreds += 1
        return 0

    def close(self) -> None:
        self.reader.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    prepare(tmp_path)
    with closing(connect(tmp_path)) as connection:
        yield connection


def queue(connection: sqlite3.Connection, next_hop: str, first: int, count: int, due_at: int) -> None:
    connection.execute("BEGIN")
    connection.executemany(
        INSERT,
        ((number, next_hop, due_at) for number in range(first, first + count)),
    )
    connection.execute("COMMIT")


def test_a_hundred_thousand_for_a_dead_next_hop_cost_an_idle_worker_nothing(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    queue(database, "dead", 1, 100_000, NOW - 1)
    queue(database, "later", 200_001, 10_000, NOW + 1)
    with closing(CountingReader(tmp_path)) as counting:
        assert counting.reader.due(NOW, limit=100, blocked={"dead"}, per_next_hop=50) == ()
        assert counting.hundreds <= 5


def test_what_is_due_elsewhere_is_found_behind_them(database: sqlite3.Connection, tmp_path: Path) -> None:
    queue(database, "dead", 1, 100_000, NOW - 1)
    queue(database, "quick", 200_001, 3, NOW)
    with closing(CountingReader(tmp_path)) as counting:
        found = counting.reader.due(NOW, limit=100, blocked={"dead"}, per_next_hop=50)
        assert found == ((200_001, 0), (200_002, 0), (200_003, 0))
        assert counting.hundreds <= 10


def test_taking_a_few_of_very_many_costs_by_the_few(database: sqlite3.Connection, tmp_path: Path) -> None:
    queue(database, "slow", 1, 100_000, NOW - 1)
    with closing(CountingReader(tmp_path)) as counting:
        assert len(counting.reader.due(NOW, limit=100, blocked=(), per_next_hop=50)) == 50
        assert counting.hundreds <= 400


def test_thousands_of_next_hops_are_served_oldest_first(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("BEGIN")
    for number in range(3000):
        database.execute(
            INSERT,
            (number, f"{number}.example.net", NOW - number),
        )
    database.execute("COMMIT")
    with closing(CountingReader(tmp_path)) as counting:
        found = counting.reader.due(NOW, limit=5, blocked={"2999.example.net"}, per_next_hop=50)
        assert [message for message, _ in found] == [2998, 2997, 2996, 2995, 2994]


async def test_looking_at_an_idle_queue_takes_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    message = sample_message()
    await spool.accept(message)
    with closing(connect(tmp_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await spool.lease_due(message.accepted_at, limit=10) == ()
        other.execute("ROLLBACK")
    await spool.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE content SET decision = replace(decision, 'stamp', 'a kind that comes later') WHERE message = ?",
        "INSERT INTO variant (message, variant, edits) VALUES (?, 0, x'0102')",
        f"INSERT INTO variant (message, variant, edits) VALUES (?, 0, x'{'00' * 23}09ff')",
    ],
)
async def test_a_message_that_this_version_cannot_read_is_held_and_blocks_no_other(tmp_path: Path, damage: str) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    messages = [sample_message(accepted_at=None) for _ in range(3)]
    now = messages[-1].accepted_at
    for message in messages:
        await spool.accept(message)
        await spool.give_back(message.queue_id, "default", now)
    with closing(connect(tmp_path)) as other:
        (number,) = other.execute("SELECT id FROM message WHERE queue_id = ?", (messages[1].queue_id,)).fetchone()
        other.execute(damage, (number,))
    taken = await spool.lease_due(now, limit=10)
    assert [delivery.message.queue_id for delivery in taken] == [messages[0].queue_id, messages[2].queue_id]
    (held,) = await spool.entries(QueueFilter(state=State.HELD))
    assert held.queue_id == messages[1].queue_id
    await spool.close()
