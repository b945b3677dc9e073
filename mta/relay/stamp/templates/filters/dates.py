"""Dates and times in templates: written as a language writes them, and counted in days and years."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context

from mta.relay.stamp.templates.rendering import Rendering, rendering_of

if TYPE_CHECKING:
    from babel import Locale

STYLES = frozenset(("short", "medium", "long", "full"))
_TEXT_MAX = 80
_GENERALIZED = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d+)?Z\Z")
"""LDAP's GeneralizedTime (RFC 4517 §3.3.13), as Active Directory writes it."""
_YEAR = re.compile(r"\d{4}\Z")


@lru_cache(maxsize=256)
def locale_of(name: str) -> Locale | None:
    """The locale of a name like `de_AT`, `de-AT` or `de`; None where there is no such. Loads Babel."""
    from babel import Locale, UnknownLocaleError

    tag = re.split(r"[,;\s]", name.strip()[:_TEXT_MAX])[0].replace("-", "_")
    for candidate in (tag, tag.partition("_")[0]):
        with suppress(UnknownLocaleError, ValueError, TypeError):
            return Locale.parse(candidate)
    return None


def load_locales(names: Iterable[str]) -> None:
    """Read what writing dates in these languages needs."""
    from babel.dates import format_datetime

    for locale in filter(None, map(locale_of, {"en", *names})):
        format_datetime(datetime(2026, 12, 1), "full", locale=locale)  # noqa: DTZ001 - only formatted


def check_pattern(pattern: str) -> None:
    """Raises ValueError for what is neither a style nor a CLDR pattern, such as `d. MMMM y`."""
    from babel.dates import format_datetime, parse_pattern

    if len(pattern) > _TEXT_MAX:
        raise ValueError("too long")
    if pattern not in STYLES:
        parse_pattern(pattern).apply(datetime(2026, 12, 1), "en")  # noqa: DTZ001 - only formatted
        format_datetime(datetime(2026, 12, 1), pattern, locale="en")  # noqa: DTZ001 - only formatted


@pass_context
def date_text(context: Context, value: Any, style: str = "long", locale: str = "") -> str:
    """The day: `1 December 2026`. What is no date is printed as it is."""
    rendering = rendering_of(context)
    moment = _moment(value, rendering)
    if moment is None:
        return str(value)
    if value is rendering.now:
        rendering.today()
    from babel.dates import format_date

    return _printable(format_date(moment, _pattern(style), locale=_locale(rendering, locale)))


@pass_context
def time_text(context: Context, value: Any, style: str = "short", locale: str = "") -> str:
    """The time of day: `14:05`. What is no time is printed as it is."""
    rendering = rendering_of(context)
    moment = _moment(value, rendering)
    if not isinstance(moment, datetime):
        return str(value)
    from babel.dates import format_time

    return _printable(
        format_time(moment, _pattern(style), tzinfo=rendering.region.zone, locale=_locale(rendering, locale))
    )


@pass_context
def days_until(context: Context, value: Any) -> int | str:
    """Days from the day of acceptance to that day, less than 0 when it is past; "" for what is no date."""
    rendering = rendering_of(context)
    day = _day(value, rendering)
    return "" if day is None else (day - rendering.today()).days


@pass_context
def days_since(context: Context, value: Any) -> int | str:
    """Days from that day to the day of acceptance; "" for what is no date."""
    rendering = rendering_of(context)
    day = _day(value, rendering)
    return "" if day is None else (rendering.today() - day).days


@pass_context
def years_since(context: Context, value: Any) -> int | str:
    """Whole years from that day, or that year, to the day of acceptance; "" for what is no date."""
    rendering = rendering_of(context)
    day = _day(value, rendering)
    if day is None:
        return ""
    today = rendering.today()
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))


def _pattern(written: Any) -> str:
    if not isinstance(written, str) or len(written) > _TEXT_MAX:
        raise TemplateRuntimeError("date: no such pattern")
    return written


def _locale(rendering: Rendering, name: str) -> Locale:
    found = (name and locale_of(str(name))) or locale_of(rendering.region.locale) or locale_of("en")
    if found is None:
        raise TemplateRuntimeError("no locale")
    return found


def _printable(text: str) -> str:
    # CLDR writes narrow no-break spaces, which some fonts in mail programs lack.
    return text.replace("\u202f", "\u00a0")


def _day(value: Any, rendering: Rendering) -> date | None:
    moment = _moment(value, rendering)
    return moment.date() if isinstance(moment, datetime) else moment


def _moment(value: Any, rendering: Rendering) -> datetime | date | None:
    """The moment by the region's clocks, or a day alone."""
    if isinstance(value, int):
        value = str(value)
    if isinstance(value, str):
        value = parsed(str(value))
    if not isinstance(value, datetime):
        return value if isinstance(value, date) else None
    zone = rendering.region.zone
    try:
        return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)
    except OverflowError:
        return None


@lru_cache(maxsize=1024)
def parsed(text: str) -> datetime | date | None:
    """A day or moment as ISO 8601, RFC 5322, LDAP or a mere year writes it."""
    text = text.strip()
    if len(text) > _TEXT_MAX:
        return None
    with suppress(ValueError):
        if _YEAR.match(text):
            return date(int(text), 1, 1)
        if match := _GENERALIZED.match(text):
            year, month, day, hour, minute, second = (int(group or 0) for group in match.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if len(text) <= len("2026-12-01"):
            return date.fromisoformat(text)
        return datetime.fromisoformat(text)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return parsedate_to_datetime(text)
    return None
