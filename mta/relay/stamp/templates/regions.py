"""Language, clocks and country of a template: its own, else the organisation's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mta.config.clock_words import ScheduleError, zone_of
from mta.relay.stamp.templates.filters.dates import locale_of
from mta.relay.stamp.templates.rendering import Region

COUNTRY = re.compile(r"[A-Z]{2}\Z")


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """As `template.yaml` has them; "" for what it doesn't say."""

    locale: str = ""
    timezone: str = ""
    country: str = ""

    def region(self, organisation: Mapping[str, str]) -> Region:
        return _region(
            self.locale or organisation.get("locale", ""),
            self.timezone or organisation.get("timezone", ""),
            self.country or organisation.get("country", ""),
        )


@lru_cache(maxsize=256)
def _region(locale: str, timezone: str, country: str) -> Region:
    default = Region()
    zone = default.zone
    if timezone and not any(key == "timezone" for key, _, _ in region_troubles({"timezone": timezone})):
        zone = zone_of(timezone)
    return Region(locale or default.locale, zone, country if COUNTRY.match(country) else "")


def region_troubles(given: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong and how to mend it. Loads Babel where a locale is given."""
    if (locale := given.get("locale")) and locale_of(locale) is None:
        yield "locale", f"no locale {locale!r}", "write it as en_GB"
    if timezone := given.get("timezone"):
        try:
            zone_of(timezone)
        except ScheduleError as exc:
            yield "timezone", str(exc), exc.mend
    if (country := given.get("country")) and not COUNTRY.match(country):
        yield "country", f"{country!r} is no country", "write two capital letters, such as GB"
