"""Sent Items jobs on SQLite: the port mta/ports/sentitem_jobs.py, in the database of the spool.

Jobs are made by the spool's settlements. Their copies are messages of the spool that stay, without deliveries, as long
as a job needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mta.adapters.store import sent_reader
from mta.adapters.store.access import Access
from mta.adapters.store.operations import Statement
from mta.adapters.store.room import Room
from mta.adapters.store.rows import microseconds, storable
from mta.adapters.store.sent_operations import ChangeJobs, ForgetJobs, LeaseJobs, SettleJob
from mta.adapters.store.sent_reader import Numbers, WhichJobs, job_conditions
from mta.adapters.store.sent_rows import endpoint_row, mailbox_row, mark_row
from mta.adapters.store.statements import json_list
from mta.model.sentitem import EndpointNotes, JobFilter, JobOutcome, JobState, MailboxNotes, SentItemJob, Switch
from mta.model.writeback import NewMark
from mta.ports.clock import Clock, SystemClock

SLOT = 1022
"""Of the process that works on jobs: a lock like those of the workers, of which there are never so many."""
LEASE = timedelta(minutes=10)


class SqliteSentItemJobs(Access):
    """The port `SentItemJobs`; open it with `await SqliteSentItemJobs.open(...)`, end it with `await jobs.close()`."""

    @classmethod
    async def open(
        cls, folder: Path, *, works: bool = False, patient: bool = False, lease: timedelta = LEASE,
        clock: Clock | None = None,
    ) -> SqliteSentItemJobs:  # fmt: skip
        """Open the jobs in the spool `folder`.

        `works`: for the process that works on them, of which there is one; what its predecessor had leased is due at
        once. Else for administrators, who find a spool or fail. Raises StoreError with a text for the administrator. A
        `patient` one raises only where another such process lives, and its calls raise TemporaryError until the store
        can be opened.
        """
        jobs = cls(folder, lease, clock or SystemClock(), works=works)
        try:
            await jobs._keeper.start(patient=patient)
        except BaseException:
            await jobs.close()
            raise
        return jobs

    def __init__(self, folder: Path, lease: timedelta, clock: Clock, *, works: bool) -> None:
        """Use `open`."""
        room = Room(folder, reserve=0, inline_up_to=0)
        super().__init__(folder, SLOT if works else None, room, clock, begin_anew=False)
        self._lease = lease

    async def _start(self) -> None:
        if self._slot is not None:
            await self._writer.submit(Statement("release_jobs", (self._now(), self._owner)))

    # --- the process that works on jobs ------------------------------------------------------------------------------

    async def lease_due(
        self, now: datetime, *, limit: int, busy: Collection[str] = (), left_alone: Collection[str] = ()
    ) -> Sequence[SentItemJob]:
        at = microseconds(now)
        due = await self._read(lambda: self._due(at, limit, busy, left_alone))
        if not due:
            return ()  # nothing is written while there is nothing to do
        leasing = asyncio.ensure_future(self._lease_these(due, at))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            self._begin(partial(self._return_leased, leasing))
            raise

    def _due(self, at: int, limit: int, busy: Collection[str], left_alone: Collection[str]) -> Numbers:
        if self._reader.sent_items_switch() is not Switch.ON:
            return ()
        with self._reader.snapshot() as cursor:
            return sent_reader.due_jobs(cursor, at, limit=limit, busy=busy, left_alone=left_alone)

    async def _lease_these(self, due: Numbers, at: int) -> Sequence[SentItemJob]:
        until = self._now() + self._lease // timedelta(microseconds=1)
        leased = await self._writer.submit(LeaseJobs(due, at, until, self._owner))
        which = tuple(number for number in due if number in leased)
        return await self._look(lambda cursor: sent_reader.load_jobs(cursor, which, self._bodies.folder))

    async def _return_leased(self, leasing: Awaitable[Sequence[SentItemJob]]) -> None:
        for job in await leasing:
            await self.give_back(job.id, self._clock.now())

    async def settle(self, outcome: JobOutcome) -> JobState:
        settled = await self._writer.submit(SettleJob(outcome, self._now(), self._owner))
        await self._discard(self._paths(tuple(settled.files)))
        return settled.state

    async def give_back(self, job: str, due_at: datetime) -> None:
        await self._writer.submit(Statement("give_back_job", (microseconds(due_at), job, self._owner)))

    async def renew(self) -> None:
        until = self._now() + self._lease // timedelta(microseconds=1)
        await self._writer.submit(Statement("renew_jobs", (until, self._owner)))

    async def next_due(self) -> datetime | None:
        return await self._look(sent_reader.next_due)

    async def mailbox_notes(self, mailboxes: Collection[str]) -> Mapping[str, MailboxNotes]:
        return await self._look(lambda cursor: sent_reader.notes_of_mailboxes(cursor, mailboxes))

    async def mailbox_at(self, endpoint: str) -> str:
        return await self._look(lambda cursor: sent_reader.mailbox_at(cursor, endpoint))

    async def is_copy_to_come(self, mailboxes: Collection[str], message_id: str) -> bool:
        return await self._look(lambda cursor: sent_reader.is_copy_to_come(cursor, mailboxes, storable(message_id)))

    async def endpoint_notes(self) -> Mapping[str, EndpointNotes]:
        return await self._look(sent_reader.notes_of_endpoints)

    async def note_mailbox(self, notes: MailboxNotes) -> None:
        await self._writer.submit(Statement("note_mailbox", mailbox_row(notes)))

    async def note_endpoint(self, notes: EndpointNotes) -> None:
        await self._writer.submit(Statement("note_endpoint", endpoint_row(notes)))

    async def add_marks(self, marks: Sequence[NewMark]) -> int:
        if not marks:
            return 0
        return await self._writer.submit(Statement("make_marks", (json_list(mark_row(mark) for mark in marks),)))

    async def forget(self, ended_before: datetime, limit: int) -> int:
        done = await self._writer.submit(ForgetJobs(microseconds(ended_before), limit))
        await self._discard(self._paths(tuple(done.files)))
        return done.found

    # --- administrators ----------------------------------------------------------------------------------------------

    async def switch(self) -> Switch:
        return await self._read(lambda: self._reader.sent_items_switch())

    async def set_switch(self, switch: Switch, *, by_whom: str, at: datetime) -> bool:
        if switch is Switch.ON:
            return await self._writer.submit(Statement("switch_on", ())) > 0
        values = {"position": switch.value, "since": microseconds(at), "by_whom": by_whom}
        return await self._writer.submit(Statement("switch_to", values)) > 0

    async def entries(self, which: JobFilter, *, limit: int = 1000) -> Sequence[SentItemJob]:
        wanted = job_conditions(which, self._clock.now())
        return await self._look(lambda cursor: sent_reader.matching_jobs(cursor, wanted, limit))

    async def counts(self, which: JobFilter) -> Mapping[tuple[JobState, str], int]:
        wanted = job_conditions(which, self._clock.now())
        return await self._look(lambda cursor: sent_reader.count_jobs(cursor, wanted))

    async def retry(self, which: JobFilter, now: datetime) -> int:
        wanted = job_conditions(which, self._clock.now())
        return await self._change(wanted, "jobs_to_retry", "retry_jobs", (microseconds(now),))

    async def skip(self, which: JobFilter, reason: str) -> int:
        wanted = job_conditions(which, self._clock.now())
        return await self._change(wanted, "jobs_to_skip", "skip_jobs", (reason, self._now()))

    async def _change(self, which: WhichJobs, find: str, change: str, values: tuple[object, ...]) -> int:
        """Carry it out in transactions of bounded size, until nothing is left that matches."""
        total = 0
        asked = ChangeJobs(which.statement(find), {**which.values, "now": self._now()}, change, values)
        while (done := await self._writer.submit(asked)).found:
            total += done.found
            await self._discard(self._paths(tuple(done.files)))
            asked = replace(asked, after=done.last)
        return total
