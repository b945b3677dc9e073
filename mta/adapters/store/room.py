"""How much room the spool has."""

from __future__ import annotations

import os
import time
from pathlib import Path

_LOOK_EVERY_S = 1.0
_EVERYTHING = 1 << 62


class Room:
    """Free space above the reserve. Asking costs next to nothing: the file system is looked at once a second."""

    def __init__(self, folder: Path, *, reserve: int, inline_up_to: int) -> None:
        self._folder = folder
        self._reserve = reserve
        self._inline_up_to = inline_up_to
        self._free = 0
        self._taken = 0
        self._looked_at = float("-inf")
        self.free_in_database = 0
        """Octets in the database's unused pages. A queue that was large once leaves a large file behind, and mail must
        be taken again although that file shrinks slowly. Whoever asks `fits` sets it where `wants_measure` is true."""
        self.wants_measure = False
        self.is_short = False
        """Whether the last look found less than the reserve."""

    def fits(self, size_octets: int) -> bool:
        """Whether a body of that size leaves the reserve untouched."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._look(now)
        reusable = self.free_in_database if size_octets <= self._inline_up_to else 0
        return self._free + reusable - self._taken - size_octets >= self._reserve

    def take(self, size_octets: int) -> None:
        """Count a body that is being stored until the next look at the file system shows it."""
        self._taken += size_octets

    def note_full(self) -> None:
        """A write has failed for want of room: believe that until the next look."""
        self._looked_at = time.monotonic()
        self._taken = _EVERYTHING

    def look_again(self) -> None:
        """Don't trust the last look any more."""
        self._looked_at = float("-inf")

    def _look(self, now: float) -> None:
        status = os.statvfs(self._folder)
        self._free = status.f_bavail * status.f_frsize
        self._taken = 0
        self._looked_at = now
        self.is_short = self.wants_measure = self._free < self._reserve
