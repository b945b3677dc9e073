"""Words for times that rules and templates have in common: time zones, weekdays, hours of the day."""

from __future__ import annotations

import re
from datetime import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mta.config.explain_errors import closest

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")


class ScheduleError(ValueError):
    """What is wrong with which key, and how to mend it."""

    def __init__(self, key: str, what: str, mend: str) -> None:
        super().__init__(what)
        self.key = key
        self.mend = mend


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name like `Europe/London`. Raises ScheduleError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        hint = closest(name, available_timezones())
        mend = hint if hint.startswith("did") else "write it as Europe/London"
        raise ScheduleError("timezone", f"no time zone {name!r}", mend) from exc


def weekdays_of(text: str) -> frozenset[int]:
    """Days of `mon-fri` or `mon,wed,sat-sun`, from 0 for Monday. Raises ScheduleError."""
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            raise ScheduleError("weekdays", f"{part!r} are no weekdays", "write mon-fri, or mon,wed,sat-sun")
        begin = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last) - begin) % 7 if dash else 0
        days.update((begin + n) % 7 for n in range(length + 1))
    return frozenset(days)


def hours_of(text: str) -> tuple[time, time]:
    """Begin and end of `08:00-18:00`; 24:00 is 00:00 of the next day. Raises ScheduleError."""
    match = _HOURS.match(text)
    try:
        if match is None:
            raise ValueError(text)
        begin, end = _clock(match[1], match[2]), _clock(match[3], match[4])
    except ValueError as exc:
        raise ScheduleError("hours", f"{text!r} are no hours", "write 08:00-18:00") from exc
    if begin == end:
        raise ScheduleError("hours", "the hours begin and end at the same time", "leave hours out for the whole day")
    return begin, end


def time_of(text: str) -> time:
    """A time of day as `07:00`. Raises ScheduleError."""
    hour, colon, minute = text.partition(":")
    try:
        if not colon or len(minute) != 2 or not (hour + minute).isdecimal():
            raise ValueError(text)
        return time(int(hour), int(minute))
    except ValueError as exc:
        raise ScheduleError("at", f"{text!r} is no time of day", "write 07:00") from exc


def _clock(hour: str, minute: str) -> time:
    return time(0, 0) if (int(hour), int(minute)) == (24, 0) else time(int(hour), int(minute))
