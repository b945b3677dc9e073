"""Whether alerts would get through; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from mta.config.alert_schema import AlertMail, Webhook
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.probe.probe import Probe, Say, Surroundings, failed, ok
from mta.probe.smtp_dialogue import examine_server
from mta.probe.smtp_server import STEP_S, SmtpServer
from mta.probe.tls_server import TlsServer, examine_tls
from mta.relay.following import postmaster


@dataclass(frozen=True, slots=True)
class AlertMailProbe:
    """The server that takes alerts."""

    server: SmtpServer
    now: datetime
    name: str = "mail"

    async def run(self, say: Say) -> None:
        await examine_server(self.server, say, self.now)


@dataclass(frozen=True, slots=True)
class WebhookProbe:
    """The server behind a webhook: reached, and its certificate verified; no request is made."""

    settings: Webhook
    now: datetime
    name: str = "webhook"

    async def run(self, say: Say) -> None:
        parts = urlsplit(self.settings.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            await examine_tls(TlsServer(host, parts.port or 443, keys=frozenset()), say, self.now)
            return
        port = parts.port or 80
        try:
            async with asyncio.timeout(STEP_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, UnicodeError) as exc:
            why = "no answer in time" if isinstance(exc, TimeoutError) else str(exc)
            say(failed(f"{host}:{port} can't be reached: {why}", "correct the URL, or see what stands between"))
        else:
            writer.transport.abort()
            say(ok(f"{host}:{port} can be reached"))


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each way of telling."""
    alerts = surroundings.configuration.alerts
    if alerts.mail is not None:
        yield AlertMailProbe(_server(surroundings.configuration, alerts.mail), surroundings.now)
    if alerts.webhook is not None:
        yield WebhookProbe(alerts.webhook, surroundings.now)


def _server(configuration: Configuration, mail: AlertMail) -> SmtpServer:
    is_implicit = mail.tls == "implicit"
    mode: Literal["none", "opportunistic", "required"] = "required" if mail.tls == "implicit" else mail.tls
    return SmtpServer(
        host=mail.host,
        port=mail.port,
        hostname=domain_key(configuration.hostname),
        sender=mail.sender or str(postmaster(configuration)),
        tls=mode,
        is_implicit=is_implicit,
        ca_file=mail.ca_file,
        user=mail.user,
        password=mail.password,
    )
