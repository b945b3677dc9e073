"""Whom a listener's networks let in, and which of its clients they leave no use for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from mta.config.findings import Finding
from mta.config.listener_schema import Listener, Peer
from mta.config.types import Network
from mta.config.yaml_values import Loc

_MUCH = {4: 8, 6: 16}
"""Prefixes shorter than these are no organisation's."""
_MANY = {4: 16, 6: 32}
"""Public networks with shorter ones are those of providers."""
_BALANCERS = {4: 24, 6: 64}
_MAPPED = IPv6Network("::ffff:0:0/96")
_BALANCERS_ONLY = "list the addresses of the load balancers"
_YOURS = "list the addresses of your own servers"


def networks_of_listener(listener: Listener, loc: Loc) -> Iterator[Finding]:
    """Networks that are everybody, or that nobody is ever in; clients that are always somebody else."""
    yield from _mapped(listener.allowed_networks, (*loc, "allowed_networks"))
    yield from _mapped(listener.proxy_networks, (*loc, "proxy_networks"))
    if listener.role == "trusted" and not listener.clients:
        what = f"anybody could relay through trusted listener {listener.name!r}"
        mend = f"{_YOURS}, or say in clients what else they have to show"
        yield from _much(listener.allowed_networks, (*loc, "allowed_networks"), what, mend)
    what = "whoever connects from there is believed to be whom he says"
    yield from _much(listener.proxy_networks, (*loc, "proxy_networks"), what, _BALANCERS_ONLY)
    for index, peer in enumerate(listener.clients):
        here: Loc = (*loc, "clients", index)
        yield from _mapped(peer.networks, (*here, "networks"))
        if not (peer.certificates or peer.accounts):
            yield from _much(peer.networks, (*here, "networks"), f"client {peer.name!r} could be anybody", _YOURS)
        former = next((each for each in listener.clients[:index] if _is_shadowed(peer, each)), None)
        if former is not None and former.name != peer.name:
            what = f"client {peer.name!r} is always taken for {former.name!r}, which stands before it and asks no more"
            yield Finding(here, what, "put the one that asks more first")


def network_advice(listener: Listener, loc: Loc) -> Iterator[Finding]:
    """Networks that may be meant, and are wider than is usual."""
    for index, network in enumerate(listener.proxy_networks):
        if network.prefixlen < _BALANCERS[network.version]:
            what = f"everybody in {network} can say to be any client: only load balancers may be in there"
            yield Finding((*loc, "proxy_networks", index), what, _BALANCERS_ONLY)
    if listener.role != "trusted":
        return
    if not listener.clients:
        yield from _many(listener.allowed_networks, (*loc, "allowed_networks"))
    for index, peer in enumerate(listener.clients):
        here: Loc = (*loc, "clients", index)
        if not (peer.certificates or peer.accounts):
            yield from _many(peer.networks, (*here, "networks"))
        if listener.peer == "exchange" and not (peer.networks or peer.certificates or listener.allowed_networks):
            what = f"whoever signs in as {peer.name!r} is believed like Exchange, from anywhere"
            yield Finding(here, what, "give people and devices a listener without peer: exchange")


def _much(networks: Sequence[Network], loc: Loc, what: str, mend: str) -> Iterator[Finding]:
    """Also where several networks are everybody together."""
    before = False
    for index, network in enumerate(networks):
        if network.prefixlen < _MUCH[network.version]:
            before = True
            size = "everybody" if network.prefixlen == 0 else "much of the internet"
            yield Finding((*loc, index), f"{network} is {size}: {what}", mend)
    if not before:
        for network in _collapsed(networks):
            if network.prefixlen < _MUCH[network.version]:
                yield Finding(loc, f"together these are {network}, much of the internet: {what}", mend)


def _many(networks: Sequence[Network], loc: Loc) -> Iterator[Finding]:
    for index, network in enumerate(networks):
        if network.prefixlen < _MANY[network.version] and network.is_global:
            what = f"{network} are {network.num_addresses} addresses of the internet, and each of them may relay"
            yield Finding((*loc, index), what, f"{_YOURS}, or ask for certificates or accounts as well")


def _mapped(networks: Sequence[Network], loc: Loc) -> Iterator[Finding]:
    for index, network in enumerate(networks):
        if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            written = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
            what = f"nobody is ever in {network}: IPv4 clients have IPv4 addresses"
            yield Finding((*loc, index), what, f"write {written}")


def _collapsed(networks: Sequence[Network]) -> Iterator[Network]:
    yield from collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    yield from collapse_addresses(network for network in networks if isinstance(network, IPv6Network))


def _is_shadowed(peer: Peer, former: Peer) -> bool:
    """Whether whoever fits `peer` fits `former`, too."""
    if former.networks and not (peer.networks and all(_is_in(each, former.networks) for each in peer.networks)):
        return False
    is_signed_in = bool(peer.accounts) and "*" in former.accounts
    return _asks_no_more(former.certificates, peer.certificates) and (
        is_signed_in or _asks_no_more(former.accounts, peer.accounts)
    )


def _asks_no_more(former: Sequence[str], names: Sequence[str]) -> bool:
    return not former or (bool(names) and set(names) <= set(former))


def _is_in(network: Network, others: Sequence[Network]) -> bool:
    if isinstance(network, IPv4Network):
        return any(isinstance(other, IPv4Network) and network.subnet_of(other) for other in others)
    return any(isinstance(other, IPv6Network) and network.subnet_of(other) for other in others)
