"""What tracking asks of the store for each message, task or second goes by an index, however much the store holds."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest

from mta.adapters.store.database import migrations
from mta.adapters.store.statements import SQL

NOW_AND_THEN = {
    "entries": "the conditions that it is asked with are below",
    "records_newest_first": "a page of a list, from its end",
    "tasks": "a page of a list, from its end",
    "count_records": "an administrator's",
    "count_tasks": "an administrator's",
    "merge_mailboxes": "mailboxes are few",
    "monitored_mailboxes": "mailboxes are few",
    "forget_runs": "hourly",
    "forget_attempts": "hourly, and there are few",
    "due_targets": "one row of its index, then what it has found itself",
}
PARTS = {
    "{record}": SQL["record_columns"], "{task}": SQL["task_columns"], "{overdue}": SQL["overdue"], "{which}": "true",
}  # fmt: skip
NAMES = re.findall(
    r"^-- name: (\w+)$",
    files("mta.adapters.store").joinpath("sql", "tracking.sql").read_text(encoding="utf-8"),
    re.MULTILINE,
)
STATEMENTS = [
    name for name in NAMES if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", SQL[name]) and name not in NOW_AND_THEN
]
ASKED_OF_ENTRIES = (("organisation", "key"), ("organisation", "message_id"), ("conversation",), ("states",))


class Nulls(dict[str, Any]):
    """Whatever a statement asks for."""

    def __missing__(self, name: str) -> None:
        return None


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for _, script in migrations():
            connection.executescript(script)
        yield connection


def scanned(database: sqlite3.Connection, statement: str) -> list[str]:
    """What SQLite would read from one end to the other; lists that we hand it don't count."""
    unnamed = statement.count("?")
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * unnamed if unnamed else Nulls()).fetchall()
    passed = (" VIRTUAL TABLE ", "CONSTANT ROW")
    return [step for *_, step in rows if step.startswith("SCAN ") and not any(each in step for each in passed)]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_a_whole_table(name: str, database: sqlite3.Connection) -> None:
    statement = SQL[name]
    for part, text in PARTS.items():
        statement = statement.replace(part, text)
    assert scanned(database, statement) == []


@pytest.mark.parametrize("asked", ASKED_OF_ENTRIES, ids=["key", "message-id", "conversation", "state"])
def test_an_entry_is_found_by_an_index(asked: tuple[str, ...], database: sqlite3.Connection) -> None:
    which = " AND ".join(SQL[f"which_entry_{each}"] for each in asked)
    assert scanned(database, SQL["entries"].replace("{which}", which)) == []


def test_what_is_due_is_found_by_the_index_of_what_is_due(database: sqlite3.Connection) -> None:
    assert {step for step in scanned(database, SQL["due_targets"]) if " task" in step} == {
        "SCAN task USING INDEX task_due"
    }
