"""How much room the spool has."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mta import events

_LOOK_EVERY_S = 1.0
_USED_UP = 100_000
_NEAR = 64_000_000
"""So close to the reserve the file system is looked at each time: one second's mail takes less than this."""


class Room:
    """Free space above the reserve. Asking costs little: mostly, the file system is looked at once a second."""

    def __init__(self, folder: Path, *, reserve: int, inline_up_to: int) -> None:
        self._folder = folder
        self._reserve = reserve
        self._inline_up_to = inline_up_to
        self._free = 0
        self._looked_at = float("-inf")
        self._full_until = float("-inf")
        self._measured_at = float("-inf")
        self.is_short = False
        """Whether the last look found less than the reserve."""
        self.free_in_database = 0
        """Octets in the database's unused pages. A queue that was large once leaves a large file behind, and mail must
        be taken again although that file shrinks slowly. Whoever asks `fits` measures it where that is wanted."""

    def fits(self, size_octets: int) -> bool:
        """Whether a body of that size leaves the reserve untouched."""
        now = time.monotonic()
        if now < self._full_until:
            return False
        if now - self._looked_at >= _LOOK_EVERY_S or self._free - size_octets < self._reserve + _NEAR:
            self._look(now)
        reusable = self.free_in_database if size_octets <= self._inline_up_to else 0
        return self._free + reusable - size_octets >= self._reserve

    def has_plenty(self) -> bool:
        """Whether there is twice the reserve, for what may yet be done without."""
        return self.fits(self._reserve)

    def has_to_spare(self, size_octets: int) -> bool:
        """Whether three times the reserve is free, for what may never be wanted."""
        try:
            return self.fits(2 * self._reserve + size_octets)
        except OSError:
            return False

    def wants_measure(self) -> bool:
        """Whether `free_in_database` matters now and has not been asked for lately."""
        now = time.monotonic()
        if not self.is_short or now - self._measured_at < _LOOK_EVERY_S:
            return False
        self._measured_at = now
        return True

    @property
    def is_used_up(self) -> bool:
        """Whether nothing at all is free, reserve or not."""
        try:
            status = os.statvfs(self._folder)
        except OSError:
            return False
        return status.f_bavail * status.f_frsize < _USED_UP

    def note_full(self) -> None:
        """A write has failed for want of room: believe that for a while."""
        self._full_until = time.monotonic() + _LOOK_EVERY_S

    def _look(self, now: float) -> None:
        status = os.statvfs(self._folder)
        self._free = status.f_bavail * status.f_frsize
        self._looked_at = now
        was_short, self.is_short = self.is_short, self._free < self._reserve
        if self.is_short and not was_short:
            events.spool_full(free=self._free, reserve=self._reserve)
        elif was_short and not self.is_short:
            events.spool_has_room(free=self._free)
