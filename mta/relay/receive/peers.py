"""Which of a listener's `clients` somebody is: by address, certificate and account. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.config.accounts_file import account_key
from mta.config.listener_schema import Peer
from mta.config.types import Network
from mta.model.reply import Reply
from mta.relay.receive.access import RELAYING_DENIED, in_networks
from mta.relay.receive.certificate_names import matching_name
from mta.relay.receive.senders import SenderRules, sender_rules

SIGN_IN_FIRST = Reply(530, "5.7.0", "Authentication required")
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client has shown of itself."""

    ip: str
    names: tuple[str, ...] = ()
    """In its verified certificate."""
    account: str = ""
    """That it signed in as."""


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """One item of `clients`, worked out."""

    name: str
    networks: tuple[Network, ...]
    certificates: tuple[str, ...]
    accounts: frozenset[str]
    """As account keys; empty: nobody has to sign in."""
    senders: SenderRules
    settings: Peer

    @classmethod
    def of(cls, peer: Peer) -> PeerPolicy:
        accounts = frozenset(each if each == EVERYBODY else account_key(each) for each in peer.accounts)
        return cls(peer.name, peer.networks, peer.certificates, accounts, sender_rules(peer.senders), peer)

    def missing(self, shown: Shown) -> tuple[str, ...]:
        """What it lacks to be this one: of "network", "certificate", "account"."""
        lacks = []
        if self.networks and not in_networks(shown.ip, self.networks):
            lacks.append("network")
        if self.certificates and not matching_name(self.certificates, shown.names):
            lacks.append("certificate")
        if self.accounts and not self._has_account(shown.account):
            lacks.append("account")
        return tuple(lacks)

    def _has_account(self, account: str) -> bool:
        return bool(account) and (EVERYBODY in self.accounts or account_key(account) in self.accounts)


@dataclass(frozen=True, slots=True)
class Stranger:
    """None of the listener's clients; `missing` tells for each what it lacks, for the log."""

    reply: Reply
    missing: str


def identify(peers: Sequence[PeerPolicy], shown: Shown) -> PeerPolicy | Stranger:
    """The first that fits. A stranger whom signing in could help is told so (530), any other is refused (550)."""
    lacking = []
    for peer in peers:
        lacks = peer.missing(shown)
        if not lacks:
            return peer
        lacking.append((peer.name, lacks))
    could_sign_in = not shown.account and any(lacks == ("account",) for _, lacks in lacking)
    missing = "; ".join(f"{name}: {', '.join(lacks)}" for name, lacks in lacking)
    return Stranger(SIGN_IN_FIRST if could_sign_in else RELAYING_DENIED, missing)
