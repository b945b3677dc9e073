"""Delivery to the servers of each recipient's domain (RFC 5321 §5.1): a transport for each domain, made when needed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from mta.adapters.transport.mail_exchangers import MailExchangers, Ourselves
from mta.adapters.transport.smtp_transport import SmtpTransport, session_settings
from mta.adapters.transport.targets import DomainTargets
from mta.config.delivery_schema import MxHop
from mta.model.address import Address
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.next_hop import NextHopName
from mta.model.reply import Reply
from mta.ports.resolver import Resolver
from mta.ports.transport import Segments, Stopped

DOMAINS_KEPT = 500
"""Beyond that, domains that nothing is known of or under way for are forgotten."""
DOMAINS_MAX = 10_000
"""Beyond that, also those that can't be reached: they are tried afresh."""
_LOOKED_AT = 8


class MxTransport:
    """Fulfils `mta.ports.transport.Transport`. Raises OSError or ValueError if a file of its TLS can't be used."""

    def __init__(
        self,
        hop: MxHop,
        *,
        hostname: str,
        resolver: Callable[[], Resolver],
        ourselves: Ourselves | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._hop = hop
        self._clock = clock
        self._chance = chance
        self._settings = session_settings(hop, hostname, clock)
        self._exchangers = MailExchangers(
            resolver, ourselves=ourselves, port=hop.port, may_be_private=hop.private_addresses, chance=chance
        )
        self.domains: dict[str, SmtpTransport] = {}
        """The one used last at the end."""

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:
        """As the port says. A delivery of the queue has recipients of one domain; whatever was queued otherwise is
        divided by domains.
        """
        by_domain: dict[str, list[RecipientEntry]] = {}
        for entry in recipients:
            by_domain.setdefault(entry.address.domain_key, []).append(entry)
        results = await asyncio.gather(
            *(
                self._of(domain).deliver(envelope, entries, content, deadline_s=deadline_s, overlook=overlook)
                for domain, entries in by_domain.items()
            )
        )
        return [result for some in results for result in some]

    async def ask_for(self, recipient: Address, *, deadline_s: float) -> Reply:
        """As `ports.recipients` says, of a server of the recipient's domain."""
        return await self._of(recipient.domain_key).ask_for(recipient, deadline_s=deadline_s)

    def _of(self, domain: str) -> SmtpTransport:
        found = self.domains.pop(domain, None)
        if found is None:
            self._forget_some()
            found = SmtpTransport(
                self._hop,
                DomainTargets(domain, self._hop.port, self._exchangers),
                self._settings,
                name=str(NextHopName(self._hop.name, domain)),
                clock=self._clock,
                chance=self._chance,
            )
        self.domains[domain] = found
        return found

    def _forget_some(self) -> None:
        if len(self.domains) < DOMAINS_KEPT:
            return
        oldest = [domain for domain, _ in zip(self.domains, range(_LOOKED_AT), strict=False)]
        for domain in oldest:
            transport = self.domains.pop(domain)
            if not (transport.is_unused or (len(self.domains) >= DOMAINS_MAX and transport.is_idle)):
                self.domains[domain] = transport  # back, at the end

    def is_blocked(self, domain: str) -> bool:
        found = self.domains.get(domain)
        return found is not None and found.is_blocked(domain)

    def blocked(self) -> Collection[str]:
        return [domain for domain, transport in self.domains.items() if transport.blocked()]

    def stopped(self) -> Mapping[str, Stopped]:
        return {domain: found[""] for domain, transport in self.domains.items() if (found := transport.stopped())}

    async def close(self) -> None:
        await asyncio.gather(*(transport.close() for transport in self.domains.values()))
