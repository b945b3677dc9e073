"""Hours of monitored mailboxes, for any days, hours and zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.config.clock_words import WEEKDAYS
from mta.config.mailbox_hours import Schedule
from mta.config.tracking_schema import Hours

MINUTE = timedelta(minutes=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", ""]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    begin, length = draw(st.integers(0, 1439)), draw(st.integers(1, 1439))
    end = (begin + length) % 1440
    hours: dict[str, Any] = {
        "hours": f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}",
        "timezone": draw(st.sampled_from(ZONES)),
        "repeat": draw(st.sampled_from(["daily", "weekly", "monthly", "yearly"])),
        "weekdays": draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1)),
        "days": draw(st.sets(st.integers(1, 31), min_size=1, max_size=3)),
        "months": draw(st.sets(st.integers(1, 12), min_size=1, max_size=3)),
    }
    if draw(st.booleans()):
        hours["start"] = draw(st.dates(date(2026, 1, 1), date(2028, 1, 1)))
    if draw(st.booleans()):
        hours["end"] = draw(st.dates(date(2026, 1, 1), date(2028, 1, 1)))
    return Schedule.of(Hours.model_validate(hours))


moments = st.integers(0, 2 * 366 * 86400).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(0, seconds))


@given(schedules(), moments)
@settings(deadline=None, max_examples=150)
def test_the_next_one_is_open_and_none_before_it_is(schedule: Schedule, after: datetime) -> None:
    then = schedule.next_open(after)
    if then is None:
        assert not any(schedule.is_open(after + timedelta(hours=7 * number)) for number in range(2000))
        return
    assert then >= after
    assert schedule.is_open(then)
    if then > after:
        assert then.second == then.microsecond == 0
        assert not schedule.is_open(then - MINUTE)
        between = (then - after) / 97
        assert not any(schedule.is_open(after + number * between) for number in range(97))


@given(schedules(), moments)
@settings(deadline=None, max_examples=150)
def test_it_is_the_time_that_counts_and_not_how_it_is_written(schedule: Schedule, moment: datetime) -> None:
    assert schedule.is_open(moment) == schedule.is_open(moment.astimezone())


@given(schedules(), moments)
@settings(deadline=None, max_examples=100)
def test_nothing_before_the_start_or_after_the_end(schedule: Schedule, moment: datetime) -> None:
    if schedule.is_open(moment):
        day = moment.astimezone(schedule.zone).date()
        assert schedule.hours.start is None or day >= schedule.hours.start
        assert schedule.hours.end is None or day <= schedule.hours.end + timedelta(days=1)
