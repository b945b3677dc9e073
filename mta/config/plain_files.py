"""Files that are read whole: certificates, keys, accounts."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def require_plain(path: Path) -> None:
    """Raises OSError where it is none: reading a pipe or a device may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def who_else(path: Path) -> str:
    """What others than owner and group may do with it: "read", "write", or "" for nothing. Raises OSError."""
    mode = path.stat().st_mode
    return "write" if mode & stat.S_IWOTH else "read" if mode & stat.S_IROTH else ""
