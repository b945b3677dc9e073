"""A connection that is closed holds none of the database's files, whoever still has a cursor."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mta.adapters.store.connection import Connection
from mta.adapters.store.database import connect, connect_reader, prepare

MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n, sqlite_schema"


def _half_read(connection: Connection) -> object:
    cursor = connection.execute(MANY)
    cursor.fetchone()
    return cursor


def _failed(connection: Connection) -> object:
    """As when the disk fails under a statement: the error's traceback has the cursor."""
    connection.execute(MANY).fetchall()  # so that the statement fails, not the look at the schema
    cursor: sqlite3.Cursor = connection.cursor()
    connection.set_progress_handler(lambda: 1, 1)
    try:
        cursor.execute(MANY).fetchall()
    except sqlite3.OperationalError as error:
        return error
    raise AssertionError("it went well")


def _open_files(folder: Path) -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            file = descriptor.readlink()
            if file.is_relative_to(folder):
                found.append(file.name)
    return found


@pytest.mark.parametrize("leave", [_half_read, _failed])
@pytest.mark.parametrize("opened_by", [connect, connect_reader])
def test_a_statement_under_way_keeps_no_file_open(
    tmp_path: Path, opened_by: Callable[[Path], Connection], leave: Callable[[Connection], object]
) -> None:
    connection = opened_by(prepare(tmp_path))
    left = leave(connection)
    assert _open_files(tmp_path)
    connection.close()
    assert _open_files(tmp_path) == []
    del left
