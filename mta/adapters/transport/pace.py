"""How fast messages may follow each other: never more than so many within any period."""

from __future__ import annotations

import time
from collections.abc import Callable

from mta.config.types import Frequency

LOOK_AHEAD_S = 60.0


class Pace:
    """A tenth of the period's messages may go at once; the rest follow at equal distances (GCRA)."""

    def __init__(self, rate: Frequency | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_bounded = rate is not None
        if rate is None:
            return
        period_s = rate.period.total_seconds()
        burst = max(1, rate.most // 10)
        self._distance_s = period_s / (rate.most - burst + 1)
        self._slack_s = (burst - 1) * self._distance_s
        self._next_at = clock()

    def take(self) -> bool:
        """Send one now, if that may be."""
        if not self._is_bounded:
            return True
        now = self._clock()
        if now < self._next_at - self._slack_s:
            return False
        self._next_at = max(self._next_at, now) + self._distance_s
        return True

    def give_back(self) -> None:
        """What was taken is not sent."""
        if self._is_bounded:
            self._next_at -= self._distance_s

    @property
    def wait_s(self) -> float:
        """How long until one may be sent."""
        return max(0.0, self._next_at - self._slack_s - self._clock()) if self._is_bounded else 0.0

    def is_enough(self, waiting: int) -> bool:
        """Whether so many are all that can be sent soon, so that others had better wait elsewhere."""
        if not self._is_bounded:
            return False
        return self.wait_s > 0 and (waiting + 1) * self._distance_s > LOOK_AHEAD_S
