"""`active`: the dates, weekdays and hours in which a rule is in force."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mta.config.explain_errors import closest
from mta.relay.decide.shapes import ActiveTimes

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")


class ScheduleError(ValueError):
    """What is wrong with which key of `active`, and how to mend it."""

    def __init__(self, key: str, what: str, mend: str) -> None:
        super().__init__(what)
        self.key = key
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule is in force, by the wall clock of `zone`. `until` is the last day."""

    zone: ZoneInfo
    start: date | None = None
    until: date | None = None
    weekdays: frozenset[int] | None = None
    hours: tuple[time, time] | None = None
    """From, included, to, excluded; past midnight where the second is earlier. The weekday is that of the beginning."""
    source: str = "active"

    def is_active(self, now: datetime) -> bool:
        """Whether the rule is in force at `now`, which is aware."""
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
        if self.start is not None and day < self.start:
            return False
        if self.until is not None and day > self.until:
            return False
        return self.weekdays is None or day.weekday() in self.weekdays

    def value(self, now: datetime) -> str:
        """For an explanation."""
        return f"it is {now.astimezone(self.zone):%a %Y-%m-%d %H:%M} {self.zone.key}"


def compile_schedule(written: ActiveTimes) -> Schedule:
    """Raises ScheduleError."""
    if written.from_ is not None and written.until is not None and written.until < written.from_:
        raise ScheduleError("until", f"until {written.until} is before from {written.from_}", "swap them")
    words = {key: value for key, value in written.model_dump(by_alias=True).items() if value is not None}
    return Schedule(
        _zone(written.timezone),
        written.from_,
        written.until,
        None if written.weekdays is None else _weekdays(written.weekdays),
        None if written.hours is None else _hours(written.hours),
        "active: " + ", ".join(f"{key} {value}" for key, value in words.items()),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        zones = available_timezones()
        hint = closest(name, zones)
        raise ScheduleError(
            "timezone", f"no time zone {name!r}", hint if hint.startswith("did") else "write it as Europe/London"
        ) from exc


def _weekdays(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ScheduleError("weekdays", f"{part!r} are no weekdays", "write mon-fri, or mon,wed,sat-sun")
        begin = _DAYS.index(first)
        length = (_DAYS.index(last) - begin) % 7 if dash else 0
        days.update((begin + n) % 7 for n in range(length + 1))
    return frozenset(days)


def _hours(text: str) -> tuple[time, time]:
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


def _clock(hour: str, minute: str) -> time:
    # 24:00 ends a day; as a time it is the next day's beginning.
    return time(0, 0) if (int(hour), int(minute)) == (24, 0) else time(int(hour), int(minute))
