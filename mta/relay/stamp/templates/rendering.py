"""One rendering of a template: what it may still use, what it is done with, and how long its result stays right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from jinja2 import TemplateRuntimeError
from jinja2.runtime import Context

TEXT_MAX = 100_000
"""Characters of one rendering, and of any text on the way to it."""
ITERATIONS_MAX = 2_000
CALLS_MAX = 2_000
PICTURES_MAX = 20
"""Pictures that one rendering may make; QR codes take their time."""
NAME = "stampline_rendering"
"""The name in a template's context under which filters find the rendering; templates can't say it."""
_UTC = ZoneInfo("UTC")


class LimitError(TemplateRuntimeError):
    """A template used more than it may."""


class PictureSource(NamedTuple):
    """A picture that HTML may show; `cid` and `filename` are what the HTML calls it."""

    cid: str
    filename: str
    content_type: str
    data: bytes
    digest: bytes
    url: str = ""
    """Where readers fetch it instead of getting it with the message."""


class Period(NamedTuple):
    """From `start`, included, to `end`, excluded; aware."""

    start: datetime
    end: datetime

    def meet(self, other: Period) -> Period:
        return Period(max(self.start, other.start), min(self.end, other.end))


ALWAYS = Period(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def day_of(moment: datetime, zone: ZoneInfo) -> Period:
    """The calendar day around the moment, by the zone's clocks."""
    day = moment.astimezone(zone).date()
    start = datetime.combine(day, time.min, zone).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)
    return Period(start, end) if start <= moment < end else minute_of(moment)


def minute_of(moment: datetime) -> Period:
    start = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return Period(start, start + timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Region:
    """Language and place that values are written for."""

    locale: str = "en"
    zone: ZoneInfo = _UTC
    country: str = ""
    """Two capital letters; "" where numbers without a country code can't be told."""


@dataclass(slots=True)
class Rendering:
    """What filters and tags know beyond their values."""

    now: datetime
    """The time of acceptance, by the clocks of the region."""
    key: str = ""
    """Names the message: equal for every attempt, and for copies of the message that come separately."""
    sender: str = ""
    region: Region = field(default_factory=Region)
    campaign: Mapping[str, str] = field(default_factory=dict)
    """Parameters that `link` adds, such as {"utm_source": "mail"}."""
    named: Mapping[str, PictureSource] = field(default_factory=dict)
    """The template's pictures by cid and by file name."""
    pictures: dict[str, PictureSource] = field(default_factory=dict)
    """Pictures made on the way, by cid: photos and QR codes."""
    period: Period = ALWAYS
    """The times of acceptance for which the result is the same."""
    is_of_message: bool = False
    """Whether something of this one message went into it."""
    iterations: int = ITERATIONS_MAX
    calls: int = CALLS_MAX

    def hold_for(self, period: Period) -> None:
        """Say that what is printed here is right for that period only."""
        self.period = self.period.meet(period)

    def add(self, picture: PictureSource) -> str:
        """Send a picture with the message; returns its address for `src`. Raises LimitError."""
        self.pictures[picture.cid] = picture
        if len(self.pictures) > PICTURES_MAX:
            raise LimitError(f"more than {PICTURES_MAX} pictures")
        return f"cid:{picture.cid}"

    def today(self) -> date:
        """The day of acceptance; from now on the result is right for that day only."""
        self.hold_for(day_of(self.now, self.region.zone))
        return self.now.date()


def rendering_of(context: Context) -> Rendering:
    return cast("Rendering", context[NAME])
