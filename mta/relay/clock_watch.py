"""Notices when the wall clock was set, or the machine slept: by a clock that only ever goes forwards.

Ages and due times are by the wall clock, because they have to outlive the process. So after a leap forwards the whole
queue would seem to have expired at once, and would be bounced at the next obstacle; for a while nothing expires then,
so that somebody (or NTP) can set the clock right, and next hops can be tried. After a leap backwards everything would
wait for times that are far ahead: it is tried at once instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from mta.ports.clock import SystemClock

LEAP_MIN = timedelta(minutes=5)
"""Less is no leap: it neither expires mail nor keeps it waiting for long."""
IN_DOUBT_S = 3600.0
"""How long after a leap forwards nothing expires."""


_wall_clock = SystemClock().now


class ClockWatch:
    """`look` now and then; `now` is the wall clock, `steady` a clock in seconds that nobody sets."""

    def __init__(self, now: Callable[[], datetime] = _wall_clock, steady: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._steady = steady
        self._offset = self._measured()
        self._in_doubt_until = float("-inf")

    @property
    def is_in_doubt(self) -> bool:
        """Whether ages by the wall clock may be wrong: nothing is given up for its age."""
        return self._steady() < self._in_doubt_until

    def look(self) -> timedelta:
        """By how much the wall clock has leapt since the last look; zero where it hasn't."""
        offset = self._measured()
        leap, self._offset = offset - self._offset, offset
        if abs(leap) < LEAP_MIN:
            return timedelta(0)
        self._in_doubt_until = self._steady() + IN_DOUBT_S if leap > timedelta(0) else float("-inf")
        return leap

    def _measured(self) -> datetime:
        return self._now() - timedelta(seconds=self._steady())
