"""When a campaign runs: days, weekdays and hours by the clocks of a place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from mta.config.clock_words import ScheduleError, hours_of, weekdays_of, zone_of
from mta.relay.stamp.templates.rendering import Period, day_of, minute_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """`until` is excluded; written as a day, it is the end of that day."""

    start: datetime | None = None
    until: datetime | None = None
    """Both naive, by the clocks of the place."""
    weekdays: frozenset[int] | None = None
    hours: tuple[time, time] | None = None
    """From, included, to, excluded; past midnight where the second is earlier; the day is that of the beginning."""
    zone: ZoneInfo | None = None

    @property
    def has_dates(self) -> bool:
        return self.start is not None or self.until is not None

    def runs(self, now: datetime, zone: ZoneInfo) -> tuple[bool, Period]:
        """Whether it runs at `now`, and for which period around it that is the answer. `zone` holds without an own."""
        zone = self.zone or zone
        local = now.astimezone(zone).replace(tzinfo=None)
        answer = self._runs(local)
        bounds = (self.start, self.until)
        by_clock = self.hours is not None or any(bound and bound.time() != time.min for bound in bounds)
        return answer, minute_of(now) if by_clock else day_of(now, zone)

    def _runs(self, local: datetime) -> bool:
        if self.hours is not None:
            begin, end = self.hours
            if begin < end:
                if not begin <= local.time() < end:
                    return False
            elif local.time() < end:
                local -= timedelta(days=1)
            elif local.time() < begin:
                return False
        if self.weekdays is not None and local.weekday() not in self.weekdays:
            return False
        return (self.start is None or local >= self.start) and (self.until is None or local < self.until)


@lru_cache(maxsize=1024)
def schedule_of(written: tuple[tuple[str, str], ...]) -> Schedule:
    """Keys and their texts: `from`, `until`, `weekdays`, `hours`, `timezone`. Raises ScheduleError."""
    given = dict(written)
    for key in given.keys() - {"from", "until", "weekdays", "hours", "timezone"}:
        raise ScheduleError(key, f"{key!r} is no key of a schedule", "use from, until, weekdays, hours, timezone")
    start = _moment("from", given["from"], is_end=False) if "from" in given else None
    until = _moment("until", given["until"], is_end=True) if "until" in given else None
    if start is not None and until is not None and until <= start:
        raise ScheduleError("until", f"until {given['until']} is before from {given['from']}", "swap them")
    return Schedule(
        start,
        until,
        weekdays_of(given["weekdays"]) if "weekdays" in given else None,
        hours_of(given["hours"]) if "hours" in given else None,
        zone_of(given["timezone"]) if "timezone" in given else None,
    )


def _moment(key: str, text: str, *, is_end: bool) -> datetime:
    try:
        if len(text) == len("2026-12-01"):
            return datetime.combine(date.fromisoformat(text) + timedelta(days=is_end), time.min)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            raise ValueError(text)
    except (ValueError, OverflowError) as exc:
        raise ScheduleError(key, f"{text!r} is no day", "write 2026-12-01, or 2026-12-01 18:00") from exc
    return moment
