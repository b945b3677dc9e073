"""Mail with DKIM signatures, and what DNS says of their domains."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import dkim

from tests.unit.authenticate.test_dkim import Key
from tests.unit.tracking.scene import DOMAIN, NOW

_SIGNERS = ("customer.example.net", "stranger.example.org", DOMAIN)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@cache
def _key() -> Key:
    """One for all domains."""
    return Key.make()


def signed(message: bytes, domain: str) -> bytes:
    return bytes(dkim.sign(message, b"s1", domain.encode(), _key().pem)) + message


PUBLISHED: Mapping[str, Any] = {f"s1._domainkey.{each}": [("TXT", _key().record())] for each in _SIGNERS}
"""The keys of those who sign, and no policy."""


def policy_of(domain: str, wanted: str = "reject") -> Mapping[str, Any]:
    return {f"_dmarc.{domain}": [("TXT", f"v=DMARC1; p={wanted}")]}


def published(domain: str) -> Mapping[str, Any]:
    """All keys, and the policy of one."""
    return {**PUBLISHED, **policy_of(domain)}
