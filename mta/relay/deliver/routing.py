"""Which next hop a recipient's mail takes, and by which times it is tried again there."""

from __future__ import annotations

from collections.abc import Sequence

from mta.config.delivery_schema import MaildirHop, MxHop, NextHop, Retry, Routing
from mta.model.address import Address, domain_key
from mta.model.next_hop import NextHopName


class RoutingTable:
    """The configuration's `routing`: whole domains, then the longest `*.domain`, then sizes, then the default.

    What a rule names goes before all of these.
    """

    def __init__(self, routing: Routing, next_hops: Sequence[NextHop] = ()) -> None:
        self._default = routing.default
        self._exact: dict[str, str] = {}
        self._below: dict[str, str] = {}
        for domain, next_hop in routing.domains.items():
            if domain.startswith("*."):
                self._below[domain_key(domain[2:])] = next_hop
            else:
                self._exact[domain_key(domain)] = next_hop
        self._sizes = sorted(((size.over, size.next_hop) for size in routing.sizes), reverse=True)
        self._by_mx = frozenset(hop.name for hop in next_hops if isinstance(hop, MxHop))

    def next_hop(self, recipient: Address, size_octets: int = 0, named: str = "") -> str:
        """As `model.next_hop.NextHopOf` says; `*.example.com` does not cover example.com itself."""
        name = named or self._by_domain(recipient.domain_key) or self._by_size(size_octets)
        return str(NextHopName(name, recipient.domain_key)) if name in self._by_mx else name

    def _by_domain(self, domain: str) -> str | None:
        if (named := self._exact.get(domain)) is not None:
            return named
        while self._below and domain:
            domain = domain.partition(".")[2]
            if (named := self._below.get(domain)) is not None:
                return named
        return None

    def _by_size(self, size_octets: int) -> str:
        return next((name for over, name in self._sizes if size_octets > over), self._default)


class RetryTable:
    """When mail is tried again: by the next hop's own `retry` where it has one, else by the general one."""

    def __init__(self, general: Retry, next_hops: Sequence[NextHop] = ()) -> None:
        self._general = general
        self._own = {
            hop.name: hop.retry for hop in next_hops if not isinstance(hop, MaildirHop) and hop.retry is not None
        }

    def of(self, next_hop: str) -> Retry:
        """For a next hop by its name in the queue."""
        return self._own.get(NextHopName.parse(next_hop).hop, self._general) if self._own else self._general
