"""One mailbox server while the process runs: when it is asked, by how many at a time, and what is known against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from mta import events
from mta.config.mailbox_schema import MailboxServer
from mta.config.settings_digest import digest_of
from mta.model.sentitem import EndpointNotes
from mta.ports.clock import Clock
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointDownError,
    MailboxError,
    SentItems,
    SignInError,
    TlsFailedError,
)
from mta.sentitems.decisions import LeftAloneError, after_answer, after_error, is_reachable
from mta.sentitems.watched_server import WatchedServer

OpenServer = Callable[[MailboxServer], SentItems]
"""Asks no server. Raises OSError or KeyError where a secret or file can't be read."""
MORE_AFTER = timedelta(minutes=1)
"""How long a server has to stand fewer connections before it gets one more."""
T = TypeVar("T")


class Endpoint:
    """Notes change with what the server does; whoever worked on it stores them (`unstored`)."""

    def __init__(self, settings: MailboxServer, open_server: OpenServer, clock: Clock) -> None:
        self.settings = settings
        self.digest = digest_of(settings)
        self.notes = EndpointNotes(settings.name)
        self.in_hand = 0
        """Jobs that are at it, or wait for their turn at it."""
        self._stored = self.notes
        self._clock = clock
        self._open_server = open_server
        self._server: SentItems | None = None
        self._opening = asyncio.Lock()
        self._has_answered = False
        self._is_to_be_opened_anew = False
        """Its password or certificate may be another one by now."""
        self._troubled_at: datetime | None = None
        self._changed_at = clock.now()
        self._busy = 0
        self._turn = asyncio.Condition()
        self._is_closed = False

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def limit(self) -> int:
        """How many may be at it now. One, until it has answered: many would spoil more, a wrong password above all."""
        if not self._has_answered or self.notes.failures:
            return 1
        return self._connections

    @property
    def _connections(self) -> int:
        most = self.settings.connections
        return most if self.notes.connections is None else min(self.notes.connections, most)

    @property
    def is_left_alone(self) -> bool:
        resume_at = self.notes.resume_at
        return self.notes.is_stopped or (resume_at is not None and resume_at > self._clock.now())

    @property
    def unstored(self) -> EndpointNotes | None:
        """Its notes where they differ from those that were stored last."""
        return None if self.notes == self._stored else self.notes

    def was_stored(self, notes: EndpointNotes) -> None:
        self._stored = notes

    def recall(self, notes: EndpointNotes) -> str:
        """Go by notes from the store: of the last process, or of an administrator who has it resume.

        Gives the reason for which it was left alone, where it is to be tried now.
        """
        if self.unstored is not None or notes == self.notes or self._busy:
            return ""
        self._stored = notes
        reason = self.notes.reason if self.is_left_alone else ""
        if notes.is_stopped and notes.settings != self.digest:
            events.mailbox_server_resumed(self.name, reason=notes.reason)  # what it was stopped for may be mended
            reason = notes.reason
            notes = EndpointNotes(self.name, connections=notes.connections)
        elif self.notes.is_stopped and not notes.is_stopped:
            events.mailbox_server_resumed(self.name, reason=self.notes.reason)
        self.notes, self._has_answered, self._is_to_be_opened_anew = notes, False, True
        return "" if self.is_left_alone else reason

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Its turn for one job. Raises LeftAloneError."""
        self.in_hand += 1
        try:
            async with self._turn:
                await self._turn.wait_for(lambda: self.is_left_alone or self._busy < self.limit)
                self.require_asked()
                self._busy += 1
            try:
                yield Turn(self, await self._opened())
            finally:
                self._busy -= 1
                await asyncio.shield(self._wake())
        finally:
            self.in_hand -= 1
            if self._is_closed and not self.in_hand:  # a turn that began after
                await self._let_go()

    def require_asked(self) -> None:
        """Raises LeftAloneError while nobody is to ask it."""
        if self.is_left_alone:
            raise LeftAloneError(self.notes.reason or "left-alone", self.notes.detail)

    async def watched(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call to the server; how it goes is noted. Raises LeftAloneError, MailboxError."""
        self.require_asked()
        began_at = self._clock.now()
        try:
            result = await call()
        except MailboxError as error:
            if is_reachable(error):
                self._answered()
            else:
                self._failed(error, began_at)
            raise
        self._answered()
        return result

    async def close(self) -> None:
        """End its connections; whoever comes all the same has his turn, and it closes behind the last."""
        self._is_closed = True
        await self._let_go()

    async def _opened(self) -> SentItems:
        """Made in a thread: importing what speaks to Exchange takes seconds. Raises EndpointDownError."""
        async with self._opening:
            if self._is_to_be_opened_anew and self._busy == 1:  # ourselves
                await self._let_go()
            if self._server is None:
                self._is_to_be_opened_anew = False
                try:
                    self._server = await asyncio.to_thread(self._open_server, self.settings)
                except Exception as exc:
                    # The text of these two names the file or variable that can't be read.
                    down = EndpointDownError(
                        "not-opened", str(exc) if isinstance(exc, OSError | KeyError) else type(exc).__name__
                    )
                    self._failed(down, self._clock.now())
                    raise down from exc
            return self._server

    async def _let_go(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            try:
                await server.close()
            except Exception as exc:  # noqa: BLE001 - the adapter's edge: nothing hangs on a connection that is over
                events.internal_error(f"mailbox server {self.name}", error=repr(exc))

    async def _wake(self) -> None:
        async with self._turn:
            self._turn.notify_all()

    def _answered(self) -> None:
        self._has_answered = True
        before = self.notes
        self.notes = after_answer(before)
        now = self._clock.now()
        if self.notes.connections is not None and now - self._changed_at >= MORE_AFTER:
            self._changed_at = now
            more = self.notes.connections + 1
            self.notes = replace(self.notes, connections=more if more < self.settings.connections else None)
        if before.failures and not self.notes.failures:
            events.mailbox_server_answers(self.name, reason=before.reason)

    def _failed(self, error: MailboxError, began_at: datetime) -> None:
        """What was asked before the server was known to be in trouble tells nothing new, but for a longer hint."""
        now = self._clock.now()
        after = after_error(self.notes, error, now=now, connections=self._connections)
        if after == self.notes:
            return
        if self._troubled_at is not None and began_at <= self._troubled_at:
            if not self.notes.is_stopped and after.resume_at is not None and error.retry_after is not None:
                later = max(after.resume_at, self.notes.resume_at or after.resume_at)
                self.notes = replace(self.notes, resume_at=later)
            return
        self._troubled_at = self._changed_at = now
        self._is_to_be_opened_anew |= isinstance(error, SignInError | TlsFailedError)
        self.notes = replace(after, settings=self.digest)
        wait_s = (after.resume_at - now).total_seconds() if after.resume_at is not None else None
        events.mailbox_server_left_alone(
            self.name, reason=after.reason, detail=after.detail, for_s=wait_s, connections=after.connections
        )


class Turn:
    """One job's at a server."""

    def __init__(self, endpoint: Endpoint, server: SentItems) -> None:
        self.server: SentItems = WatchedServer(self, server)
        """Each of its calls is watched."""
        self._endpoint = endpoint
        self._is_account_good = False

    async def vouch(self, mailbox: str) -> None:
        """Sign in for a mailbox that was opened before: who is refused after that is refused for his own mailbox.

        Raises MailboxError.
        """
        try:
            await self.server.sign_in(mailbox)
        except MailboxError as error:
            if not is_reachable(error):
                raise
        self._is_account_good = True

    async def watched(self, call: Callable[[], Awaitable[T]]) -> T:
        """See `Endpoint.watched`."""

        async def judged() -> T:
            try:
                return await call()
            except SignInError as error:
                if not self._is_account_good:
                    raise
                raise AccessDeniedError(error.code, "others it opens") from error

        return await self._endpoint.watched(judged)
