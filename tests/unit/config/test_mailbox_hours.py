"""When a monitored mailbox is polled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mta.config.clock_words import ScheduleError
from mta.config.mailbox_hours import Schedule
from mta.config.tracking_schema import Hours


def schedule(**hours: Any) -> Schedule:
    return Schedule.of(Hours.model_validate({"timezone": "UTC", **hours}))


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        ({}, "2026-11-22 00:00", True),
        ({}, "2026-11-22 23:59", True),
        ({"hours": "08:00-18:00"}, "2026-11-22 07:59", False),
        ({"hours": "08:00-18:00"}, "2026-11-22 08:00", True),
        ({"hours": "08:00-18:00"}, "2026-11-22 17:59", True),
        ({"hours": "08:00-18:00"}, "2026-11-22 18:00", False),
        ({"hours": "22:00-06:00"}, "2026-11-22 21:59", False),
        ({"hours": "22:00-06:00"}, "2026-11-22 23:30", True),
        ({"hours": "22:00-06:00"}, "2026-11-22 05:59", True),
        ({"hours": "22:00-06:00"}, "2026-11-22 06:00", False),
        ({"hours": "22:00-24:00"}, "2026-11-22 23:59", True),
        ({"hours": "22:00-24:00"}, "2026-11-22 00:00", False),
        # The 22nd of November 2026 is a Sunday. A Saturday's night goes on into it.
        ({"repeat": "weekly", "weekdays": ["sat"], "hours": "22:00-06:00"}, "2026-11-22 03:00", True),
        ({"repeat": "weekly", "weekdays": ["sun"], "hours": "22:00-06:00"}, "2026-11-22 03:00", False),
        ({"repeat": "weekly", "weekdays": ["mon", "fri"]}, "2026-11-22 12:00", False),
        ({"repeat": "weekly", "weekdays": ["mon", "fri"]}, "2026-11-23 12:00", True),
        ({"repeat": "monthly", "days": [1, 22]}, "2026-11-22 12:00", True),
        ({"repeat": "monthly", "days": [31]}, "2026-11-30 12:00", True),
        ({"repeat": "monthly", "days": [31]}, "2026-10-30 12:00", False),
        ({"repeat": "monthly", "days": [30]}, "2028-02-29 12:00", True),
        ({"repeat": "yearly", "months": [11], "days": [22]}, "2026-11-22 12:00", True),
        ({"repeat": "yearly", "months": [11], "days": [22]}, "2026-10-22 12:00", False),
        ({"start": "2026-11-23"}, "2026-11-22 23:59", False),
        ({"start": "2026-11-23"}, "2026-11-23 00:00", True),
        ({"end": "2026-11-22"}, "2026-11-22 23:59", True),
        ({"end": "2026-11-22"}, "2026-11-23 00:00", False),
        ({"end": "2026-11-22", "hours": "22:00-06:00"}, "2026-11-23 05:00", True),
        ({"start": "2026-11-23", "hours": "22:00-06:00"}, "2026-11-23 05:00", False),
        ({"timezone": "America/New_York", "hours": "08:00-18:00"}, "2026-11-22 12:59", False),
        ({"timezone": "America/New_York", "hours": "08:00-18:00"}, "2026-11-22 13:00", True),
        # 02:00 to 03:00 is left out on 29 March, and comes twice on 25 October.
        ({"timezone": "Europe/Berlin", "hours": "02:00-03:00"}, "2026-03-29 01:30", False),
        ({"timezone": "Europe/Berlin", "hours": "02:30-04:00"}, "2026-03-29 01:00", True),
        ({"timezone": "Europe/Berlin", "hours": "02:00-03:00"}, "2026-10-25 00:30", True),
        ({"timezone": "Europe/Berlin", "hours": "02:00-03:00"}, "2026-10-25 01:30", True),
        ({"timezone": "Europe/Berlin", "hours": "02:00-03:00"}, "2026-10-25 02:00", False),
    ],
)
def test_open_or_not(hours: dict[str, Any], moment: str, is_open: bool) -> None:
    assert schedule(**hours).is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("hours", "after", "then"),
    [
        ({}, "2026-11-22 12:34:56", "2026-11-22 12:34:56"),
        ({"hours": "08:00-18:00"}, "2026-11-22 18:00:01", "2026-11-23 08:00"),
        ({"repeat": "weekly", "weekdays": ["fri"]}, "2026-11-22 12:00", "2026-11-27 00:00"),
        ({"repeat": "monthly", "days": [31], "hours": "06:00-07:00"}, "2026-11-30 07:00", "2026-12-31 06:00"),
        ({"repeat": "yearly", "months": [2], "days": [29]}, "2026-03-01 00:00", "2027-02-28 00:00"),
        ({"start": "2031-05-05", "hours": "09:00-10:00"}, "2026-11-22 12:00", "2031-05-05 09:00"),
        ({"timezone": "Europe/Berlin", "hours": "02:30-04:00"}, "2026-03-28 12:00", "2026-03-29 01:00"),
        ({"timezone": "Europe/Berlin", "hours": "02:00-03:00"}, "2026-03-28 12:00", "2026-03-30 00:00"),
        ({"end": "2026-11-21"}, "2026-11-22 12:00", None),
        ({"repeat": "yearly", "months": [2], "days": [1], "end": "2027-01-31"}, "2026-11-22 12:00", None),
    ],
)
def test_when_it_is_open_next(hours: dict[str, Any], after: str, then: str | None) -> None:
    assert schedule(**hours).next_open(at(after)) == (at(then) if then is not None else None)


@pytest.mark.parametrize(
    "text",
    ["", "8-18", "08:00", "25:00-26:00", "08:60-09:00", "24:00-06:00", "08:00-24:01", "08:00-08:00", "0:00-0:00"],
)
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(ScheduleError):
        schedule(hours=text)


def test_the_last_and_the_first_day_that_there_are() -> None:
    assert schedule(start="9999-12-31").next_open(at("2026-11-22 12:00")) is None
    assert schedule(hours="22:00-06:00").is_open(datetime(1, 1, 1, 3, tzinfo=UTC)) is False


@pytest.mark.parametrize(
    ("hours", "never"),
    [
        ({}, False),
        ({"end": "2020-01-01"}, False),
        ({"repeat": "yearly", "months": [2], "days": [30], "end": "2020-01-01"}, False),
        ({"start": "2019-12-30", "end": "2020-01-01", "repeat": "weekly", "weekdays": ["mon"]}, False),
        ({"start": "2019-12-31", "end": "2020-01-01", "repeat": "weekly", "weekdays": ["mon"]}, True),
        ({"start": "2031-03-01", "end": "2032-02-01", "repeat": "yearly", "months": [2], "days": [30]}, True),
        ({"start": "0001-01-01"}, False),
        ({"start": "9999-01-01"}, True),
    ],
)
def test_whether_it_ever_comes_does_not_hang_on_today(hours: dict[str, Any], never: bool) -> None:
    assert schedule(**hours).never_comes() is never
