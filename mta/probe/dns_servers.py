"""Whether each configured DNS server answers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from mta.adapters.dns.resolver import DnsResolver
from mta.config.schema import Configuration
from mta.ports.resolver import Outcome
from mta.probe.probe import Probe, Say, Surroundings, failed, ok


@dataclass(frozen=True, slots=True)
class DnsServerProbe:
    """One server, or those of the system."""

    server: str
    """"" for the system's."""
    question: str
    timeout_s: float

    @property
    def name(self) -> str:
        return self.server or "the system's"

    async def run(self, say: Say) -> None:
        resolver = DnsResolver([self.server] if self.server else [], timeout_s=self.timeout_s)
        begun = time.monotonic()
        try:
            answer = await resolver.mx(self.question)
        finally:
            await resolver.close()
        if answer.outcome is Outcome.TEMPFAIL:
            say(failed(f"no answer about {self.question} within {self.timeout_s:g} seconds", "see dns: servers"))
        else:
            say(ok(f"answers after {(time.monotonic() - begun) * 1000:.0f} ms"))


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each server, asked about a domain of ours."""
    configuration: Configuration = surroundings.configuration
    question = sorted(configuration.accepted_domains)[0]
    timeout_s = configuration.dns.timeout.total_seconds()
    return [DnsServerProbe(server, question, timeout_s) for server in configuration.dns.servers or ("",)]
