"""Keeps what rules take out of messages: in files of its own folder, on disk before the message goes on without it."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def keep_file(folder: Path, name: str, octets: bytes) -> None:
    """Write a file once and sync it and its folder; under a name that is there already the same octets are.

    An attempt after a crash writes it again, or finds it. Raises OSError, and leaves nothing half written then.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if path.is_file() and not path.is_symlink() and path.stat().st_size == len(octets):
        os.utime(path)  # whoever clears the folder by age keeps what came again
        return
    unfinished = folder / f".{name[:60]}.{os.getpid()}-{threading.get_ident()}.unfinished"
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
