"""How long to wait before something is tried again. Seconds."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from mta.model.tracking import Task

WAITS_S = (10.0, 60, 300, 900, 3600, 4 * 3600)
"""Of a task that failed by itself, by how often it was tried; the last one repeats."""
DOWN_WAITS_S = (5.0, 15, 30, 60, 120, 300, 600)
"""Of a target that can't be reached; the last one repeats."""
SIGN_IN_WAITS_S = (60.0, 300, 900, 1800, 3600)
"""Of a target that doesn't let us in: more attempts could lock the account."""
LONGEST_PAUSE = timedelta(days=1)
"""Whatever the other side asks for."""
AFTER_OWN_FAULT_S = 600.0
GIVE_UP_AFTER = timedelta(days=3)
"""Of notices and write-backs; sinks have their own."""
FAILING_MAX = 5
"""So many different tasks that fail one after the other mean that the target is down, whatever it answers."""
_JITTER = 0.2


def nth(waits: tuple[float, ...], attempts: int) -> float:
    """The wait after so many attempts, up to a fifth longer, so that what failed together doesn't come together."""
    return waits[min(attempts, len(waits) - 1)] * (1 + _JITTER * random.random())  # noqa: S311 - spreads load only


def next_attempt(task: Task, now: datetime, give_up_after: timedelta, retry_after: timedelta | None) -> datetime:
    """When a task that failed is tried again: the last time when it is to be given up, if not before."""
    wait = max(timedelta(seconds=nth(WAITS_S, task.attempts)), min(retry_after or timedelta(0), LONGEST_PAUSE))
    ends_at = begun_at(task) + give_up_after
    return min(now + wait, ends_at) if ends_at > now else now + wait


def begun_at(task: Task) -> datetime:
    """From when its age counts."""
    return task.begun_at or task.created_at
