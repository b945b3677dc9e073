"""Whether the files that a connection writes are still those that stand in the spool's folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mta.adapters.store.errors import MovedError
from mta.file_identity import identity

FILE = "spool.db"
FILES = (FILE, FILE + "-wal", FILE + "-shm")
"""The database, its log, and what its processes share; only together are they the queue."""
_MAPPED = Path("/proc/self/maps")


class Place:
    """The identity of the database's three files; make it once the connection has opened them.

    SQLite goes on writing to files that were renamed or unlinked, and its commits succeed: what is acknowledged on such
    a file is gone after the next restart. So whoever is about to commit looks first, which costs three stat(2).
    """

    def __init__(self, folder: Path) -> None:
        """Raises MovedError where the connection has opened what nobody else can see."""
        self._paths = [folder / name for name in FILES]
        self._opened = [identity(path) for path in self._paths]
        missing = next((path for path, opened in zip(self._paths, self._opened, strict=True) if opened is None), None)
        if missing is not None:
            raise MovedError(f"{missing} was taken away while another connection of this process had it open")
        if _is_mapped_without_name(self._paths[2]):
            raise MovedError(f"{self._paths[2]} was replaced while another connection of this process had it open")

    def check(self) -> None:
        """Raises MovedError."""
        for path, opened in zip(self._paths, self._opened, strict=True):
            found = identity(path)
            if found != opened:
                raise MovedError(f"{path} was {'taken away' if found is None else 'replaced'} while it was in use")

    @property
    def is_taken_over(self) -> bool:
        """Whether others write to the database by now, with a log or an index that is not ours.

        An empty log makes nobody's work: whoever only looks into a database whose log was taken away makes one. With
        the index that is still ours he finds out what we do.
        """
        _, log, index = self._paths
        _, our_log, our_index = self._opened
        if identity(index) not in (None, our_index):
            return True
        return identity(log) not in (None, our_log) and not _is_empty(log)


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


def _is_mapped_without_name(index: Path) -> bool:
    """Whether this process uses an index that has been unlinked: a connection that was open then still lives.

    SQLite gives the index of the oldest connection to all that a process opens on the same database, and never looks
    whether another one stands there by now. Two processes with two indexes write over one another's mail.
    """
    with suppress(OSError):
        unlinked = f" {index.resolve()} (deleted)"
        return any(line.endswith(unlinked) for line in _MAPPED.read_text(errors="surrogateescape").splitlines())
    return False
