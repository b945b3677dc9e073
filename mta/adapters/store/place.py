"""Whether the files that a connection writes are still those that stand in the spool's folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from mta.adapters.store.errors import MovedError
from mta.file_identity import identity

FILE = "spool.db"
FILES = (FILE, FILE + "-wal", FILE + "-shm")
"""The database, its log, and what its processes share; only together are they the queue."""


def open_database(folder: Path, **options: Any) -> sqlite3.Connection:
    """A connection to the database that is there; never makes an empty one where it was taken away."""
    uri = f"{(folder / FILE).absolute().as_uri()}?mode=rw"
    connection: sqlite3.Connection = sqlite3.connect(uri, uri=True, isolation_level=None, **options)
    return connection


class Place:
    """The identity of the database's three files; make it once the connection has opened them.

    SQLite goes on writing to files that were renamed or unlinked, and its commits succeed: what is acknowledged on such
    a file is gone after the next restart. So whoever is about to commit looks first, which costs three stat(2).
    """

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / name for name in FILES]
        self._opened = [identity(path) for path in self._paths]

    def check(self) -> None:
        """Raises MovedError."""
        for path, opened in zip(self._paths, self._opened, strict=True):
            found = identity(path)
            if found != opened:
                raise MovedError(f"{path} was {'taken away' if found is None else 'replaced'} while it was in use")

    @property
    def is_taken_over(self) -> bool:
        """Whether a log or an index stands there that is not ours: others have opened the database anew."""
        found = [identity(path) for path in self._paths[1:]]
        return any(new not in (None, old) for new, old in zip(found, self._opened[1:], strict=True))
