"""The named statements of `sql/*.sql`, and rows by the batch.

Why batches are few large steps: Python's sqlite3 lets go of the interpreter lock for every step of a statement, and the
writer's thread has to win it back from a busy event loop each time (up to the interpreter's switch interval, 5 ms by
default). That costs far more than a row. So what a batch of messages needs is a constant number of steps.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import chain
from typing import Any

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)

to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""JSON without spaces, ASCII only, so that it can hold whatever strangers send."""


def _load(file: str) -> dict[str, str]:
    text = files("mta.adapters.store").joinpath("sql", file).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: _COMMENT.sub("", body).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL = {
    **_load("spool.sql"),
    **_load("sentitems.sql"),
    **_load("tracking.sql"),
    **_load("tracking_recover.sql"),
    **_load("erasure.sql"),
}
"""Statement by name. The texts never change, so that each connection prepares each of them once."""


def json_list(values: Iterable[object]) -> str:
    """A list as one parameter, for json_each."""
    return to_json(list(values))


def json_answer(cursor: sqlite3.Cursor, name: str, values: Sequence[object]) -> list[Any]:
    """Run a statement whose answer is one JSON list."""
    (answer,) = cursor.execute(SQL[name], values).fetchone()
    found: list[Any] = json.loads(answer)
    return found


class RowInsert:
    """Inserts many rows in one step for every 64."""

    _LARGEST = 64
    """There is a prepared statement for each number of rows up to this."""

    def __init__(self, name: str) -> None:
        head, values, row = SQL[name].rpartition("VALUES ")
        self._by_count = [head + values + ", ".join([row] * count) for count in range(self._LARGEST + 1)]

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Sequence[object]]) -> None:
        for start in range(0, len(rows), self._LARGEST):
            some = rows[start : start + self._LARGEST]
            cursor.execute(self._by_count[len(some)], tuple(chain.from_iterable(some)))
