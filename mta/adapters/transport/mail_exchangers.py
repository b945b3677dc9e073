"""Which servers take a domain's mail (RFC 5321 §5.1): its MX records, or the domain itself where it has none."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from itertools import chain, zip_longest

from mta.adapters.transport.connect_errors import ConnectError, NoRouteError
from mta.model.reply import Reply
from mta.ports.resolver import Answer, MailExchanger, Outcome, Resolver

HOSTS_MAX = 10
"""Servers of one domain that are tried, the most preferred ones."""
ADDRESSES_MAX = 4
"""Of one server, of each family."""

_NAT64 = IPv6Network("64:ff9b::/96")
_NXDOMAIN = Reply(550, "5.1.2", "There is no such domain")
_NULL_MX = Reply(556, "5.1.10", "The domain takes no mail (null MX)")
_NO_ADDRESS = Reply(550, "5.4.4", "None of the domain's mail servers has an address")
_LOOP = Reply(550, "5.4.6", "The domain's mail would come back to us: its MX record is this relay")
_PRIVATE = Reply(550, "5.4.4", "The domain's mail servers have addresses of private networks only")


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One mail server; `name` as its certificate should have it."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ourselves:
    """By what a domain's MX record is known to be this relay."""

    hostname: str
    """A domain key."""
    endpoints: frozenset[tuple[str, int]] = frozenset()
    """(address, port) of our listeners; 0.0.0.0 and :: are all addresses of this machine."""

    def is_at(self, host: str, addresses: Iterable[str], port: int) -> bool:
        """Whether a server by that name, with these addresses, is us."""
        if host == self.hostname:
            return True
        ports = {mine for _, mine in self.endpoints}
        if port not in ports:
            return False
        return any(
            (address, port) in self.endpoints
            or ({("0.0.0.0", port), ("::", port)} & self.endpoints and _is_of_this_machine(address))  # noqa: S104
            for address in addresses
        )


class MailExchangers:
    """Looks up domains for one next hop; the resolver keeps answers for as long as they say."""

    def __init__(
        self,
        resolver: Callable[[], Resolver],
        *,
        ourselves: Ourselves | None = None,
        port: int = 25,
        may_be_private: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._resolver = resolver
        self._ourselves = ourselves
        self._port = port
        self._may_be_private = may_be_private
        self._chance = chance

    async def of(self, domain: str) -> Sequence[Exchanger]:
        """The servers to try, in this order: by preference, equals in random order.

        Where we are among them, only those that are preferred to us (RFC 5321 §5.1). Raises ConnectError where DNS does
        not say, and NoRouteError: no such domain (5.1.2), a null MX (5.1.10, RFC 7505), no addresses (5.4.4), or
        nobody who is preferred to us (5.4.6).
        """
        records = await self._records(domain)
        found = await asyncio.gather(*(self._addresses(record.host) for record in records))
        servers = self._before_us([(record, each or ()) for record, each in zip(records, found, strict=True)])
        usable = [(record, self._permitted(addresses)) for record, addresses in servers if addresses]
        if chosen := [Exchanger(record.host, addresses) for record, addresses in usable if addresses]:
            return chosen
        if None in found:
            raise _not_told(domain)
        raise NoRouteError(_PRIVATE if usable else _NO_ADDRESS)

    async def _records(self, domain: str) -> list[MailExchanger]:
        answer = await self._resolver().mx(domain)
        match answer.outcome:
            case Outcome.TEMPFAIL:
                raise _not_told(domain)
            case Outcome.NXDOMAIN:
                raise NoRouteError(_NXDOMAIN)
            case Outcome.NODATA:
                return [MailExchanger(0, domain)]
        records = [record for record in dict.fromkeys(answer.records) if record.host not in ("", ".")]
        if not records:
            raise NoRouteError(_NULL_MX)
        return sorted(records, key=lambda record: (record.preference, self._chance()))[:HOSTS_MAX]

    async def _addresses(self, host: str) -> tuple[str, ...] | None:
        """IPv4 and IPv6 in turn, in random order each; None where DNS does not say."""
        resolver = self._resolver()
        answers = await asyncio.gather(resolver.a(host), resolver.aaaa(host))
        families = [self._shuffled(answer) for answer in answers]
        if not any(families) and any(answer.outcome is Outcome.TEMPFAIL for answer in answers):
            return None
        return tuple(address for address in chain(*zip_longest(*families)) if address)

    def _shuffled(self, answer: Answer[str]) -> list[str]:
        addresses = {address: self._chance() for address in answer.records}
        return sorted(addresses, key=addresses.__getitem__)[:ADDRESSES_MAX]

    def _before_us(
        self, servers: list[tuple[MailExchanger, tuple[str, ...]]]
    ) -> list[tuple[MailExchanger, tuple[str, ...]]]:
        us = self._ourselves
        if us is None:
            return servers
        ours = [record.preference for record, addresses in servers if us.is_at(record.host, addresses, self._port)]
        if not ours:
            return servers
        before = [(record, addresses) for record, addresses in servers if record.preference < min(ours)]
        if not before:
            raise NoRouteError(_LOOP)
        return before

    def _permitted(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if self._may_be_private:
            return addresses
        return tuple(address for address in addresses if _is_public(address))


def _is_public(address: str) -> bool:
    """Whether it is an address of the internet: a stranger's MX record must not lead into our own network."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = IPv4Address(ip.packed[12:])
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_of_this_machine(address: str) -> bool:
    """Whether this machine has the address: only then can it be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _not_told(domain: str) -> ConnectError:
    return ConnectError(Reply(451, "4.4.3", f"DNS does not tell the mail servers of {domain} now"), "")
