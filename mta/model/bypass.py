"""Bypass: the administrator's switch that relays everything unstamped, at once, without a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Bypass:
    """Whether bypass was switched on, since when, and until when (None: until it is switched off)."""

    on: bool = False
    until: datetime | None = None
    since: datetime | None = None
    """None: it is off, or nobody knows."""

    def is_on(self, now: datetime) -> bool:
        """Whether mail is to be relayed unstamped at `now` (aware): it ends by itself at `until`."""
        return self.on and (self.until is None or now < self.until)
