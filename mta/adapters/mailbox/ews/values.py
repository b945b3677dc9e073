"""Times, binary values and addresses as EWS writes them."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,20}))?(?:(Z)|([+-])(\d\d):(\d\d))?\Z", re.ASCII
)
_NO_YEAR = 4500
"""MAPI writes "no time" as the year 4501."""


def time_of(text: str | None) -> datetime | None:
    """An xs:dateTime, in UTC if it names no zone; fractions beyond microseconds are cut off. None if it is none."""
    match = _TIME.match((text or "").strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    micro = int((match[7] or "0").ljust(6, "0")[:6])
    offset = timedelta() if match[9] is None else timedelta(hours=int(match[10]), minutes=int(match[11]))
    try:
        moment = datetime(year, month, day, hour, minute, second, micro, UTC)
        moment -= -offset if match[9] == "-" else offset
    except (ValueError, OverflowError):
        return None
    return moment if moment.year < _NO_YEAR else None


def time_text(moment: datetime) -> str:
    """As xs:dateTime in UTC, to the millisecond."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    millis = moment.microsecond // 1000
    return f"{text}.{millis:03}Z" if millis else f"{text}Z"


def octets_of(text: str | None) -> bytes:
    """base64Binary; b"" if it is none."""
    try:
        return base64.b64decode(text or "")
    except (binascii.Error, ValueError):
        return b""


def integer_of(text: str | None) -> int | None:
    """An xs:int; None if it is none."""
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def truth_of(text: str | None) -> bool:
    """An xs:boolean."""
    return (text or "").strip().lower() in ("true", "1")
