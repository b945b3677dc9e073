"""Notices that files have changed, by looking at them now and then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EVERY_S = 2.0
"""A change is taken up after the second look that sees it: files that belong together are seldom written at once."""

AGAIN_AFTER = 30
"""Looks."""

_Print = tuple[tuple[int, ...], ...]


class WatchedFiles:
    """Files that are in use together; what they are when this is made counts as known. Each process has its own."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._known = self._last = self._print()
        self._looks_left = 0
        """Until it says so again of what could not be taken up; 0 where there is nothing of the kind."""

    def has_changed(self) -> bool:
        """Whether they are other files than those known, and have not changed since the last look. Says so once."""
        seen = self._print()
        is_at_rest, self._last = seen == self._last, seen
        if not is_at_rest:
            return False
        if seen == self._known:
            self._looks_left = max(self._looks_left - 1, 0)
            return self._looks_left == 1
        self._known, self._looks_left = seen, 0
        return True

    def say_again(self) -> None:
        """They could not be taken up, for a reason that may pass without another change to them."""
        self._looks_left = AGAIN_AFTER + 1

    def _print(self) -> _Print:
        return tuple(_looks(path) for path in self._paths)


def _looks(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError as exc:
        return (-1, exc.errno or 0)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
