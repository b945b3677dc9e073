"""When a deferred delivery is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

JITTER = 0.1
"""Up to this share is added to each wait, so that what was deferred together does not come back together."""


def next_attempt(
    attempts: int,
    now: datetime,
    schedule: Sequence[timedelta],
    *,
    chance: Callable[[], float] = random.random,
) -> datetime:
    """When to try again after `attempts` attempts (at least 1); the last wait of `schedule` repeats.

    `chance` gives a number from 0 up to 1.
    """
    wait = schedule[min(max(attempts, 1), len(schedule)) - 1]
    return now + wait * (1 + JITTER * chance())
