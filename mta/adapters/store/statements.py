"""The named statements of `sql/spool.sql`, and rows by the batch."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import chain

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)

Row = Sequence[object]


def _load() -> dict[str, str]:
    text = files("mta.adapters.store").joinpath("sql", "spool.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: _COMMENT.sub("", body).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL = _load()
"""Statement by name. The texts never change, so that each connection prepares each of them once."""


class RowInsert:
    """Inserts many rows by few statements.

    Each statement that Python's sqlite3 runs lets go of the interpreter lock and has to win it back from a busy event
    loop, which costs far more than the row itself. So rows go in by powers of two: 13 rows are 8 + 4 + 1, and only
    seven texts have to be prepared.
    """

    _LARGEST = 64

    def __init__(self, name: str) -> None:
        head, values, row = SQL[name].rpartition("VALUES ")
        self._by_count = {2**n: head + values + ", ".join([row] * 2**n) for n in range(7)}

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Row]) -> None:
        start, left, count = 0, len(rows), self._LARGEST
        while left:
            while count > left:
                count //= 2
            cursor.execute(self._by_count[count], tuple(_flat(rows[start : start + count])))
            start += count
            left -= count


def _flat(rows: Sequence[Row]) -> Iterable[object]:
    return rows[0] if len(rows) == 1 else chain.from_iterable(rows)
