"""Which file a path names at the moment: by that it is noticed that another one stands in its place, or none."""

from __future__ import annotations

from pathlib import Path


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is no such file, or it may not be looked at."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
