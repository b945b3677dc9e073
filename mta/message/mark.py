"""Our own mark, `X-Stampline-Processed`: proof that this organisation's relay has processed a message already.

An HMAC-SHA256 over organisation, direction, Message-ID, Date and expiry; no body hash, for Exchange encodes bodies anew
between two passes. Honoured only from trusted listeners; that is the caller's part.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from calendar import timegm
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from urllib.parse import quote, unquote

HEADER = b"X-Stampline-Processed"
VALUE_MAX = 512
"""Octets; a longer value is none of ours."""

_VALUE = re.compile(
    rb"\s*v=1;\s*o=([A-Za-z0-9_.~%-]{1,300});\s*d=([a-z-]{0,20});\s*x=(\d{1,11});\s*b=([A-Za-z0-9_-]{43})\s*\Z"
)
_DIRECTION = re.compile(r"[a-z-]{0,20}\Z")
_ORGANISATION_MAX = 300
_DATE = re.compile(
    r"(?:[A-Za-z]{3},? )?(\d{1,2}) ([A-Za-z]{3}) ([1-9]\d{3}) (\d\d):(\d\d)(?::(\d\d))? ([+-]\d{4}|GMT|UTC|UT|Z)\b"
)
_MONTHS = {"janfebmaraprmayjunjulaugsepoctnovdec"[i * 3 : i * 3 + 3]: i + 1 for i in range(12)}
_DATE_MAX = 200


class MarkState(Enum):
    """What a mark found on a message is worth."""

    VALID = "valid"
    FORGED = "forged"
    """Not made with one of our keys for this message, or not a mark at all."""
    EXPIRED = "expired"
    FOREIGN = "foreign"
    """Made by, or for, another organisation."""


def make_mark(key: bytes, organisation: str, direction: str, message_id: str, date: str, expires: datetime) -> bytes:
    """The header's value: one printable ASCII line without a line end.

    `message_id` and `date` are the header's values, `expires` is aware. Raises ValueError for an organisation or
    direction that has no place in a header.
    """
    if not _DIRECTION.match(direction):
        raise ValueError("a direction is a word of up to 20 letters")
    name = _name_in_mark(organisation)
    stamp = int(expires.timestamp())
    proof = _proof(key, organisation, direction, message_id, date, stamp)
    return b"v=1; o=%b; d=%b; x=%d; b=%b" % (name, direction.encode(), stamp, proof)


@lru_cache(maxsize=16)
def _name_in_mark(organisation: str) -> bytes:
    name = quote(organisation, safe="")
    if not 0 < len(name) <= _ORGANISATION_MAX:
        raise ValueError(f"an organisation's name has 1 to {_ORGANISATION_MAX} octets")
    return name.encode()


def check_mark(
    keys: Sequence[bytes], value: bytes, organisation: str, message_id: str, date: str, now: datetime
) -> MarkState:
    """Judge a header's value (raw, folded or not) on a message with this Message-ID and Date.

    Every key counts, so that keys can be rotated. Never raises for what a stranger wrote.
    """
    match = _VALUE.match(value) if len(value) <= VALUE_MAX else None
    if match is None:
        return MarkState.FORGED
    if unquote(match[1].decode()) != organisation:
        return MarkState.FOREIGN
    expires = int(match[3])
    direction = match[2].decode()
    proofs = [_proof(key, organisation, direction, message_id, date, expires) for key in keys]
    if not any(hmac.compare_digest(proof, match[4]) for proof in proofs):
        return MarkState.FORGED
    return MarkState.VALID if now.timestamp() < expires else MarkState.EXPIRED


def _proof(key: bytes, organisation: str, direction: str, message_id: str, date: str, expires: int) -> bytes:
    """HMAC over length-prefixed fields, so that no two sets of fields encode alike; base64url without padding."""
    fields = (organisation, direction, message_id.strip(), _instant(date[:_DATE_MAX]), str(expires))
    encoded = [field.encode("utf-8", "backslashreplace") for field in fields]
    signed = b"stampline-mark-1" + b"".join([len(field).to_bytes(4, "big") + field for field in encoded])
    return urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")


@lru_cache(maxsize=64)  # all copies of a message have the same
def _instant(date: str) -> str:
    """The moment that a Date header names, as seconds: Exchange may write it anew in another zone."""
    text = " ".join(date.split())
    match = _DATE.match(text)
    month = _MONTHS.get(match[2].lower()) if match else None
    if match is None or month is None:
        return text
    offset_s = 0
    if match[7][0] in "+-":
        offset_s = (int(match[7][1:3]) * 60 + int(match[7][3:])) * 60 * (-1 if match[7][0] == "-" else 1)
    seconds = timegm((int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6] or 0)))
    return str(seconds - offset_s)
