"""Whether next hops can be reached, and would take our mail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mta.config.delivery_schema import Host, MaildirHop, MxHop, SmtpHop
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.ports.resolver import Outcome, Resolver
from mta.probe.probe import Line, Probe, Say, Surroundings, failed, ok, warning
from mta.probe.smtp_server import SmtpServer, examine_server
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
    resolver: Resolver
    now: datetime

    @property
    def name(self) -> str:
        return self.hop.name

    async def run(self, say: Say) -> None:
        hosts = self.hop.hosts if isinstance(self.hop, SmtpHop) else self._by_mx(say)
        servers: list[tuple[str, int]] = []
        for host in hosts:
            servers += await self._servers(host, say)
        await asyncio.gather(*(self._try(host, port, say) for host, port in dict.fromkeys(servers[:SERVERS_MAX])))

    def _by_mx(self, say: Say) -> tuple[Host, ...]:
        assert isinstance(self.hop, MxHop)
        if not self.domains:
            say(ok("it delivers to the servers of each recipient's domain; no domain is routed to it by name"))
        return tuple(Host(mx=domain, port=self.hop.port) for domain in self.domains)

    async def _servers(self, host: Host, say: Say) -> list[tuple[str, int]]:
        if host.host:
            return [(host.host, host.port)]
        answer = await self.resolver.mx(host.mx)
        if answer.outcome is Outcome.TEMPFAIL:
            say(failed(f"DNS does not answer for the MX records of {host.mx}", "see the dns lines"))
            return []
        if answer.outcome is Outcome.NXDOMAIN:
            say(failed(f"there is no domain {host.mx} in DNS", "correct the name"))
            return []
        if not answer.records:
            say(
                warning(
                    f"{host.mx} has no MX records, so mail goes to the address of that name", "see if that is meant"
                )
            )
            return [(host.mx, host.port)]
        exchangers = [record.host for record in answer.records if record.host not in ("", ".")]
        if not exchangers:
            say(failed(f"{host.mx} says by its MX record that it takes no mail (RFC 7505)", "route its mail elsewhere"))
        else:
            say(ok(f"MX of {host.mx}: {', '.join(exchangers[:SERVERS_MAX])}"))
        return [(name, host.port) for name in exchangers]

    async def _try(self, host: str, port: int, say: Say) -> None:
        def say_whose(line: Line) -> None:
            say(replace(line, what=f"{host}:{port}: {line.what}"))

        await examine_server(replace(self.server, host=host, port=port), say_whose, self.now)


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
        server = _server(configuration, hop)
        yield SmtpHopProbe(hop, named[:SERVERS_MAX], server, surroundings.resolver, surroundings.now)


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
