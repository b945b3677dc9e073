"""One poll: sign in, look, and take each message that waits; only then it is moved, deleted or marked.

A message goes by one commit of ours, the store's `take`, and by what comes after on the server. After a crash between
them it is fetched again; the store says that it has it, and what comes after is done. Attempts are counted in the store
(`begin_message`, `end_message`: two more commits) only after a crash, and for what has failed: of the others none kills
us. What can't be taken is ended only when it lies aside.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from mta import events
from mta.config.tracking_schema import MonitoredMailbox
from mta.crash import crash_point
from mta.model.reply import MailError
from mta.model.tracking import Intake
from mta.ports.clock import Clock
from mta.ports.mailbox import ItemGoneError, MailboxError, RefusedError
from mta.ports.mailbox_reader import MailboxReader, WaitingMessage
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate import AuthorUnknownError
from mta.tracking.monitor.aside import (
    ATTEMPTS_MAX,
    FAILS,
    KILLS,
    NOT_GIVEN,
    REFUSED,
    TOO_LARGE,
    aside_entry,
    message_id_of,
)
from mta.tracking.monitor.assignment import Assignment
from mta.tracking.monitor.leftovers import Leftover, Leftovers
from mta.tracking.monitor.progress import Progress
from mta.tracking.monitor.put_away import PutAway
from mta.tracking.read import CannotReadError
from mta.tracking.turns import Turns

if TYPE_CHECKING:
    from mta.tracking.desk import Desk
    from mta.tracking.intake import Taken

PROGRESS_EVERY_S = 10.0


class Take(Protocol):
    """`mta.tracking.intake.take`."""

    def __call__(
        self, data: bytes, mailbox: MonitoredMailbox, desk: Desk, store: TrackingStore, now: datetime,
        may_wait: bool = False, /,
    ) -> Awaitable[Taken]: ...  # fmt: skip


@dataclass(slots=True)
class Poll:
    """`run` raises the MailboxError or MailError that ended it early."""

    assignment: Assignment
    reader: MailboxReader
    store: TrackingStore
    take: Take
    clock: Clock
    turns: Turns
    leftovers: Leftovers
    progress: Progress
    is_ending: Callable[[], bool] = lambda: False
    """Whether to stop after the message in hand."""
    _begun: dict[str, int] = field(default_factory=dict)
    """Messages whose attempts are counted in the store, and how many there are, this one included."""

    _put_away: PutAway = field(init=False)

    def __post_init__(self) -> None:
        self._put_away = PutAway(self.assignment.settings, self.reader, self.store, self.leftovers, self.progress)

    @property
    def name(self) -> str:
        return self.assignment.settings.name

    async def run(self) -> None:
        settings = self.assignment.settings
        self.progress.server = await self.reader.sign_in()
        try:
            passed_over = self.leftovers.passed_over()
            limit = settings.poll.messages + len(passed_over)
            waiting = await self.reader.waiting(limit)
            self.leftovers.keep_those_seen({each.ref for each in waiting}, is_all=len(waiting) < limit)
            fresh = [each for each in waiting if each.ref not in passed_over][: settings.poll.messages]
            self.progress.of += len(fresh)
            before = replace(self.progress)
            await self._leftovers()
            await self._each(fresh)
            await self._put_away.all()
            done = self.progress.minus(before)
            got_on = done.done > done.failed or len(self.leftovers.passed_over()) > len(passed_over)
            self.progress.has_more = len(waiting) >= limit and got_on
        except BaseException:
            # What was marked as deleted may not be gone: it is done again, without being fetched.
            self._put_away.keep()
            self.leftovers.remember_deleted()
            raise
        await self._end()

    async def _end(self) -> None:
        try:
            await self.reader.end_session(purge=self.assignment.settings.after.purge)
        except BaseException:
            self.leftovers.remember_deleted()
            raise
        self.leftovers.forget_deleted()

    async def _leftovers(self) -> None:
        """What was taken before, and is still to go from where it lies."""
        for leftover in self.leftovers.due():
            if self.is_ending():
                return
            await self._put_away.now(leftover)

    async def _each(self, messages: list[WaitingMessage]) -> None:
        tell_at = time.monotonic() + PROGRESS_EVERY_S
        for message in messages:
            if self.is_ending() or self.leftovers.are_too_many:
                return
            async with self.turns.of_message(message.size_octets):
                try:
                    await self._one(message)
                except asyncio.CancelledError:
                    await self._acquit(message.ref)  # it was we who broke it off
                    raise
            if time.monotonic() >= tell_at:
                tell_at += PROGRESS_EVERY_S
                progress = self.progress
                events.mailbox_progress(self.name, done=progress.done, of=progress.of, per_s=progress.per_s)

    # --- one message --------------------------------------------------------------------------------------------------

    async def _one(self, message: WaitingMessage) -> None:
        settings, ref = self.assignment.settings, message.ref
        if await self._attempt(ref) > ATTEMPTS_MAX:
            fault = self.leftovers.fault(ref)
            await self._set_aside(ref, FAILS if fault else KILLS, *(fault or ()))
            return
        if self.leftovers.is_failing(ref):
            await self._set_aside(ref, NOT_GIVEN, self.leftovers.failure(ref))
            return
        try:
            data = await self.reader.fetch(ref, settings.largest)
        except RefusedError as error:
            is_large = error.code == TOO_LARGE or message.size_octets > settings.largest
            await self._set_aside(ref, TOO_LARGE if is_large else REFUSED, "" if is_large else str(error)[:200])
            return
        except MailboxError as error:
            await self._acquit(ref)
            if isinstance(error, ItemGoneError):
                return
            self.leftovers.note_failure(ref, error)
            raise
        crash_point("message-fetched")
        taken = await self._taken(ref, data)
        if taken is None:
            return
        crash_point("message-taken")
        await self._acquit(ref)
        if settings.log_messages:
            events.mailbox_message(
                self.name, ref, message_id=taken.message_id, state=taken.state.value, reason=taken.reason,
                record=str(taken.transaction or ""), is_new=taken.is_new, size=len(data),
            )  # fmt: skip
        self.progress.taken += taken.is_new
        self.progress.known += not taken.is_new
        await self._put_away.later(Leftover(ref, taken.message_id))

    async def _attempt(self, ref: str) -> int:
        """Which one begins now; 0 where nothing speaks against the message, so that it isn't counted."""
        if self.leftovers.is_acquitted(ref):
            await self._forget_attempts(ref)
        if not self.turns.is_cautious and self.leftovers.fault(ref) is None:
            return 0
        return await self._begin(ref)

    async def _begin(self, ref: str) -> int:
        self._begun[ref] = 0  # so that it is acquitted if we are broken off meanwhile
        self._begun[ref] = await self.store.begin_message(self.name, ref)
        return self._begun[ref]

    async def _taken(self, ref: str, data: bytes) -> Taken | None:
        """None where it could not be; it was set aside, or is tried again."""
        desk = self.assignment.desk
        try:
            return await self.take(
                data, self.assignment.settings, desk, self.store, self.clock.now(), self.leftovers.may_wait(ref)
            )  # fmt: skip
        except CannotReadError as error:
            await self._set_aside(ref, error.reason, message_id=message_id_of(data))
        except AuthorUnknownError as error:
            await self._acquit(ref)
            events.mailbox_message_waits(
                self.name, ref, message_id=message_id_of(data), reason=str(error),
                again_in_s=self.leftovers.look_up_later(ref),
            )  # fmt: skip
        except MailError:  # the store, or the directory
            await self._acquit(ref)
            raise
        except Exception as exc:  # noqa: BLE001 - the message's edge: others have to go on
            # Without the exception's own text, which may be somebody's mail.
            where = "".join(traceback.format_tb(exc.__traceback__))
            self.leftovers.note_fault(ref, type(exc).__name__, message_id_of(data))
            self.progress.failed += 1
            attempt = self._begun.get(ref) or await self._begin(ref)
            events.mailbox_message_failed(
                self.name, ref, attempt=attempt, error=type(exc).__name__, traceback=where
            )  # fmt: skip
        return None

    async def _acquit(self, ref: str) -> None:
        """Its attempts count no more: it is taken, or what went wrong was not its fault."""
        if ref in self._begun:
            await self._forget_attempts(ref)

    async def _forget_attempts(self, ref: str) -> None:
        """A store that can't write that down now does so before the next attempt."""
        self.leftovers.acquit(ref)
        await self.store.end_message(self.name, ref)
        self.leftovers.acquitted(ref)

    async def _set_aside(self, ref: str, reason: str, detail: str = "", message_id: str = "") -> None:
        settings, desk = self.assignment.settings, self.assignment.desk
        now = self.clock.now()
        entry = aside_entry(desk.name, self.name, ref, reason=reason, detail=detail, at=now, message_id=message_id)
        await self.store.take(Intake(entry))
        events.mailbox_message_set_aside(
            self.name, ref, message_id=message_id, reason=reason, detail=detail, folder=settings.after.set_aside
        )  # fmt: skip
        self.progress.set_aside += 1
        await self._put_away.now(Leftover(ref, message_id, folder=settings.after.set_aside))
