"""Who may connect, and to whom a listener relays. Pure: relaying is denied unless something here allows it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from mta.model.address import Address, domain_key
from mta.model.envelope import ListenerRole
from mta.model.reply import Reply

RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
ROUTED_LOCAL_PART = Reply(550, "5.7.1", "Addresses with a route in the local part are not relayed")

_ROUTING_CHARACTERS = frozenset("%!@")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """One listener's policy. `accepted_domains` holds domain keys (lower-case A-labels)."""

    role: ListenerRole
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    accepted_domains: frozenset[str] = field(default_factory=frozenset)
    postmaster: str = ""
    """Key of the address that RCPT TO:<postmaster> stands for; accepted on every listener (RFC 5321 §4.5.1)."""
    has_clients: bool = False
    """Whether who connects is judged at MAIL, by what it has shown then."""

    def may_connect(self, ip: str) -> bool:
        """Whether a client address may use the listener. A trusted one with neither networks nor `clients` serves
        nobody."""
        if not self.allowed_networks:
            return self.role is ListenerRole.INBOUND or self.has_clients
        return in_networks(ip, self.allowed_networks)

    def judge_recipient(self, recipient: Address) -> Reply | None:
        """None where the listener relays to the recipient, else the refusal.

        The domain is what stands behind the last @, so `user%other@ours` is a mailbox of ours. Some next hops read a
        route in such a local part and would relay for strangers, so an inbound listener refuses it.
        """
        if self.role is ListenerRole.TRUSTED:
            return None
        is_ours = recipient.domain_key in self.accepted_domains or recipient.key == self.postmaster
        if not is_ours or _looks_like_another(recipient.domain):
            return RELAYING_DENIED
        if not _ROUTING_CHARACTERS.isdisjoint(unicodedata.normalize("NFKC", recipient.local)):
            return ROUTED_LOCAL_PART
        return None


def _looks_like_another(domain: str) -> bool:
    """Whether its A-labels lose letters of a domain.

    With a sharp s, say, it is the domain with `ss` by IDNA 2003 and one of its own by IDNA 2008: ours to us, and a
    stranger's to the next hop.
    """
    if domain.isascii():
        return False
    return domain_key(domain).encode("ascii").decode("idna") != unicodedata.normalize("NFC", domain).lower()


def plain_ip(ip: str) -> str:
    """A client's address as it should be logged and judged: IPv4 where it came to an IPv6 socket as such."""
    return ip.rpartition(":")[2] if ip.startswith("::ffff:") and "." in ip else ip


def counting_key(ip: str) -> str:
    """By what a client's connections are counted: one IPv6 client has a whole /64 to itself."""
    if ":" not in ip:
        return ip
    return f"{int(IPv6Address(ip.partition('%')[0])) >> 64:x}/64"


@lru_cache(maxsize=4096)
def in_networks(ip: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether a client's address is in one of them."""
    address = ip_address(plain_ip(ip).partition("%")[0])
    return any(address.version == network.version and address in network for network in networks)
