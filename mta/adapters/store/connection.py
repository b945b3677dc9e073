"""Connections to the database that is there, which let go of its files when they are closed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from weakref import WeakSet

from mta.adapters.store.place import FILE


class Connection(sqlite3.Connection):
    """Closing it closes its files, whoever still has a cursor.

    Python's own close leaves them open as long as a statement is under way, and the cursor of one that has failed may
    live on in the error's traceback for hours. All connections of a process share one index, `spool.db-shm`: those that
    are opened meanwhile would go on with the old one, even where it was taken away, and others make a new one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        made = super().cursor(factory)
        self._cursors.add(made)
        return made

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        made: sqlite3.Cursor = self.cursor().execute(sql, parameters)  # Python's own asks `cursor` for none
        return made

    def close(self) -> None:
        for cursor in tuple(self._cursors):
            cursor.close()
        super().close()


def open_database(folder: Path, *, mode: str = "rw", **options: Any) -> Connection:
    """A connection to the database that is there; never makes an empty one where it was taken away."""
    uri = f"{(folder / FILE).absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, factory=Connection, **options)
