"""What one listener's sessions go by: its configuration, worked out once, with the replies that never change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from mta.config.listener_schema import Listener
from mta.model.address import Address
from mta.model.envelope import ListenerRole
from mta.relay.receive.access import AccessPolicy
from mta.relay.receive.clients import ClientPolicy
from mta.relay.receive.sasl import MECHANISMS


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Immutable; a reload replaces it, and sessions take the new one up at their next transaction."""

    name: str
    role: ListenerRole
    hostname: str
    policy: AccessPolicy
    clients: ClientPolicy
    postmaster: Address
    ssl_context: ssl.SSLContext | None
    tls_required: bool
    tls_implicit: bool
    proxy_networks: tuple[IPv4Network | IPv6Network, ...]
    smtputf8: bool
    normalise: bool
    """Bare CR or LF in a message become CRLF, instead of a refusal."""
    size_octets: int
    recipients: int
    connections: int
    connections_per_client: int | None
    """None for Exchange, whose addresses are few and whose connections many."""
    failed_logins: int
    errors: int
    junk_commands: int
    idle_s: float
    data_s: float
    peer: str
    """As in `Client.peer`."""
    banner: bytes
    helo: bytes
    ehlo_clear: bytes
    ehlo_tls: bytes


def listener_settings(
    listener: Listener,
    hostname: str,
    *,
    ssl_context: ssl.SSLContext | None,
    accepted_domains: frozenset[str],
    postmaster: Address,
    smtputf8: bool,
) -> ListenerSettings:
    """Raises ValueError where the listener offers TLS and there is no context."""
    offers_tls = listener.tls.mode != "none"
    if offers_tls and ssl_context is None:
        raise ValueError(f"listener {listener.name} offers TLS but has no certificate")
    role = ListenerRole(listener.role)
    limits = listener.limits
    return ListenerSettings(
        name=listener.name,
        role=role,
        hostname=hostname,
        policy=AccessPolicy(
            role, listener.allowed_networks, accepted_domains, postmaster.key, has_clients=bool(listener.clients)
        ),
        clients=ClientPolicy.of(listener),
        postmaster=postmaster,
        ssl_context=ssl_context if offers_tls else None,
        tls_required=listener.tls.mode == "required",
        tls_implicit=listener.tls.mode == "implicit",
        proxy_networks=listener.proxy_networks,
        smtputf8=smtputf8,
        normalise=listener.bare_line_ends == "normalise",
        size_octets=limits.size,
        recipients=limits.recipients,
        connections=limits.connections,
        connections_per_client=None if _is_known_exchange(listener) else limits.connections_per_client,
        failed_logins=limits.failed_logins,
        errors=limits.errors,
        junk_commands=limits.junk_commands,
        idle_s=limits.idle.total_seconds(),
        data_s=limits.data.total_seconds(),
        peer=listener.peer,
        banner=f"220 {hostname} ESMTP\r\n".encode("ascii"),
        helo=f"250 {hostname}\r\n".encode("ascii"),
        ehlo_clear=_ehlo(hostname, _extensions(listener, smtputf8=smtputf8, tls=False)),
        ehlo_tls=_ehlo(hostname, _extensions(listener, smtputf8=smtputf8, tls=True)),
    )


def _extensions(listener: Listener, *, smtputf8: bool, tls: bool) -> list[str]:
    """What EHLO offers, in clear text or under TLS."""
    limits = listener.limits
    offered = [f"SIZE {limits.size}", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
    offered.append(f"LIMITS RCPTMAX={limits.recipients}")
    if smtputf8:
        offered.append("SMTPUTF8")
    if listener.tls.mode in ("offered", "required") and not tls:
        offered.append("STARTTLS")
    if listener.accounts_file is not None and tls:
        offered.append(f"AUTH {' '.join(MECHANISMS)}")
    return offered


def _is_known_exchange(listener: Listener) -> bool:
    """Strangers who claim to be it before they have shown a certificate are limited as all others."""
    return listener.peer != "other" and bool(listener.allowed_networks)


def _ehlo(hostname: str, extensions: list[str]) -> bytes:
    lines = [hostname, *extensions]
    return "".join(f"250-{line}\r\n" for line in lines[:-1]).encode("ascii") + f"250 {lines[-1]}\r\n".encode("ascii")
