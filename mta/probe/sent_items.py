"""Whether Sent Items can be written in one mailbox: everything that a job does, with an item of our own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from secrets import token_hex
from typing import TypeVar
from urllib.parse import urlsplit

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import EwsMailboxes, GraphMailboxes, ImapMailboxes, MailboxServer
from mta.config.sentitems_schema import SentItemsSettings
from mta.model.sentitem import FollowUp, ItemRef, Marks, NewItem, Participant, Removal, SentItem, job_id, stamp_of
from mta.ports import mailbox as port
from mta.ports.directory import Directory, DirectoryDownError
from mta.ports.mailbox import MailboxError, SentItems
from mta.probe.probe import Line, Say, failed, ok, warning
from mta.probe.tls_server import TlsServer, examine_tls
from mta.sentitems.reasons import explained
from mta.sentitems.residence import Residence
from mta.sentitems.scope import SenderScope

VISIBLE_S = 30.0
"""How long a server may take to find what it has just stored."""
_LOOK_S = 0.5
PEOPLE_MAX = 10_000
"""Of the directory, in search of somebody who takes part."""
_COPY = "probe"
_BYSTANDER = "stampline-probe@probe.invalid"
SUBJECT = "Stampline: test of Sent Items, may be deleted"
TEXT = "This item tests whether Sent Items can be written. It removes itself; if it is still here, delete it.\r\n"

_MENDS: tuple[tuple[type[MailboxError], str], ...] = (
    (port.TlsFailedError, "name the certificate's authority as tls: ca_file, or renew the server's certificate"),
    (port.SignInError, "correct user and password, or the app registration; see whether the account is locked"),
    (port.AccessDeniedError, "grant the rights for this mailbox: `stampline sentitems grant --script` writes how"),
    (port.NoMailboxError, "see whether the address is right, and whether the mailbox is on this server"),
    (port.EndpointBusyError, "the server limits us: see its throttling policy, or lower `connections`"),
    (port.EndpointOverloadedError, "lower `connections`, or raise the account's limit in the throttling policy"),
    (port.EndpointDownError, "see whether the server runs, and whether a firewall or proxy stands between"),
    (port.MailboxUnavailableError, "the mailbox is being moved or its database is away: try again later"),
    (port.QuotaError, "the mailbox is full: make room or raise its quota"),
    (port.RefusedError, "see what the server's log says about the item"),
)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Branch:
    """One organisation's part, as the process that works on jobs sees it."""

    settings: SentItemsSettings
    directory: Directory

    def server(self, name: str) -> MailboxServer:
        """The settings of a server by its name."""
        return next(server for server in self.settings.servers if server.name == name)

    async def servers_of(self, mailbox: str, say: Say) -> tuple[str, ...]:
        """Where the mailbox may be, the likeliest first; says whether the sender takes part."""
        try:
            person = (await self.directory.people({mailbox})).get(mailbox)
        except DirectoryDownError:
            say(warning("the directory does not answer", "`stampline check --online --only directory` says more"))
            person = None
        reason = SenderScope(self.settings.senders).reason_to_skip(mailbox, person)
        if reason:
            say(
                warning(f"jobs of {mailbox} are skipped: {reason}, {explained(reason)}", "correct `senders`, if not so")
            )
        else:
            say(ok(f"{mailbox} takes part{'' if person else ', though the directory does not know it'}"))
        return Residence(self.settings.servers).candidates(mailbox, person)


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
                walk = _Walk(server, settings, self.mailbox, self.now, say, is_last=position == len(names) - 1)
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
        for settings in self.branch.settings.servers:
            if self.server in ("", settings.name):
                async with _opened(settings, say) as server:
                    if server is not None:
                        await self._deny(server, settings.name, say)

    async def _deny(self, server: SentItems, name: str, say: Say) -> None:
        try:
            await server.find(self.mailbox, "<none@probe.invalid>", "none")
        except port.AccessDeniedError:
            say(ok(f"{name} denies it"))
        except port.NoMailboxError:
            say(warning(f"{name} has no such mailbox", "name one that exists and is out of scope"))
        except MailboxError as exc:
            say(_refusal(f"{name} could not be tried", exc))
        else:
            say(failed(f"on {name} the account can open it",
                "limit its rights: `stampline sentitems grant --script` writes a management scope"))  # fmt: skip


