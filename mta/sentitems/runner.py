"""Takes jobs that are due and has them tried: as many at a time as servers and memory allow, one for each mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from typing import Any, Protocol, TypeVar

from mta import events
from mta.draining import finished
from mta.model.reply import MailError
from mta.model.sentitem import JobFilter, JobOutcome, JobState, MailboxNotes, SentItemJob, Switch
from mta.ports.clock import Clock
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import LeaseLostError
from mta.sentitems import reasons
from mta.sentitems.attempt import Attempts, Tried, Work
from mta.sentitems.branch import Branches
from mta.sentitems.endpoint import Endpoint
from mta.sentitems.octets_in_hand import OctetsInHand

LOOK_EVERY_S = 1.0
"""How long something due may wait, for nobody tells of new jobs; a look reads a few rows."""
RENEW_EVERY_S = 150.0
"""A quarter of how long a job is leased."""
COUNT_EVERY_S = 30.0
FORGET_EVERY_S = 600.0
FORGET_AT_ONCE = 1000
STORE_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
"""Waits of a result that the store did not take; the last one repeats."""
AFTER_OWN_FAULT = timedelta(minutes=10)
OCTETS_MAX = 50_000_000
"""Of messages that are worked on at a time; the work on one takes several times its size."""
T = TypeVar("T")


class ClockWatch(Protocol):
    """Notices leaps of the clock."""

    @property
    def is_in_doubt(self) -> bool: ...

    def look(self) -> timedelta: ...


class Runner:
    """`run` works until it is cancelled or `drain` was called; `equip` takes over another configuration."""

    def __init__(self, jobs: SentItemJobs, work: Work, clock: Clock, clock_watch: ClockWatch) -> None:
        self._jobs = jobs
        self._clock = clock
        self._clock_watch = clock_watch
        self._attempts = Attempts(
            work,
            clock,
            lambda: clock_watch.is_in_doubt,
            lambda name: self._insist(lambda: jobs.mailbox_at(name)),
            lambda mailboxes, message_id: self._insist(lambda: jobs.is_copy_to_come(mailboxes, message_id)),
        )
        self._branches: Branches = {}
        self._retired: list[Endpoint] = []
        self._in_hand: dict[str, tuple[SentItemJob, asyncio.Task[None]]] = {}
        """By id."""
        self._octets = OctetsInHand(OCTETS_MAX)
        self._look_now = asyncio.Event()
        self._is_draining = False
        self._next_s: dict[str, float] = {}
        """On the event loop's clock: when something is done again that isn't done with each look."""
        self._waiting = 0
        self._switch = Switch.ON

    # --- orders -------------------------------------------------------------------------------------------------------

    def equip(self, branches: Branches) -> None:
        """Go by this from now on; what is in hand ends as it began."""
        kept = {id(endpoint) for endpoint in _endpoints(branches)}
        self._retired += [endpoint for endpoint in _endpoints(self._branches) if id(endpoint) not in kept]
        self._branches = branches
        self.wake()

    @property
    def branches(self) -> Branches:
        return self._branches

    def wake(self) -> None:
        """Look at once."""
        self._look_now.set()

    async def drain(self, limit_s: float) -> int:
        """Take no more, wait so long for what is in hand, give the rest back; how much that was."""
        self._is_draining = True
        self.wake()
        return await finished([task for _, task in self._in_hand.values()], limit_s)

    async def close(self) -> None:
        """End connections to servers."""
        for endpoint in (*self._retired, *_endpoints(self._branches)):
            await endpoint.close()

    def report(self) -> Mapping[str, Any]:
        """For `stampline status`."""
        stopped = {
            endpoint.name: {"reason": endpoint.notes.reason, "detail": endpoint.notes.detail}
            for endpoint in _endpoints(self._branches)
            if endpoint.notes.is_stopped
        }
        return {
            "waiting": self._waiting,
            "in_hand": len(self._in_hand),
            "sent_items_switch": self._switch.value,
            "stopped_servers": stopped,
        }

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until drained or cancelled."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._is_draining:
                taken = 0
                with suppress(MailError):  # the store has its own log lines for what is wrong with it
                    taken = await self.look()
                if not taken:
                    await self._wait()
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def look(self) -> int:
        """Take what is due and fits; how many. Raises MailError where the store can't be used."""
        await self._heed_clock()
        await self._note_orders()
        await self._keep_house()
        room = self._room()
        now = self._clock.now()
        due_at = await self._jobs.next_due() if room else None
        if due_at is None or due_at > now:
            return 0
        leased = await self._jobs.lease_due(
            now, limit=room, busy={job.mailbox for job, _ in self._in_hand.values()}, left_alone=self._left_alone()
        )
        if self._is_draining:  # since we asked; `drain` waits for what was in hand then
            for job in leased:
                await self._jobs.give_back(job.id, now)
            return 0
        for job in leased:
            self._in_hand[job.id] = (job, asyncio.create_task(self._do(job)))
        return len(leased)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._look_now.wait()
        self._look_now.clear()

    def _room(self) -> int:
        """Twice what servers take at a time, so that none waits for us; nothing while all are left alone."""
        limits = [endpoint.limit for endpoint in _endpoints(self._branches) if not endpoint.is_left_alone]
        return max(2 * sum(limits) - len(self._in_hand), 0)

    def _left_alone(self) -> set[str]:
        """Servers that get nothing now, because of what they said, or because enough waits for them."""
        return {
            endpoint.name
            for endpoint in _endpoints(self._branches)
            if endpoint.is_left_alone or endpoint.in_hand >= 2 * endpoint.limit
        }

    # --- one job ------------------------------------------------------------------------------------------------------

    async def _do(self, job: SentItemJob) -> None:
        try:
            async with self._octets.some(sum(copy.body.size_octets for copy in job.copies)):
                notes = await self._insist(lambda: self._jobs.mailbox_notes({job.mailbox}))
                tried = await self._attempts.make(
                    job, self._branches.get(job.organisation), notes.get(job.mailbox, MailboxNotes(job.mailbox))
                )
            await self._settle(job, tried)
        except asyncio.CancelledError:
            # What was asked last may have been done: the next attempt has to know.
            interrupted = JobOutcome(job, JobState.WAITING, reasons.INTERRUPTED, "", self._clock.now())
            with suppress(MailError, LeaseLostError):
                await self._jobs.settle(replace(interrupted, endpoint=job.endpoint, placed=job.placed))
            raise
        except LeaseLostError:
            events.internal_error(f"sent-item {job.id}", error="its lease was lost")
        except Exception as exc:  # noqa: BLE001 - the task's edge: the job is tried again
            events.own_fault(f"sent-item {job.id}", exc)
            with suppress(MailError):
                await self._jobs.give_back(job.id, self._clock.now() + AFTER_OWN_FAULT)
        finally:
            del self._in_hand[job.id]
            self.wake()

    async def _settle(self, job: SentItemJob, tried: Tried) -> None:
        state = await self._insist(lambda: self._write_down(tried))
        outcome = tried.outcome
        events.sent_item_job(
            job.id, mailbox=job.mailbox, message_id=job.message_id,
            queue_id=job.copies[0].queue_id if job.copies else "", state=state.value, reason=outcome.reason,
            detail=outcome.detail, server=outcome.endpoint,
            is_news=state is not JobState.WAITING or outcome.reason != job.reason,
            record=job.mark.record if job.mark is not None else "",
        )  # fmt: skip

    async def _write_down(self, tried: Tried) -> JobState:
        endpoint = tried.endpoint
        notes = endpoint.unstored if endpoint is not None else None
        outcome: JobOutcome = replace(tried.outcome, endpoint_notes=notes)
        state = await self._jobs.settle(outcome)
        if endpoint is not None and notes is not None:
            endpoint.was_stored(notes)
        return state

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Until the store does it: a job that is leased is ours, and what was done in the mailbox is done."""
        for wait_s in chain(STORE_AGAIN_S, repeat(STORE_AGAIN_S[-1])):
            try:
                return await write()
            except MailError:
                await asyncio.sleep(wait_s)
        raise AssertionError("it goes on for ever")

    # --- beside them --------------------------------------------------------------------------------------------------

    async def _heed_clock(self) -> None:
        leap = self._clock_watch.look()
        if not leap:
            return
        events.clock_leapt(leap.total_seconds(), nothing_expires_for_s=3600.0 if leap > timedelta(0) else 0.0)
        if leap < timedelta(0):  # what was due would wait for times that are far ahead now
            for endpoint in _endpoints(self._branches):
                endpoint.notes = replace(endpoint.notes, resume_at=None)
            await self._jobs.retry(JobFilter(state=JobState.WAITING), self._clock.now())

    async def _note_orders(self) -> None:
        """Learn what administrators want; store what is known of servers and went with no job."""
        self._switch = await self._jobs.switch()
        stored = await self._jobs.endpoint_notes()
        for endpoint in _endpoints(self._branches):
            unstored = endpoint.unstored
            if unstored is not None and not endpoint.in_hand:
                await self._jobs.note_endpoint(unstored)
                endpoint.was_stored(unstored)
            elif endpoint.name in stored and (reason := endpoint.recall(stored[endpoint.name])):
                waiting = JobFilter(endpoint=endpoint.name, state=JobState.WAITING, reason=reason)
                await self._jobs.retry(waiting, self._clock.now())

    async def _keep_house(self) -> None:
        for endpoint in [each for each in self._retired if not each.in_hand]:
            self._retired.remove(endpoint)
            await endpoint.close()
        if self._is_time("count", COUNT_EVERY_S):
            self._waiting = sum((await self._jobs.counts(JobFilter(state=JobState.WAITING))).values())
        if self._branches and self._is_time("forget", FORGET_EVERY_S):
            await self._forget()

    async def _forget(self) -> None:
        keep = max(branch.keep for branch in self._branches.values())
        forgotten = await self._jobs.forget(self._clock.now() - keep, FORGET_AT_ONCE)
        if forgotten:
            events.sent_items_forgotten(forgotten)
        if forgotten >= FORGET_AT_ONCE:
            self._next_s["forget"] = 0.0

    def _is_time(self, what: str, every_s: float) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_s.get(what, 0.0):
            return False
        self._next_s[what] = now_s + every_s
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await self._jobs.renew()
            except MailError as exc:
                events.internal_error("sent-items", error=str(exc))


def _endpoints(branches: Branches) -> Iterator[Endpoint]:
    return (endpoint for branch in branches.values() for endpoint in branch.endpoints.values())
