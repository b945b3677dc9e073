"""Notices that files have changed, by looking at them now and then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EVERY_S = 2.0
"""A change is taken up after the second look that sees it: files that belong together are seldom written at once."""

_Print = tuple[tuple[int, ...], ...]


class WatchedFiles:
    """Files that are in use together; what they are when this is made counts as known."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._known = self._last = self._print()

    def has_changed(self) -> bool:
        """Whether they are other files than those known, and have not changed since the last look. Says so once."""
        seen = self._print()
        is_at_rest, self._last = seen == self._last, seen
        if seen == self._known or not is_at_rest:
            return False
        self._known = seen
        return True

    def _print(self) -> _Print:
        return tuple(_looks(path) for path in self._paths)


def _looks(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError as exc:
        return (-1, exc.errno or 0)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
