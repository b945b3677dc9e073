"""How the queue names a next hop: the configuration's name, a recipient's domain where it delivers by MX, the TLS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mta.model.address import Address
from mta.model.delivery import OF_DOMAIN, VERIFIED_TLS


@dataclass(frozen=True, slots=True)
class NextHopName:
    """`direct/example.net+tls` in parts; `parse` and `str` are each other's reverse."""

    hop: str
    """As the configuration calls it."""
    domain: str = ""
    """A domain key, where the next hop delivers to the servers of each recipient's domain."""
    over_tls: bool = False

    @classmethod
    @lru_cache(maxsize=4096)  # each message asks for the same few, several times
    def parse(cls, text: str) -> NextHopName:
        over_tls = text.endswith(VERIFIED_TLS)
        hop, _, domain = text.removesuffix(VERIFIED_TLS).partition(OF_DOMAIN)
        return cls(hop, domain, over_tls)

    def __str__(self) -> str:
        return self.hop + (OF_DOMAIN + self.domain if self.domain else "") + (VERIFIED_TLS if self.over_tls else "")


class NextHopOf(Protocol):
    """Where one recipient's mail goes, by its name in the queue (without VERIFIED_TLS)."""

    def __call__(self, recipient: Address, size_octets: int = 0, named: str = "") -> str:
        """`size_octets` of the received message; `named` by a rule, as the configuration calls it, or ""."""
        ...
