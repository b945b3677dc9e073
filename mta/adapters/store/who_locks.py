"""Which process holds the database's lock, for the log line that tells of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mta.adapters.store.place import FILES

_LOCKS = Path("/proc/locks")


def who_locks(folder: Path) -> str:
    """Processes other than this one that hold a write lock on the database's files; "" where nobody can be seen.

    /proc/locks rather than fcntl(F_GETLK): opening and closing the files here would drop our own locks on them.
    """
    inodes = set()
    for name in FILES:
        with suppress(OSError):
            state = (folder / name).stat()
            inodes.add(f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}")
    holders: set[int] = set()
    with suppress(OSError):
        for line in _LOCKS.read_text().splitlines():
            fields = line.split()  # "1: POSIX  ADVISORY  WRITE 1234 fd:00:2531452 0 EOF"
            if len(fields) >= 8 and fields[1] == "POSIX" and fields[3] == "WRITE" and fields[5] in inodes:
                holders.add(int(fields[4]))
    holders.discard(os.getpid())
    return ", ".join(f"process {pid}{_command(pid)}" for pid in sorted(holders) if pid > 0)


def _command(pid: int) -> str:
    with suppress(OSError):
        return f" ({(Path('/proc') / str(pid) / 'comm').read_text().strip()})"
    return ""
