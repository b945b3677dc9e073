"""What a job does in one mailbox, step by step, with an item of our own that never stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from secrets import token_hex
from typing import TypeVar

from mta.config.mailbox_schema import MailboxServer
from mta.model.mailbox_item import (
    FollowUp,
    FoundItem,
    ItemRef,
    Marks,
    NewItem,
    Participant,
    Removal,
    SentItem,
    stamp_of,
)
from mta.model.sentitem import job_id
from mta.ports.mailbox import NO_FOLDER_YET, MailboxError, NoMailboxError, OutcomeUnknownError, SentItems
from mta.probe.mailbox_mends import refused
from mta.probe.probe import Say, failed, ok, warning

VISIBLE_S = 30.0
"""How long a server may take to find what it has just stored."""
_LOOK_S = 0.5
_COPY = "probe"
_BYSTANDER = "stampline-probe@probe.invalid"
SUBJECT = "Stampline: test of Sent Items, may be deleted"
TEXT = "This item tests whether Sent Items can be written. It removes itself; if it is still here, delete it.\r\n"

Value = TypeVar("Value")


class _BrokenOffError(Exception):
    """A step failed on which the rest depends; it has been said."""


class _NotHereError(Exception):
    """The mailbox is not on this server."""


class Walk:
    """One mailbox on one server. `is_last`: there is no other server that it could be on."""

    def __init__(
        self, server: SentItems, settings: MailboxServer, mailbox: str, now: datetime, say: Say, *, is_last: bool
    ) -> None:
        self._server, self._settings, self._mailbox, self._say, self._is_last = server, settings, mailbox, say, is_last
        self._message_id = f"<{token_hex(12)}@probe.invalid>"
        self._job = job_id(mailbox, self._message_id, None)
        self._sent_at = (now - timedelta(minutes=10)).replace(microsecond=0)

    async def runs(self, *, writes: bool) -> bool:
        """Walk through it, a line for each step; False where the mailbox is to be looked for on the next server."""
        try:
            has_folder = await self._enter()
            if writes and has_folder:
                await self._write()
                await self._at_once()
        except _NotHereError:
            return False
        except _BrokenOffError:
            pass
        return True

    async def _enter(self) -> bool:
        """Whether there is a folder to write into: a user's program makes it, and nobody wants ours."""
        answered = await self._step("signing in", self._server.sign_in(self._mailbox))
        self._say(ok(f"signed in, and opened {self._mailbox}: {answered}"))
        primary = await self._step("asking for the primary address", self._server.primary_address(self._mailbox))
        self._say(ok(f"the mailbox's primary address is {primary}"))
        await self._step("looking into Sent Items", self._find())
        if answered.endswith(NO_FOLDER_YET):
            mend = "correct `sent_folder`, if it has another name; else the user's program makes it with the first mail"
            self._say(warning("there is no folder for sent items, so jobs would find nothing", mend))
            return False
        self._say(ok("Sent Items can be searched"))
        return True

    async def _write(self) -> None:
        making = asyncio.ensure_future(self._server.create(self._mailbox, self._item()))
        try:
            made = await self._step("making a test item", asyncio.shield(making))
            self._say(ok("a test item was made in Sent Items"))
            await self._look_at(made)
        finally:
            await self._remove(making)

    async def _look_at(self, made: ItemRef) -> None:
        began = time.monotonic()
        if await self._step("finding it", self._found_in_time()):
            self._say(ok(f"it is found by its Message-ID after {time.monotonic() - began:.1f} s"))
        else:
            self._say(warning(f"it was not found within {VISIBLE_S:.0f} s", "the server indexes late; jobs wait"))
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

    async def _remove(self, making: asyncio.Future[ItemRef]) -> None:
        """For good, so that tests leave nothing, also where one is broken off while the item is being made."""
        await asyncio.wait([making])
        error = making.exception()
        if error is not None and not isinstance(error, OutcomeUnknownError):
            return
        made = making.result() if error is None else None
        try:
            found = await (self._find() if made is not None else self._found_in_time())  # its change key has moved
            known = {ItemRef(made.id)} if made is not None else set()
            for ref in {each.ref for each in found} or known:
                await self._server.remove(self._mailbox, ref, Removal.FOR_GOOD)
            left = await self._find()
        except MailboxError as exc:
            self._say(refused(f"the test item {SUBJECT!r} could not be removed", exc, self._settings))
            return
        if left:
            self._say(failed(f"the test item {SUBJECT!r} is still there", "remove it by hand"))
        elif made is not None or found:
            self._say(ok("it was removed"))
        else:
            mend = "look for it in Sent Items later, and delete it"
            self._say(warning(f"it is not known whether the test item {SUBJECT!r} was made; it isn't found", mend))

    async def _find(self) -> list[FoundItem]:
        return list(await self._server.find(self._mailbox, self._message_id, self._job))

    async def _found_in_time(self) -> list[FoundItem]:
        began = time.monotonic()
        while not (found := await self._find()) and time.monotonic() - began <= VISIBLE_S:
            await asyncio.sleep(_LOOK_S)
        return found

    async def _at_once(self) -> None:
        """As many requests as are allowed at a time, for a moment."""
        number = self._settings.connections
        began = time.monotonic()
        results = await asyncio.gather(*(self._find() for _ in range(number)), return_exceptions=True)
        refusals = [result for result in results if isinstance(result, MailboxError)]
        other = [result for result in results if isinstance(result, BaseException) and result not in refusals]
        if other:
            raise other[0]
        if refusals:
            what = f"of {number} requests at once, {len(refusals)} were refused"
            self._say(refused(what, refusals[0], self._settings))
        else:
            each_ms = (time.monotonic() - began) * 1000
            self._say(ok(f"{number} requests at once were answered within {each_ms:.0f} ms"))

    async def _step(self, doing: str, result: Awaitable[Value]) -> Value:
        try:
            return await result
        except asyncio.CancelledError:
            self._say(failed(f"{doing} was broken off", ""))
            raise
        except MailboxError as exc:
            if isinstance(exc, NoMailboxError) and not self._is_last:
                self._say(ok(f"the mailbox is not here: {exc}"))
                raise _NotHereError from exc
            self._say(refused(f"{doing} failed", exc, self._settings))
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
