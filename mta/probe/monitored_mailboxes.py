"""Whether the mailboxes that tracking monitors can be signed in to; nothing in them changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import MaildirMailbox, MonitoredMailbox, set_aside_folder
from mta.ports.mailbox import EndpointBusyError, MailboxError, MailboxUnavailableError
from mta.ports.mailbox_reader import MailboxReader
from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning
from mta.tracking.monitor.mends import mend_of, not_opened


@dataclass(frozen=True, slots=True)
class MonitoredMailboxProbe:
    """One mailbox: connected, signed in, its folder found."""

    settings: MonitoredMailbox
    set_aside: Path

    @property
    def name(self) -> str:
        return self.settings.name

    async def run(self, say: Say) -> None:
        if not isinstance(self.settings, MaildirMailbox) and not self.settings.tls.verify:
            say(warning("tls: verify: false, so anybody on the way can read everything", "name its authority: ca_file"))
        try:
            reader = await asyncio.to_thread(open_reader, self.settings, set_aside_folder=self.set_aside)
        except (OSError, KeyError) as exc:
            error = not_opened(exc)
            say(failed(error.detail, mend_of(error, self.settings)))
            return
        try:
            await self._look(reader, say)
        finally:
            await reader.close()

    async def _look(self, reader: MailboxReader, say: Say) -> None:
        try:
            say(ok(await reader.sign_in()))
            await reader.end_session(purge=False)
        except (MailboxUnavailableError, EndpointBusyError) as error:  # perhaps by our own poll: POP3 has one session
            say(warning(str(error), mend_of(error, self.settings)))
        except MailboxError as error:
            say(failed(str(error), mend_of(error, self.settings)))


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each that is enabled."""
    spool = surroundings.configuration.spool.folder
    return [
        MonitoredMailboxProbe(mailbox, set_aside_folder(spool, mailbox.name))
        for organisation in surroundings.configuration.every_organisation
        if organisation.tracking is not None
        for mailbox in organisation.tracking.mailboxes
        if mailbox.enabled
    ]
