"""When a deferred delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mta.relay.spool.schedule import JITTER, next_attempt

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SCHEDULE = (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1))


@pytest.mark.parametrize(("attempts", "minutes"), [(0, 1), (1, 1), (2, 5), (3, 60), (4, 60), (1000, 60)])
def test_waits_follow_the_schedule_and_the_last_one_repeats(attempts: int, minutes: int) -> None:
    assert next_attempt(attempts, NOW, SCHEDULE, chance=lambda: 0.0) == NOW + timedelta(minutes=minutes)


def test_jitter_adds_up_to_its_share_and_never_shortens() -> None:
    assert next_attempt(3, NOW, SCHEDULE, chance=lambda: 0.5) == NOW + timedelta(hours=1) * (1 + JITTER / 2)
    due = {next_attempt(3, NOW, SCHEDULE) for _ in range(100)}
    assert len(due) > 1
    assert all(timedelta(hours=1) <= at - NOW <= timedelta(hours=1) * (1 + JITTER) for at in due)
