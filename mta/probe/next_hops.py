"""Whether next hops can be reached, and would take our mail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mta.adapters.transport.connect_errors import ConnectError, NoRouteError
from mta.adapters.transport.mail_exchangers import MailExchangers, Ourselves
from mta.config.delivery_schema import Host, MaildirHop, MxHop, SmtpHop
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.ports.resolver import Resolver
from mta.probe.probe import Line, Probe, Say, Surroundings, failed, ok
from mta.probe.smtp_dialogue import examine_server
from mta.probe.smtp_server import SmtpServer
from mta.relay.following import postmaster

SERVERS_MAX = 10
"""Of one next hop."""


@dataclass(frozen=True, slots=True)
class SmtpHopProbe:
    """Each server of a next hop; of one by MX, those of the domains that routing sends there."""

    hop: SmtpHop | MxHop
    domains: tuple[str, ...]
    """For a next hop by MX."""
    server: SmtpServer
    """With everything but host and port."""
    ourselves: Ourselves
    resolver: Resolver
    now: datetime

    @property
    def name(self) -> str:
        return self.hop.name

    async def run(self, say: Say) -> None:
        servers = [server for host in self._hosts(say) for server in await self._servers(host, say)]
        known = {(server.host, server.port): server for server in servers}
        await asyncio.gather(*(self._try(server, say) for server in list(known.values())[:SERVERS_MAX]))

    def _hosts(self, say: Say) -> tuple[Host, ...]:
        if isinstance(self.hop, SmtpHop):
            return self.hop.hosts
        if not self.domains:
            say(ok("it delivers to the servers of each recipient's domain; no domain is routed to it by name"))
        return tuple(Host(mx=domain, port=self.hop.port) for domain in self.domains)

    async def _servers(self, host: Host, say: Say) -> list[SmtpServer]:
        if host.host:
            return [replace(self.server, host=host.host, port=host.port)]
        try:
            found = await self._exchangers().of(domain_key(host.mx))
        except (ConnectError, NoRouteError) as exc:
            say(failed(f"{host.mx}: {exc.reply.text}", "correct the name, or look at its MX records"))
            return []
        say(ok(f"MX of {host.mx}: {', '.join(exchanger.name for exchanger in found)}"))
        return [replace(self.server, host=each.name, port=host.port, addresses=each.addresses) for each in found]

    def _exchangers(self) -> MailExchangers:
        """As delivery looks them up."""
        if isinstance(self.hop, SmtpHop):
            return MailExchangers(lambda: self.resolver)
        return MailExchangers(
            lambda: self.resolver,
            ourselves=self.ourselves,
            port=self.hop.port,
            may_be_private=self.hop.private_addresses,
        )

    async def _try(self, server: SmtpServer, say: Say) -> None:
        def say_whose(line: Line) -> None:
            say(replace(line, what=f"{server.host}:{server.port}: {line.what}"))

        await examine_server(server, say_whose, self.now)


@dataclass(frozen=True, slots=True)
class MaildirProbe:
    """Whether a Maildir can be written."""

    hop: MaildirHop

    @property
    def name(self) -> str:
        return self.hop.name

    async def run(self, say: Say) -> None:
        fixed = Path(str(self.hop.folder).partition("{")[0])
        there = next((folder for folder in (fixed, *fixed.parents) if folder.exists()), Path("/"))
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            say(ok(f"{there} can be written"))
        else:
            say(failed(f"{there} can't be written by this user", "give the folder to the service's user"))


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each next hop."""
    configuration = surroundings.configuration
    for hop in configuration.next_hops:
        if isinstance(hop, MaildirHop):
            yield MaildirProbe(hop)
            continue
        domains = [domain for domain, name in configuration.routing.domains.items() if name == hop.name]
        named = tuple(domain_key(domain) for domain in domains if not domain.startswith("*."))
        server, ourselves = _server(configuration, hop), _ourselves(configuration)
        yield SmtpHopProbe(hop, named[:SERVERS_MAX], server, ourselves, surroundings.resolver, surroundings.now)


def _ourselves(configuration: Configuration) -> Ourselves:
    endpoints = frozenset((listener.address, listener.port) for listener in configuration.listeners)
    return Ourselves(domain_key(configuration.hostname), endpoints)


def _server(configuration: Configuration, hop: SmtpHop | MxHop) -> SmtpServer:
    tls, auth = hop.tls, hop.auth
    return SmtpServer(
        host="",
        port=25,
        hostname=domain_key(configuration.hostname),
        sender=str(postmaster(configuration)),
        tls=tls.mode,
        is_implicit=tls.implicit,
        ca_file=tls.ca_file,
        verify_name=tls.verify_name or "",
        fingerprints=tls.fingerprints,
        certificate=(tls.certificate, tls.key or tls.certificate) if tls.certificate is not None else None,
        user=auth.user if auth is not None else "",
        password=auth.password if auth is not None else None,
        clear_text=auth is not None and auth.clear_text,
        size_octets=max((listener.limits.size for listener in configuration.listeners), default=0),
    )