async def sample_mailbox(branch: Branch, server: str) -> str | None:
    """The address of somebody who takes part and is on that server; None where the directory tells of nobody."""
    scope, residence = SenderScope(branch.settings.senders), Residence(branch.settings.servers)
    looked_at = 0
    async for person in branch.directory.everybody():
        looked_at += 1
        takes_part = not person.disabled and not scope.reason_to_skip(person.address, person)
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
        what = f"a secret or a file of server {settings.name} can't be read: {exc}"
        say(failed(what, "give this command what the service has: its user, its environment"))
        yield None
        return
    try:
        yield server
    finally:
        await server.close()


class _BrokenOffError(Exception):
    """A step failed on which the rest depends; it has been said."""


class _NotHereError(Exception):
    """The mailbox is not on this server."""


def tls_server(settings: MailboxServer) -> TlsServer | None:
    """Where TLS begins with the first octet; None where it doesn't, or where only Autodiscover knows."""
    match settings:
        case ImapMailboxes() if settings.tls.mode == "implicit":
            tls = settings.tls
            return TlsServer(settings.host, settings.port or 993, tls.ca_file, tls.verify, tls.verify_name or "")
        case EwsMailboxes() | GraphMailboxes() if settings.url:
            parts = urlsplit(settings.url)
            return TlsServer(parts.hostname or "", parts.port or 443, settings.tls.ca_file, settings.tls.verify)
    return None


