"""When a mailbox is polled: days, hours, time zone. Nothing here reads a clock.

A span of hours belongs to the day on which it begins: `22:00-06:00` of a Friday goes on until Saturday morning. It is
compared with the clock on the wall, so what a change to summer time leaves out is left out, and what autumn repeats is
repeated.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from mta.config.clock_words import WEEKDAYS, ScheduleError, zone_of
from mta.config.tracking_schema import Hours

_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_CHANGE_MAX = timedelta(hours=3)
"""No clock on a wall is set by more at once, but where a country moves over the date line."""
_AHEAD_DAYS = 800
"""What doesn't come within so many days never comes: a yearly day has come twice by then."""

_EARLIEST = date(1970, 1, 1)
_LAST_DAY = date(9990, 1, 1)
"""The calendar ends soon after."""


@dataclass(frozen=True, slots=True)
class Schedule:
    hours: Hours
    begins: int
    """Minutes after midnight."""
    ends: int
    """The same; above 1440 on the next day."""
    zone: tzinfo | None
    """None: this machine's."""

    @classmethod
    def of(cls, hours: Hours) -> Schedule:
        """Raises ScheduleError."""
        begins, ends = _minutes(hours.hours)
        return cls(hours, begins, ends, zone_of(hours.timezone) if hours.timezone else None)

    def is_open(self, now: datetime) -> bool:
        """Whether the mailbox is polled at this (aware) time."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today = local.date()
        if self.begins <= minute < self.ends and self._is_day(today):
            return True
        return minute + 1440 < self.ends and today > date.min and self._is_day(today - _DAY)

    def next_open(self, after: datetime) -> datetime | None:
        """The first whole minute from then on at which it is open, `after` itself if it is; None: it never is."""
        if self.is_open(after):
            return after
        first = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        for day in self._days(after.astimezone(self.zone).date()):
            begin, end = self._moment(day, self.begins) - _CHANGE_MAX, self._moment(day, self.ends) + _CHANGE_MAX
            moment = max(first, begin)
            while moment < end:
                if self.is_open(moment):
                    return moment
                moment += _MINUTE
        return None

    def never_comes(self) -> bool:
        """Whether no day from its start on is one of its days. It doesn't hang on today: time makes nothing wrong."""
        if self.hours.start is None:
            return False  # some year had such a day
        return next(self._days(max(self.hours.start, _EARLIEST)), None) is None

    def _days(self, today: date) -> Iterator[date]:
        """Those that match, from yesterday on, whose hours may last until today."""
        day = today - _DAY
        if self.hours.start is not None and self.hours.start > day:
            day = self.hours.start
        for _ in range(_AHEAD_DAYS):
            if day > _LAST_DAY:
                return
            if self._is_day(day):
                yield day
            day += _DAY

    def _moment(self, day: date, minutes: int) -> datetime:
        local = datetime.combine(day, time()) + timedelta(minutes=minutes)
        return (local.replace(tzinfo=self.zone) if self.zone is not None else local).astimezone(UTC)

    def _is_day(self, day: date) -> bool:
        hours = self.hours
        if (hours.start is not None and day < hours.start) or (hours.end is not None and day > hours.end):
            return False
        match hours.repeat:
            case "daily":
                return True
            case "weekly":
                return not hours.weekdays or WEEKDAYS[day.weekday()] in hours.weekdays
            case "monthly":
                return self._is_day_of_month(day)
        return (not hours.months or day.month in hours.months) and self._is_day_of_month(day)

    def _is_day_of_month(self, day: date) -> bool:
        days = self.hours.days
        last = monthrange(day.year, day.month)[1]
        return not days or day.day in days or (day.day == last and max(days) > last)


def _minutes(text: str) -> tuple[int, int]:
    match = _HOURS.match(text)
    if match is None:
        raise ScheduleError("hours", f"{text!r} are no hours", "write 08:00-18:00, or 22:00-06:00 past midnight")
    numbers = [int(each) for each in match.groups()]
    begins, ends = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if numbers[1] > 59 or numbers[3] > 59 or begins >= 1440 or ends > 1440:
        raise ScheduleError("hours", f"{text!r} are no hours", "hours are 00:00 to 23:59, and 24:00 as an end")
    if begins == ends:
        raise ScheduleError("hours", "they begin and end at the same time", "write 00:00-24:00 for the whole day")
    return begins, ends if ends > begins else ends + 1440
