"""Whether alerts would get through; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mta.config.alert_schema import AlertMail, Webhook
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.probe.probe import Probe, Say, Surroundings
from mta.probe.smtp_dialogue import examine_server
from mta.probe.smtp_server import SmtpServer
from mta.probe.webhook import examine_webhook
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
        await examine_webhook(self.settings.url, say, self.now)


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
