"""Looking costs by what is found, not by what there is: counted in steps of SQLite's virtual machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.adapters.store import tracking_reader
from mta.adapters.store.database import connect, prepare
from mta.model.record import RecordFilter
from mta.model.tracking import TaskKind, TaskTarget

MANY = 10_000
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TASK = (
    "INSERT INTO task (key, kind, organisation, target, state, created_at, begun_at, due_at, recipients, conversation)"
    " VALUES (?, ?, 'default', ?, 'waiting', 1, 1, ?, '[]', ?)"
)
RECORD = (
    "INSERT INTO record (conversation, organisation, module, number, state, title, requester, owner, source,"
    " created_at, updated_at, fields, notes, is_deleted, version, touched_at)"
    " VALUES (:n, 'default', 'ticket', :n, 'open', '', :n || '@x', '', '', :n, :n, '{}', 0, 0, 1, :n)"
)

CONVERSATIONS = (
    "INSERT INTO conversation (id, organisation, module, number, nonce, created_at)"
    " SELECT conversation, organisation, module, number, 'a', 1 FROM record"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    prepare(tmp_path)
    with closing(connect(tmp_path)) as connection:
        connection.execute("BEGIN")
        yield connection


def hundreds_of_steps(connection: sqlite3.Connection, look: Callable[[sqlite3.Cursor], object]) -> int:
    look(connection.cursor())  # what preparing the statement takes is not counted
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(step, 100)
    look(connection.cursor())
    connection.set_progress_handler(None, 100)
    return count


def test_tasks_for_a_target_that_is_left_alone_and_those_in_line_cost_nothing(database: sqlite3.Connection) -> None:
    database.executemany(TASK, ((f"a{n}", "call", "down", 1, n) for n in range(MANY)))
    database.executemany(TASK, ((f"b{n}", "notice", "desk", 1, 1) for n in range(1_000)))
    database.executemany(TASK, ((f"c{n}", "call", f"later{n % 5}", 99, n) for n in range(MANY)))
    down = [TaskTarget(TaskKind.CALL, "default", "down")]
    found: list[tuple[int, ...]] = []

    def look(cursor: sqlite3.Cursor) -> None:
        found.append(tracking_reader.due_tasks(cursor, list(TaskKind), 9, limit=10, busy=(), left_alone=down))

    assert hundreds_of_steps(database, look) <= 10
    assert found[-1] == (MANY + 1,), "the first of its line"


@pytest.mark.parametrize(
    "which",
    [RecordFilter(requester="77@X"), RecordFilter(number=77), RecordFilter(number=77, module="tick*")],
    ids=str,
)
def test_a_persons_records_are_found_without_looking_at_all(database: sqlite3.Connection, which: RecordFilter) -> None:
    database.executemany(RECORD, ({"n": number} for number in range(MANY)))
    database.execute(CONVERSATIONS)
    conditions = tracking_reader.record_conditions(which, NOW)
    found: list[object] = []

    def look(cursor: sqlite3.Cursor) -> None:
        found.append(tracking_reader.records(cursor, conditions, "records_newest_first", 0, 100))

    assert hundreds_of_steps(database, look) <= 3
    assert isinstance(found[-1], list)
    assert len(found[-1]) == 1


@pytest.mark.parametrize("by", ["created_before", "unchanged_since"])
def test_what_is_overdue_is_found_without_looking_at_what_is_not(database: sqlite3.Connection, by: str) -> None:
    database.executemany(RECORD, ({"n": number} for number in range(MANY)))
    values: dict[str, object] = {
        "organisation": "default", "module": "ticket", "states": '["open"]', "rule": "r", "created_before": None,
        "unchanged_since": None, "limit": 10, by: 50,
    }  # fmt: skip
    database.execute(CONVERSATIONS)
    found: list[object] = []

    def look(cursor: sqlite3.Cursor) -> None:
        found.append(tracking_reader.overdue(cursor, values))

    assert hundreds_of_steps(database, look) <= 60
    assert isinstance(found[-1], list)
    assert len(found[-1]) == 10
