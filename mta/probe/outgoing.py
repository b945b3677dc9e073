"""Whether the outgoing accounts and webhooks of tracking can be used; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mta.adapters.outgoing import open_account
from mta.config.tracking_schema import OutgoingAccount, WebhookSink
from mta.ports.task_errors import TaskError
from mta.probe.outgoing_mends import mend_of, told
from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning
from mta.probe.webhook import examine_webhook


@dataclass(frozen=True, slots=True)
class AccountProbe:
    """Connects, signs in once, and ends."""

    settings: OutgoingAccount
    hostname: str

    @property
    def name(self) -> str:
        return self.settings.name

    async def run(self, say: Say) -> None:
        if not self.settings.tls.verify:
            say(warning("tls: verify: false, so anybody on the way can read everything", "name its authority: ca_file"))
        try:
            account = await asyncio.to_thread(open_account, self.settings, hostname=self.hostname)
        except (OSError, KeyError) as exc:
            say(failed(f"its secrets can't be read: {exc}", "see `stampline check`"))
            return
        try:
            say(ok(await account.sign_in()))
        except TaskError as error:
            say(failed(told(error), mend_of(error) or "`stampline outgoing test` tries more"))
        finally:
            await account.close()


@dataclass(frozen=True, slots=True)
class SinkProbe:
    settings: WebhookSink
    now: datetime

    @property
    def name(self) -> str:
        return self.settings.name

    async def run(self, say: Say) -> None:
        await examine_webhook(self.settings.url, say, self.now, self.settings.tls)


def account_probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each account."""
    for organisation in surroundings.configuration.every_organisation:
        for account in organisation.tracking.accounts if organisation.tracking is not None else ():
            yield AccountProbe(account, surroundings.configuration.hostname)


def sink_probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each webhook; plug-ins are looked for by `stampline check` itself."""
    for organisation in surroundings.configuration.every_organisation:
        for sink in organisation.tracking.sinks if organisation.tracking is not None else ():
            if isinstance(sink, WebhookSink):
                yield SinkProbe(sink, surroundings.now)
