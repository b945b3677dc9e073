"""How long a web server asks to be left alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def retry_after(value: str, now: datetime, *, longest: timedelta) -> timedelta | None:
    """What a Retry-After field says (RFC 9110 §10.2.3), no less than nothing; None for what is neither seconds nor a
    date."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=float(value)), longest)
    if value.isascii() and value.isdecimal():
        return longest
    try:
        at = parsedate_to_datetime(value)
        wait = at.replace(tzinfo=at.tzinfo or UTC) - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(timedelta(0), min(wait, longest))
