"""Whether Sent Items can be written in one mailbox: everything that a job does, with an item of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import EwsMailboxes, GraphMailboxes, ImapMailboxes, MailboxServer
from mta.config.schema import Organisation
from mta.config.some_people import SomePeople
from mta.model.person import Person
from mta.ports import mailbox as port
from mta.ports.directory import Directory, DirectoryDownError
from mta.ports.mailbox import MailboxError, SentItems
from mta.probe.mailbox_mends import refused, unopened
from mta.probe.mailbox_walk import Walk
from mta.probe.probe import Say, failed, ok, warning
from mta.probe.tls_server import TlsServer, examine_tls
from mta.sentitems import reasons
from mta.sentitems.reasons import explained
from mta.sentitems.residence import Residence
from mta.sentitems.scope import SenderScope

PEOPLE_MAX = 10_000
"""Of the directory, in search of somebody who takes part."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One organisation's part, as the process that works on jobs sees it."""

    organisation: Organisation
    directory: Directory

    @property
    def servers(self) -> tuple[MailboxServer, ...]:
        """Where its mailboxes are."""
        return self.organisation.mailbox_servers

    def server(self, name: str) -> MailboxServer:
        """The settings of a server by its name."""
        return next(server for server in self.servers if server.name == name)

    def reason_to_skip(self, mailbox: str, person: Person | None) -> str:
        """Why nothing is ever done in this mailbox; "" where it gets copies for Sent Items, or marks."""
        sent_items, write_back = self.organisation.sent_items, self.organisation.write_back
        reason = reasons.NOT_CONFIGURED
        if sent_items is not None:
            reason = SenderScope(sent_items.senders).reason_to_skip(mailbox, person)
        if reason and write_back is not None:
            audience = SomePeople(write_back.audience.addresses, write_back.audience.groups)
            reason = "" if audience.holds(mailbox, person) else reasons.OUT_OF_SCOPE
        return reason

    async def servers_of(self, mailbox: str, say: Say) -> tuple[str, ...]:
        """Where the mailbox may be, the likeliest first; says whether the sender takes part."""
        try:
            person = (await self.directory.people({mailbox})).get(mailbox)
        except DirectoryDownError:
            say(warning("the directory does not answer", "`stampline check --online --only directory` says more"))
            person = None
        reason = self.reason_to_skip(mailbox, person)
        if reason:
            mend = "correct `senders` (for marks: `audience`), if not so"
            say(warning(f"jobs of {mailbox} are skipped: {reason}, {explained(reason)}", mend))
        else:
            say(ok(f"{mailbox} takes part{'' if person else ', though the directory does not know it'}"))
        return Residence(self.servers).candidates(mailbox, person)


@dataclass(frozen=True, slots=True)
class MailboxProbe:
    """Everything that a job does in one mailbox; without `writes` it only looks into Sent Items."""

    branch: Branch
    mailbox: str
    now: datetime
    server: str = ""
    """Only on this one."""
    writes: bool = True

    @property
    def name(self) -> str:
        return self.mailbox

    async def run(self, say: Say) -> None:
        names = (self.server,) if self.server else await self.branch.servers_of(self.mailbox, say)
        for position, name in enumerate(names):
            settings = self.branch.server(name)
            say(ok(f"server {name} ({settings.kind}) is tried"))
            async with _opened(settings, say) as server:
                if server is None:
                    continue
                where = tls_server(settings)
                if where is not None and not await examine_tls(where, say, self.now):
                    return
                walk = Walk(server, settings, self.mailbox, self.now, say, is_last=position == len(names) - 1)
                if await walk.runs(writes=self.writes):
                    return


@dataclass(frozen=True, slots=True)
class OutsiderProbe:
    """A mailbox out of scope: each server has to deny it."""

    branch: Branch
    mailbox: str
    server: str = ""

    @property
    def name(self) -> str:
        return f"{self.mailbox} (outside)"

    async def run(self, say: Say) -> None:
        for settings in self.branch.servers:
            if self.server in ("", settings.name):
                async with _opened(settings, say) as server:
                    if server is not None:
                        await self._deny(server, settings, say)

    async def _deny(self, server: SentItems, settings: MailboxServer, say: Say) -> None:
        name = settings.name
        try:
            await server.find(self.mailbox, "<none@probe.invalid>", "none")
        except port.AccessDeniedError:
            say(ok(f"{name} denies it"))
        except port.NoMailboxError:
            say(warning(f"{name} has no such mailbox", "name one that exists and is out of scope"))
        except MailboxError as exc:
            say(refused(f"{name} could not be tried", exc, settings))
        else:
            say(failed(f"on {name} the account can open it", _limit(settings)))


async def sample_mailbox(branch: Branch, server: str) -> str | None:
    """The address of somebody who takes part and is on that server; None where the directory tells of nobody."""
    residence = Residence(branch.servers)
    looked_at = 0
    async for person in branch.directory.everybody():
        looked_at += 1
        takes_part = not person.disabled and not branch.reason_to_skip(person.address, person)
        if takes_part and residence.candidates(person.address, person)[0] == server:
            return person.address
        if looked_at >= PEOPLE_MAX:
            break
    return None


@asynccontextmanager
async def _opened(settings: MailboxServer, say: Say) -> AsyncIterator[SentItems | None]:
    """The server; None where a secret or a file of it can't be read, which has been said then."""
    try:
        server = open_server(settings)
    except (OSError, KeyError) as exc:
        say(unopened(settings, exc))
        yield None
        return
    try:
        yield server
    finally:
        await server.close()


def _limit(settings: MailboxServer) -> str:
    if isinstance(settings, EwsMailboxes | GraphMailboxes):
        script = f"`stampline sentitems grant --script --server {settings.name}`"
        return f"limit its rights by what {script} writes, and take away what was given otherwise"
    return "limit what the account may open there: docs/imap.md"


def tls_server(settings: MailboxServer) -> TlsServer | None:
    """Where TLS begins with the first octet; None where it doesn't, or where only Autodiscover knows."""
    match settings:
        case ImapMailboxes() if settings.tls.mode == "implicit":
            tls = settings.tls
            return TlsServer(
                settings.host, settings.port or 993, tls.ca_file, tls.verify, tls.verify_name or "",
                keys=frozenset({"ca_file", "verify_name"}),
            )  # fmt: skip
        case EwsMailboxes() | GraphMailboxes() if settings.url:
            parts = urlsplit(settings.url)
            return TlsServer(parts.hostname or "", parts.port or 443, settings.tls.ca_file, settings.tls.verify)
    return None
