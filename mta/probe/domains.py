"""What DNS says of our own domains: where their mail goes, and whether this machine may send for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from mta.authenticate.spf import check_spf
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.ports.resolver import Outcome, Resolver
from mta.probe.probe import Probe, Say, Surroundings, ok, warning

DOMAINS_MAX = 100
ADDRESSES_MAX = 4


@dataclass(frozen=True, slots=True)
class DomainProbe:
    """One accepted domain. Nothing here fails: mail may be meant to reach us, and the world, through others."""

    name: str
    hostname: str
    resolver: Resolver

    async def run(self, say: Say) -> None:
        await self._exchangers(say)
        await self._spf(say)

    async def _exchangers(self, say: Say) -> None:
        answer = await self.resolver.mx(self.name)
        if answer.outcome is Outcome.TEMPFAIL:
            say(warning("DNS does not answer about its MX records", "see the dns lines"))
        elif not answer.records:
            say(warning("it has no MX record: mail from outside hardly finds it", "publish one, unless that is meant"))
        else:
            say(ok(f"MX: {', '.join(record.host or '.' for record in answer.records[:10])}"))

    async def _spf(self, say: Say) -> None:
        v4, v6 = await asyncio.gather(self.resolver.a(self.hostname), self.resolver.aaaa(self.hostname))
        addresses = [*v4.records, *v6.records][:ADDRESSES_MAX]
        if not addresses:
            mend = "publish its address, if it sends to the internet itself"
            say(warning(f"{self.hostname} has no address in DNS, so SPF can't be tried", mend))
            return
        results = [await check_spf(self.resolver, ip, ("postmaster", self.name), self.hostname) for ip in addresses]
        for ip, result in zip(addresses, results, strict=True):
            reason = f" ({result.reason})" if result.reason else ""
            if result.result == "pass":
                say(ok(f"SPF lets {self.hostname} [{ip}] send"))
            elif result.result == "none":
                say(
                    warning(
                        "there is no SPF record", f'publish: {self.name}. IN TXT "v=spf1 mx a:{self.hostname} ~all"'
                    )
                )
            else:
                say(warning(
                    f"SPF of the domain says {result.result}{reason} to {self.hostname} [{ip}]",
                    f"add a:{self.hostname} to the record, if this machine sends to the internet itself",
                ))  # fmt: skip


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each accepted domain."""
    configuration: Configuration = surroundings.configuration
    hostname = domain_key(configuration.hostname)
    domains = sorted(configuration.accepted_domains)[:DOMAINS_MAX]
    return [DomainProbe(domain, hostname, surroundings.resolver) for domain in domains]