class _Walk:
    def __init__(
        self, server: SentItems, settings: MailboxServer, mailbox: str, now: datetime, say: Say, *, is_last: bool
    ) -> None:
        self._server, self._settings, self._mailbox = server, settings, mailbox
        self._now, self._say, self._is_last = now, say, is_last
        self._message_id = f"<{token_hex(12)}@probe.invalid>"
        self._job = job_id(mailbox, self._message_id, None)
        self._sent_at = (now - timedelta(minutes=10)).replace(microsecond=0)

    async def runs(self, *, writes: bool) -> bool:
        """Walk through it, a line for each step; False where the mailbox is to be looked for on the next server."""
        try:
            await self._enter()
            if writes:
                await self._write()
        except _NotHereError:
            return False
        except _BrokenOffError:
            pass
        return True

    async def _enter(self) -> None:
        where = tls_server(self._settings)
        if where is not None and not await examine_tls(where, self._say, self._now):
            raise _BrokenOffError
        answered = await self._step("signing in", self._server.sign_in(self._mailbox))
        self._say(ok(f"signed in, and opened {self._mailbox}: {answered}"))
        primary = await self._step("asking for the primary address", self._server.primary_address(self._mailbox))
        self._say(ok(f"the mailbox's primary address is {primary}"))
        await self._step("looking into Sent Items", self._server.find(self._mailbox, self._message_id, self._job))
        self._say(ok("Sent Items can be searched"))

    async def _write(self) -> None:
        made = await self._step("making a test item", self._server.create(self._mailbox, self._item()))
        try:
            self._say(ok("a test item was made in Sent Items"))
            await self._look_at(made)
        finally:
            await self._remove(made)
        await self._at_once()

    async def _look_at(self, made: ItemRef) -> None:
        began = time.monotonic()
        while not await self._step("finding it", self._server.find(self._mailbox, self._message_id, self._job)):
            if time.monotonic() - began > VISIBLE_S:
                self._say(warning(f"it was not found within {VISIBLE_S:.0f} s", "the server indexes late; jobs wait"))
                break
            await asyncio.sleep(_LOOK_S)
        else:
            self._say(ok(f"it is found by its Message-ID after {time.monotonic() - began:.1f} s"))
        item = await self._step("reading it", self._server.read(self._mailbox, made))
        self._verify(item)
        marks = Marks(is_read=True, categories=item.marks.categories, follow_up=FollowUp("flagged"))
        await self._step("flagging it", self._server.set_marks(self._mailbox, item.ref, marks))
        self._say(ok("it can be flagged"))

    def _verify(self, item: SentItem) -> None:
        wrong = []
        if item.is_draft:
            wrong.append("it is a draft")
        if item.message_id != self._message_id:
            wrong.append("it has another Message-ID")
        if item.sent_at is None or abs(item.sent_at - self._sent_at) > timedelta(seconds=1):
            wrong.append("it has another date")
        if [person.address.lower() for person in item.bcc] != [_BYSTANDER]:
            wrong.append("its Bcc is lost")
        if item.stamp != stamp_of(self._job, _COPY):
            wrong.append("our mark on it is lost")
        if wrong:
            mend = "jobs would end as not-verified here; see whether this server is one that is supported"
            self._say(failed(f"it is not what it should be: {', '.join(wrong)}", mend))
        else:
            self._say(ok("it is no draft, and has its date, Message-ID, Bcc and mark"))

    async def _remove(self, made: ItemRef) -> None:
        """For good, so that tests leave nothing; its change key has moved."""
        try:
            found = await self._server.find(self._mailbox, self._message_id, self._job)
            for ref in {each.ref for each in found} or {ItemRef(made.id)}:
                await self._server.remove(self._mailbox, ref, Removal.FOR_GOOD)
            left = await self._server.find(self._mailbox, self._message_id, self._job)
        except MailboxError as exc:
            self._say(_refusal(f"the test item {SUBJECT!r} could not be removed", exc))
            return
        if left:
            self._say(failed(f"the test item {SUBJECT!r} is still there", "remove it by hand"))
        else:
            self._say(ok("it was removed"))

    async def _at_once(self) -> None:
        """As many requests as are allowed at a time, for a moment."""
        number = self._settings.connections
        began = time.monotonic()
        look = [self._server.find(self._mailbox, self._message_id, self._job) for _ in range(number)]
        results = await asyncio.gather(*look, return_exceptions=True)
        refused = [result for result in results if isinstance(result, MailboxError)]
        other = [result for result in results if isinstance(result, BaseException) and result not in refused]
        if other:
            raise other[0]
        if refused:
            self._say(_refusal(f"of {number} requests at once, {len(refused)} were refused", refused[0]))
        else:
            each_ms = (time.monotonic() - began) * 1000
            self._say(ok(f"{number} requests at once were answered within {each_ms:.0f} ms"))

    async def _step(self, doing: str, result: Awaitable[Value]) -> Value:
        try:
            return await result
        except port.NoMailboxError as exc:
            if not self._is_last:
                self._say(ok(f"the mailbox is not here: {exc}"))
                raise _NotHereError from exc
            self._say(_refusal(f"{doing} failed", exc))
            raise _BrokenOffError from exc
        except MailboxError as exc:
            self._say(_refusal(f"{doing} failed", exc))
            raise _BrokenOffError from exc

    def _item(self) -> NewItem:
        me = Participant(self._mailbox)
        bystander = Participant(_BYSTANDER)
        original = SentItem(
            ItemRef(""), self._message_id, SUBJECT, sent_at=self._sent_at, delivered_at=self._sent_at, author=me,
            sender=me, to=(me,), bcc=(bystander,),
        )  # fmt: skip
        head = [
            f"From: <{self._mailbox}>", f"To: <{self._mailbox}>", f"Bcc: <{_BYSTANDER}>", f"Subject: {SUBJECT}",
            f"Date: {format_datetime(self._sent_at)}", f"Message-ID: {self._message_id}", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii", "", TEXT,
        ]  # fmt: skip
        mime = "\r\n".join(head).encode("ascii", "replace")
        return replace(
            NewItem(stamp_of(self._job, _COPY), original, mime, self._message_id, SUBJECT), text=TEXT, marks=Marks()
        )


def _refusal(what: str, error: MailboxError) -> Line:
    mend = next((mend for kind, mend in _MENDS if isinstance(error, kind)), "see what the server's log says")
    return failed(f"{what}: {error}"[:400], mend)
