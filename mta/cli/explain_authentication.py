"""`stampline explain --auth ask`: SPF, DKIM, DMARC and ARC as the relay would see them, asked of DNS now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime

from mta.app.dns import open_resolver
from mta.authenticate import Received, authenticate
from mta.config.authentication_schema import Authentication
from mta.config.schema import Configuration
from mta.message.parse import Message
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client, Envelope


def asked_results(
    configuration: Configuration, message: Message, envelope: Envelope, client: Client, now: datetime
) -> AuthenticationResults:
    """By the listener's settings; where it has none, as if it said `mode: verify`."""
    settings = configuration.authenticating.get(client.listener) or Authentication(mode="verify")
    return asyncio.run(_asked(configuration, Received(message, envelope, client), settings, now))


async def _asked(
    configuration: Configuration, received: Received, settings: Authentication, now: datetime
) -> AuthenticationResults:
    resolver = open_resolver(configuration)
    try:
        return await authenticate(
            received, settings, resolver, timeout_s=configuration.dns.timeout.total_seconds(), now=now, has_seal=True
        )
    finally:
        await resolver.close()


def result_lines(results: AuthenticationResults) -> Iterator[str]:
    """One line for each result."""
    reasons = dict(results.reasons)
    dkim = [(each.result, each.domain, each.reason) for each in results.signatures]
    dkim = dkim or [(results.dkim, ", ".join(results.dkim_domains), "")]
    for method, found in (
        ("spf", [(results.spf, results.spf_domain, reasons.get("spf", ""))]),
        ("dkim", dkim),
        ("dmarc", [(results.dmarc, results.dmarc_domain, reasons.get("dmarc", ""))]),
        ("arc", [(results.arc, results.arc_domain, reasons.get("arc", ""))]),
    ):
        for result, about, reason in found:
            if result:
                yield f"{method}: {result}{f' for {about}' if about else ''}{f' ({reason})' if reason else ''}"
