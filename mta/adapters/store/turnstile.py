"""A lock between processes that is handed over in turn."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from types import TracebackType

_flock = ctypes.PyDLL(None).flock
"""flock(2) without letting go of the interpreter lock, which the writer's thread would have to win back from a busy
event loop each time; only for calls that cannot block."""


class Turnstile:
    """An exclusive lock, fair between the processes that use the same two files.

    flock alone is not fair: who has just let go is running, and takes it again before a waiter has woken. So there are
    two locks. Who wants in takes the turnstile, waits there for the room, and opens the turnstile once inside: the
    process that leaves finds the turnstile taken by the one that waits, and queues behind it. Both locks die with
    their process, whatever kills it.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._turnstile = _open(folder / "turnstile.lock")
        try:
            self._room = _open(folder / "writer.lock")
        except OSError:
            os.close(self._turnstile)
            raise

    def __enter__(self) -> None:
        _take(self._turnstile)
        _take(self._room)
        _flock(self._turnstile, fcntl.LOCK_UN)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turnstile)
        os.close(self._room)


def _take(descriptor: int) -> None:
    if _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) != 0:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
