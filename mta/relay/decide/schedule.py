"""The dates, days and hours in which a rule is in force, or a condition holds."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from mta.config.clock_words import WEEKDAYS, ScheduleError, hours_of, weekdays_of, zone_of
from mta.relay.decide.shapes import ActiveTimes

LAST = 0
"""The last one of a month."""
_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "last": LAST,
}  # fmt: skip
_DAY_RANGE = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?\Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is in force, by the wall clock of `zone`. `until` is the last day.

    An hour that the clock skips in spring never is; one that it goes through twice in autumn is both times.
    """

    zone: ZoneInfo
    start: date | None = None
    until: date | None = None
    weekdays: frozenset[int] | None = None
    hours: tuple[time, time] | None = None
    """From, included, to, excluded; past midnight where the second is earlier; the day is that of the beginning."""
    days: frozenset[int] | None = None
    """Of the month, from 1; LAST is its last one."""
    nth_weekdays: frozenset[tuple[int, int]] | None = None
    """Of the month: (1 for the first to 5, or LAST; weekday)."""
    source: str = "active"

    def is_active(self, now: datetime) -> bool:
        """Whether it is in force at `now`, which is aware."""
        local = now.astimezone(self.zone)
        day, clock = local.date(), local.time()
        if self.hours is not None:
            begin, end = self.hours
            if begin < end:
                if not begin <= clock < end:
                    return False
            elif clock < end:
                day = date.fromordinal(day.toordinal() - 1)
            elif clock < begin:
                return False
        return self._is_day(day)

    def _is_day(self, day: date) -> bool:
        if self.start is not None and day < self.start:
            return False
        if self.until is not None and day > self.until:
            return False
        if self.weekdays is not None and day.weekday() not in self.weekdays:
            return False
        if self.days is None and self.nth_weekdays is None:
            return True
        month_days = monthrange(day.year, day.month)[1]
        if self.days is not None and day.day not in self.days and (day.day < month_days or LAST not in self.days):
            return False
        if self.nth_weekdays is None:
            return True
        weekday = day.weekday()
        is_last = day.day + 7 > month_days and (LAST, weekday) in self.nth_weekdays
        return is_last or ((day.day + 6) // 7, weekday) in self.nth_weekdays

    def value(self, now: datetime) -> str:
        """For an explanation."""
        return f"it is {now.astimezone(self.zone):%a %Y-%m-%d %H:%M} {self.zone.key}"


def compile_schedule(written: ActiveTimes, name: str = "active") -> Schedule:
    """`name` is the key under which it stands. Raises ScheduleError."""
    if written.from_ is not None and written.until is not None and written.until < written.from_:
        raise ScheduleError("until", f"until {written.until} is before from {written.from_}", "swap them")
    words = {key: value for key, value in written.model_dump(by_alias=True).items() if value is not None}
    if written.nth_weekday is not None:
        words["nth_weekday"] = ", ".join(written.nth_weekday)
    return Schedule(
        zone_of(written.timezone),
        written.from_,
        written.until,
        None if written.weekdays is None else weekdays_of(written.weekdays),
        None if written.hours is None else hours_of(written.hours),
        None if written.day is None else _days(written.day),
        None if written.nth_weekday is None else frozenset(map(_nth_weekday, written.nth_weekday)),
        f"{name}: " + ", ".join(f"{key} {value}" for key, value in words.items()),
    )


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        match = _DAY_RANGE.match(part)
        if part == "last":
            days.add(LAST)
        elif match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= 31:
            raise ScheduleError("day", f"{part!r} is no day of a month", "write 1, 1-7,15, or last")
        else:
            days.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(days)


def _nth_weekday(text: str) -> tuple[int, int]:
    which, _, day = text.lower().strip().partition(" ")
    number = _ORDINALS.get(which)
    day = day.strip()[:3]
    if number is None or day not in WEEKDAYS:
        raise ScheduleError(
            "nth_weekday", f"{text!r} is no weekday of a month", "write first mon, 2nd tue, or last fri"
        )
    return number, WEEKDAYS.index(day)
