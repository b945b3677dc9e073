"""Whether a next hop is left alone: opens after failed connections, lets single probes through, closes on success."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FAILURES_TO_OPEN = 3
"""Consecutive ones, each on all hosts of the next hop."""
FIRST_WAIT_S = 5.0
REFUSED_WAIT_S = 60.0
"""Where the next hop refuses our password: each try more may lock the account."""
LONGEST_WAIT_S = 300.0


class Circuit:
    """Pure state; `clock` is monotonic seconds, `chance` gives numbers from 0 to 1 for the jitter."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._wait_s = FIRST_WAIT_S
        self._probe_at: float | None = None
        self._opened_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether only probes may connect."""
        return self._probe_at is not None

    @property
    def has_failed(self) -> bool:
        """Whether no connection has stood since the last one failed."""
        return self._failures > 0

    @property
    def open_for_s(self) -> float:
        """How long it has been open, in seconds."""
        return self._clock() - self._opened_at if self.is_open else 0.0

    @property
    def is_probe_due(self) -> bool:
        return self._probe_at is not None and self._clock() >= self._probe_at

    def succeeded(self) -> bool:
        """A connection stands; whether that closed the circuit."""
        was_open = self.is_open
        self._failures, self._wait_s, self._probe_at = 0, FIRST_WAIT_S, None
        return was_open

    def failed(self, *, was_probe: bool, is_refusal: bool = False) -> float | None:
        """No host could be connected to; the seconds until the next probe if that opened the circuit (again).

        Attempts that began before the circuit opened and fail later change nothing. A refusal of our password opens it
        at once.
        """
        if self.is_open and not was_probe:
            return None
        self._failures += 1
        if is_refusal:
            self._wait_s = max(self._wait_s, REFUSED_WAIT_S)
        elif self._failures < FAILURES_TO_OPEN:
            return None
        if not self.is_open:
            self._opened_at = self._clock()
        wait_s = self._wait_s * (0.8 + 0.4 * self._chance())  # a fifth each way
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        self._probe_at = self._clock() + wait_s
        return wait_s
