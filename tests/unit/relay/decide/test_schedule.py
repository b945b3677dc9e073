"""Days of the month, and what the clock does when it is put forward and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from mta.config.problems import ConfigurationError
from mta.relay.decide.rules import Rule
from tests.unit.relay.decide.situation import rule, rules


def scheduled(active: str) -> Rule:
    return rules(rule(f"active: {active}")).rules[0]


def is_active(active: str, now: str) -> bool:
    schedule = scheduled(active).schedule
    assert schedule is not None
    return schedule.is_active(datetime.fromisoformat(now).astimezone(UTC))


def days_of(active: str, year: int, month: int) -> list[int]:
    first = date(year, month, 1)
    days = [first + timedelta(days=n) for n in range(31)]
    return [day.day for day in days if day.month == month and is_active(active, f"{day}T12:00+00:00")]


@pytest.mark.parametrize(
    ("active", "year", "month", "expected"),
    [
        ("{day: 1}", 2026, 11, [1]),
        ("{day: '1-3, 15'}", 2026, 11, [1, 2, 3, 15]),
        ("{day: last}", 2028, 2, [29]),
        ("{day: '30,last'}", 2027, 2, [28]),
        ("{day: 31}", 2026, 11, []),
        ("{nth_weekday: first mon}", 2026, 11, [2]),
        ("{nth_weekday: [2nd tue, last fri]}", 2026, 11, [10, 27]),
        ("{nth_weekday: last sun}", 2026, 11, [29]),
        ("{nth_weekday: fifth mon}", 2026, 11, [30]),
        ("{nth_weekday: 5th tue}", 2026, 11, []),
        ("{nth_weekday: Last Monday}", 2026, 2, [23]),
        ("{weekdays: fri, day: 13}", 2026, 11, [13]),
        ("{day: 1-7, nth_weekday: first mon}", 2026, 11, [2]),
        ("{from: 2026-11-28, until: 2026-12-01}", 2026, 11, [28, 29, 30]),
        ("{until: 2026-11-02}", 2026, 11, [1, 2]),
    ],
)
def test_days_of_a_month(active: str, year: int, month: int, expected: list[int]) -> None:
    assert days_of(active, year, month) == expected


@pytest.mark.parametrize(
    ("active", "now", "expected"),
    [
        # Berlin goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
        ("{hours: '02:00-03:00', timezone: Europe/Berlin}", "2026-03-29T00:59+00:00", False),
        ("{hours: '02:00-03:00', timezone: Europe/Berlin}", "2026-03-29T01:00+00:00", False),
        ("{hours: '01:30-03:30', timezone: Europe/Berlin}", "2026-03-29T01:15+00:00", True),
        ("{hours: '02:00-03:00', timezone: Europe/Berlin}", "2026-10-25T00:30+00:00", True),
        ("{hours: '02:00-03:00', timezone: Europe/Berlin}", "2026-10-25T01:30+00:00", True),
        ("{hours: '02:00-03:00', timezone: Europe/Berlin}", "2026-10-25T02:00+00:00", False),
        ("{hours: '08:00-18:00', timezone: Europe/Berlin}", "2026-03-28T07:30+00:00", True),
        ("{hours: '08:00-18:00', timezone: Europe/Berlin}", "2026-03-29T06:30+00:00", True),
        ("{hours: '08:00-18:00', timezone: Europe/Berlin}", "2026-03-29T16:30+00:00", False),
        # The last day counts to its midnight by that zone's clock; its night shift belongs to it.
        ("{until: 2026-11-23, timezone: America/New_York}", "2026-11-24T04:59+00:00", True),
        ("{until: 2026-11-23, timezone: America/New_York}", "2026-11-24T05:00+00:00", False),
        ("{day: last, hours: '22:00-06:00'}", "2026-12-01T05:00+00:00", True),
        ("{day: 1, hours: '22:00-06:00'}", "2026-12-01T05:00+00:00", False),
        # Samoa left out 30 December 2011.
        ("{day: 30, timezone: Pacific/Apia}", "2011-12-30T10:00+00:00", False),
        ("{day: 31, timezone: Pacific/Apia}", "2011-12-30T10:00+00:00", True),
    ],
)
def test_zones(active: str, now: str, expected: bool) -> None:
    assert is_active(active, now) is expected


@pytest.mark.parametrize(
    ("active", "what"),
    [
        ("{day: 0}", "is no day of a month"),
        ("{day: '5-3'}", "is no day of a month"),
        ("{day: 32}", "is no day of a month"),
        ("{nth_weekday: sixth mon}", "is no weekday of a month"),
        ("{nth_weekday: first}", "is no weekday of a month"),
        ("{timezone: Europe/Berlin}", "says nothing"),
    ],
)
def test_what_makes_no_sense_is_reported(active: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        scheduled(active)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.mend
