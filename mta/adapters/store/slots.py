"""Which workers live: each holds a lock on the file of its slot for as long as its process lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mta.adapters.store.errors import SlotTakenError

_PATIENCE_S = 5.0
"""A predecessor that was killed may take a moment to be gone."""


class Slot:
    """This process's claim to a slot. The kernel ends it with the process, however that dies."""

    def __init__(self, folder: Path, number: int) -> None:
        """Raises SlotTakenError if a live process has the slot."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self.number = number
        self._path = folder / str(number)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _PATIENCE_S
        while not _locked(self._descriptor):
            if time.monotonic() > deadline:
                os.close(self._descriptor)
                raise SlotTakenError(
                    f"another live process is worker {number} of this spool: is the service running twice?"
                )
            time.sleep(0.02)

    @property
    def is_in_place(self) -> bool:
        """False where the file was taken away: then nobody can see the lock on it."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)


@contextmanager
def dead_slots(folder: Path, mine: int) -> Iterator[list[str]]:
    """Slots whose process is gone, and `mine`, whose predecessor is; none of them can be taken meanwhile."""
    dead = [str(mine)]
    with ExitStack() as held:
        for path in folder.iterdir():
            if path.name != str(mine):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                if _locked(descriptor):
                    dead.append(path.name)
        yield dead


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
