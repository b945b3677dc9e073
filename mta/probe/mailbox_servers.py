"""Whether mailbox servers are reached and let us in; `stampline sentitems check --mailbox` tries what jobs do there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mta.config.mailbox_schema import EwsMailboxes, MailboxServer
from mta.ports.directory import DirectoryDownError
from mta.probe.probe import Probe, Say, Surroundings, warning
from mta.probe.sent_items import Branch, MailboxProbe, sample_mailbox, tls_server
from mta.probe.tls_server import examine_tls


@dataclass(frozen=True, slots=True)
class MailboxServerProbe:
    """One mailbox server: its certificate, and signing in by opening somebody's mailbox, in which nothing changes."""

    branch: Branch
    settings: MailboxServer
    now: datetime

    @property
    def name(self) -> str:
        return self.settings.name

    async def run(self, say: Say) -> None:
        if isinstance(self.settings, EwsMailboxes) and self.settings.is_exchange_online:
            say(
                warning("Exchange Online blocks EWS since 1 October 2026 unless the tenant allows the app, and ends it "
                    "on 1 April 2027", "use kind graph, see docs/exchange-online.md")
            )  # fmt: skip
        try:
            mailbox = await sample_mailbox(self.branch, self.settings.name)
            why = "the directory tells of nobody whose mailbox is here"
        except DirectoryDownError:  # its own probe says more
            mailbox, why = None, "the directory does not answer"
        if mailbox is not None:
            await MailboxProbe(self.branch, mailbox, self.now, self.settings.name, writes=False).run(say)
            return
        where = tls_server(self.settings)
        if where is not None:
            await examine_tls(where, say, self.now)
        mend = f"`stampline sentitems check --server {self.settings.name} --mailbox ADDRESS` tries it"
        say(warning(f"{why}, so signing in was not tried", mend))


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each server."""
    return [
        MailboxServerProbe(Branch(book.settings, book.directory), server, surroundings.now)
        for book in surroundings.snapshot.books
        for server in book.settings.mailbox_servers
    ]
