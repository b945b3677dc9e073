"""One attempt at a leased job: whose mailbox it is, where that is, the work itself, and what is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

from mta import events
from mta.config.sentitems_schema import SentItemsSettings
from mta.model.sentitem import JobOutcome, MailboxNotes, SentItemJob
from mta.ports.clock import Clock
from mta.ports.directory import DirectoryDownError
from mta.ports.mailbox import MailboxError, NoMailboxError, SentItems
from mta.sentitems import reasons
from mta.sentitems.branch import Branch
from mta.sentitems.decisions import Circumstances, decide, skipped, waits
from mta.sentitems.endpoint import Endpoint, Turn
from mta.sentitems.marking import put_mark
from mta.sentitems.schedule import ABSENT_FOR, RESOLVED_FOR
from mta.sentitems.verdict import Verdict


class Work(Protocol):
    """`mta.sentitems.work.work`: passes MailboxError through."""

    async def __call__(
        self, job: SentItemJob, mailbox: str, server: SentItems, settings: SentItemsSettings
    ) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Tried:
    """What to write down, and the server that it was tried on, if any."""

    outcome: JobOutcome
    endpoint: Endpoint | None = None


class Attempts:
    """Makes attempts; the same mailbox is never worked on twice at a time, whatever address it goes by."""

    def __init__(
        self,
        work: Work,
        clock: Clock,
        is_clock_in_doubt: Callable[[], bool],
        mailbox_at: Callable[[str], Awaitable[str]],
        is_copy_to_come: Callable[[set[str], str], Awaitable[bool]],
    ) -> None:
        """`mailbox_at` gives a mailbox that was opened on a server lately, "" for none; `is_copy_to_come` says whether
        a job for Sent Items waits for a message in one of these mailboxes.
        """
        self._work = work
        self._clock = clock
        self._mailbox_at = mailbox_at
        self._is_copy_to_come = is_copy_to_come
        self._is_clock_in_doubt = is_clock_in_doubt
        self._mailboxes: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def make(self, job: SentItemJob, branch: Branch | None, notes: MailboxNotes) -> Tried:
        """Try the job once; raises nothing of what servers and directories do."""
        now = self._clock.now()
        if branch is None:
            return Tried(skipped(job, reasons.NOT_CONFIGURED))
        if notes.absent_until is not None and now < notes.absent_until:
            return Tried(skipped(job, reasons.NO_MAILBOX, "as was found lately"))
        if notes.denied_since is not None and notes.resolved_at is not None and now - notes.resolved_at < ABSENT_FOR:
            return Tried(skipped(job, reasons.ACCESS_DENIED, "as was found lately"))
        person = await branch.person(job.mailbox)
        is_fresh = notes.resolved_at is not None and now - notes.resolved_at < RESOLVED_FOR
        try:
            if reason := branch.reason_to_skip(job, person):
                return Tried(skipped(job, reason))
            names = branch.residence.candidates(job.mailbox, person, notes.endpoint if is_fresh else "")
        except DirectoryDownError as exc:
            return Tried(waits(job, reasons.DIRECTORY_DOWN, str(exc), now))
        address = person.address if person is not None else job.mailbox
        if job.mark is not None and branch.settings is not None:
            keys = {job.mailbox, address, *(person.aliases if person is not None else ())}
            if await self._is_copy_to_come(keys, job.message_id):
                return Tried(waits(job, reasons.AFTER_COPY, "", now))
        return await self._try_each(job, branch, notes if is_fresh else _nothing_known(notes), address, names)

    async def _try_each(
        self, job: SentItemJob, branch: Branch, notes: MailboxNotes, address: str, names: tuple[str, ...]
    ) -> Tried:
        """On the first server that has the mailbox; while one of them can't be asked, it may be there."""
        tried = None
        for name in names:
            endpoint = branch.endpoints[name]
            on = _OnServer(job, branch, endpoint, notes, address)
            seen = await self._try_on(on)
            around = Circumstances(
                self._clock.now(), branch.search_for(job), on.notes, endpoint.notes, self._is_clock_in_doubt()
            )
            outcome = replace(decide(job, seen, around), endpoint=name)
            tried = Tried(_with_changes(outcome, notes), endpoint)
            if not isinstance(seen, NoMailboxError):
                break
        assert tried is not None, "an organisation has a mailbox server"
        return tried

    async def _try_on(self, on: _OnServer) -> Verdict | Exception:
        try:
            async with on.endpoint.turn() as turn:
                await self._see_who_is_refused(on, turn)
                if on.is_known_there:
                    try:
                        return await self._carry_out(on, turn.server)
                    except NoMailboxError:  # or its primary address is another one now
                        on.forget()
                await on.look_up(turn.server, self._clock.now())
                return await self._carry_out(on, turn.server)
        except MailboxError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's alone
            events.own_fault(f"sent-item {on.job.id}", error)
            return error

    async def _see_who_is_refused(self, on: _OnServer, turn: Turn) -> None:
        """Some servers say the same of a wrong password and of a mailbox that isn't there; so after a refusal one is
        tried that was opened before. Raises MailboxError.
        """
        if on.endpoint.notes.reason == reasons.SIGN_IN and not on.is_known_there:
            known = await self._mailbox_at(on.endpoint.name)
            if known and known.lower() != on.address.lower():
                await turn.vouch(known)

    async def _carry_out(self, on: _OnServer, server: SentItems) -> Verdict:
        primary = on.notes.primary
        async with self._alone(on.endpoint.name, primary):
            if on.job.mark is not None:
                return await put_mark(on.job, primary, server)
            assert on.branch.settings is not None, "or it would have been skipped"
            return await self._work(on.job, primary, server, on.branch.settings)

    @asynccontextmanager
    async def _alone(self, server: str, primary: str) -> AsyncIterator[None]:
        key = (server, primary.lower())
        lock = self._mailboxes.get(key)
        if lock is None:
            lock = self._mailboxes[key] = asyncio.Lock()
        async with lock:
            yield


@dataclass(slots=True)
class _OnServer:
    """A job at one of the servers that may have its mailbox."""

    job: SentItemJob
    branch: Branch
    endpoint: Endpoint
    notes: MailboxNotes
    address: str

    @property
    def is_known_there(self) -> bool:
        return self.notes.endpoint == self.endpoint.name and bool(self.notes.primary)

    def forget(self) -> None:
        self.notes = _nothing_known(self.notes)

    async def look_up(self, server: SentItems, now: datetime) -> None:
        """Raises NoMailboxError."""
        primary = await server.primary_address(self.address)
        self.notes = replace(self.notes, endpoint=self.endpoint.name, primary=primary, resolved_at=now)


def _nothing_known(notes: MailboxNotes) -> MailboxNotes:
    return replace(notes, endpoint="", primary="", resolved_at=None)


def _with_changes(outcome: JobOutcome, before: MailboxNotes) -> JobOutcome:
    """Without notes that are stored already."""
    return replace(outcome, mailbox_notes=None) if outcome.mailbox_notes == before else outcome
