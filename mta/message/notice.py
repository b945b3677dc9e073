"""Message-IDs of our own notices, which only we can make: what comes back with one is a loop, or a reply to it.

`<stampline-notice.NAME.MAC@DOMAIN>`; NAME is 26 characters of a digest of what the notice is about, so that the same
notice made again is the same message; MAC is the first 128 bits of HMAC-SHA256 over organisation and NAME. Both are
base32 in lower case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Sequence

HEADER = "X-Stampline-Notice"
"""Holds the same id: some servers give what they send a Message-ID of their own."""
_SHAPE = re.compile(r"<stampline-notice\.([a-z2-7]{26})\.([a-z2-7]{26})@[^@<>\s]{1,255}>\Z", re.IGNORECASE)


def make_notice_id(key: bytes, organisation: str, about: str, domain: str) -> str:
    """A Message-ID with its brackets. `about` names the notice: the same text gives the same Message-ID."""
    name = _base32(hashlib.sha256(about.encode("utf-8", "surrogatepass")).digest())
    return f"<stampline-notice.{name}.{_proof(key, organisation, name)}@{domain}>"


def is_notice_id(message_id: str, keys: Sequence[bytes], organisation: str) -> bool:
    """Whether this Message-ID (with brackets) was made by this organisation's tracking. Every key counts."""
    match = _SHAPE.match(message_id)
    if match is None:
        return False
    name, proof = match[1].lower(), match[2].lower()
    return any(hmac.compare_digest(_proof(key, organisation, name), proof) for key in keys)


def _proof(key: bytes, organisation: str, name: str) -> str:
    return _base32(hmac.digest(key, f"stampline-notice\0{organisation}\0{name}".encode(), "sha256"))


def _base32(octets: bytes) -> str:
    """128 bits of it, in 26 characters."""
    return b32encode(octets[:16]).decode().rstrip("=").lower()
