"""Which next hop a recipient's mail takes when no rule says so."""

from __future__ import annotations

from mta.config.delivery_schema import Routing
from mta.model.address import Address, domain_key


class RoutingTable:
    """The configuration's `routing`: whole domains first, then the longest `*.domain`, then the default."""

    def __init__(self, routing: Routing) -> None:
        self._default = routing.default
        self._exact: dict[str, str] = {}
        self._below: dict[str, str] = {}
        for domain, next_hop in routing.domains.items():
            if domain.startswith("*."):
                self._below[domain_key(domain[2:])] = next_hop
            else:
                self._exact[domain_key(domain)] = next_hop

    def next_hop(self, recipient: Address) -> str:
        """The name of the next hop for one recipient; `*.example.com` does not cover example.com itself."""
        domain = recipient.domain_key
        if (named := self._exact.get(domain)) is not None:
            return named
        while self._below and domain:
            domain = domain.partition(".")[2]
            if (named := self._below.get(domain)) is not None:
                return named
        return self._default
