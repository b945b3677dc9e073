"""Sent Items jobs against a model that is a few dictionaries: what a job needs is there, what nobody needs is gone."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import AcceptedMessage, SentCopy, Settlement, State, StoredVariant
from mta.model.sentitem import JobFilter, JobOutcome, JobState, SentItemJob
from mta.ports.spool import LEASE, LeaseLostError
from tests.spool_samples import MEMORY, sample_message

T = TypeVar("T")
HOPS = ("a", "b")
MAILBOXES = ("jane@example.com", "boss@example.com")
MESSAGE_IDS = ("<1@example.com>", "<2@example.com>")
ALL = JobFilter()
Copy = tuple[str, int]


@dataclass
class ModelJob:
    state: JobState = JobState.WAITING
    copies: set[Copy] = field(default_factory=set)
    held: set[Copy] = field(default_factory=set)
    """Those whose bytes it needs."""
    leased: SentItemJob | None = None
    leased_until: datetime | None = None

    def end(self, state: JobState) -> None:
        self.state, self.leased, self.leased_until = state, None, None
        if state in (JobState.DONE, JobState.SKIPPED):
            self.held = set()


@dataclass
class ModelClock:
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.time


class JobsMachine(RuleBasedStateMachine):
    """One worker sends mail, one process works on jobs; both die and come again. All bodies are files."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.clock = ModelClock()
        self.spool = self.open_spool()
        self.works = self.open_jobs()
        self.open: dict[str, tuple[AcceptedMessage, set[int]]] = {}
        """Messages with recipients who wait, all of them leased."""
        self.data: dict[str, bytes] = {}
        self.model: dict[tuple[str, str], ModelJob] = {}
        self.sent = 0

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def open_spool(self) -> SqliteSpool:
        return self.run(SqliteSpool.open(self.folder, slot=0, reserve=0, inline_up_to=1, clock=self.clock))

    def open_jobs(self) -> SqliteSentItemJobs:
        return self.run(SqliteSentItemJobs.open(self.folder, works=True, clock=self.clock))

    def teardown(self) -> None:
        self.run(self.works.close())
        self.run(self.spool.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    # --- mail ---------------------------------------------------------------------------------------------------------

    @rule(message_id=st.sampled_from(MESSAGE_IDS), hops=st.sampled_from((("a",), HOPS)))
    def accept(self, message_id: str, hops: tuple[str, ...]) -> None:
        self.sent += 1
        message = replace(sample_message(b"message %d" % self.sent, hops=hops), message_id=message_id)
        self.run(self.spool.accept(message))
        self.open[message.queue_id] = (message, set(range(len(hops))))
        self.data[message.queue_id] = b"message %d" % self.sent

    @precondition(lambda self: self.open)
    @rule(data=st.data(), mailboxes=st.sets(st.sampled_from(MAILBOXES)), fails=st.sampled_from((False, False, True)))
    def deliver(self, data: st.DataObject, mailboxes: set[str], fails: bool) -> None:
        queue_id = data.draw(st.sampled_from(sorted(self.open)))
        message, waiting = self.open[queue_id]
        index = data.draw(st.sampled_from(sorted(waiting)))
        now = self.clock.now()
        sent = SentCopy(
            tuple(sorted(mailboxes)), "default", message.message_id, None, index, True, 1, sent_at=now, due_at=now
        )
        has_job = bool(mailboxes) and not fails
        self.run(
            self.spool.settle(
                Settlement(
                    queue_id, HOPS[index], (), {index: State.FAILED if fails else State.DELIVERED},
                    variants=(StoredVariant(index, ((0, 0, b"%d" % index),), is_changed=True),),
                    sent=(sent,) if has_job else (),
                )
            )
        )  # fmt: skip
        waiting.discard(index)
        if not waiting:
            del self.open[queue_id]
        for mailbox in mailboxes if has_job else ():
            self._joins(self.model.setdefault((mailbox, message.message_id), ModelJob()), (queue_id, index))

    def _joins(self, job: ModelJob, copy: Copy) -> None:
        job.copies.add(copy)
        if job.state is not JobState.SKIPPED:
            job.held.add(copy)
        if job.state is JobState.DONE:
            job.state = JobState.WAITING

    # --- jobs ---------------------------------------------------------------------------------------------------------

    @rule(limit=st.integers(1, 3), busy=st.sets(st.sampled_from(MAILBOXES)))
    def lease(self, limit: int, busy: set[str]) -> None:
        now = self.clock.now()
        leased = self.run(self.works.lease_due(now, limit=limit, busy=busy))
        possible = {
            mailbox
            for (mailbox, _), job in self.model.items()
            if job.state is JobState.WAITING and mailbox not in busy and not self._is_in_work(mailbox)
        }
        assert len(leased) == min(limit, len(possible))
        for found in leased:
            assert found.mailbox in possible
            job = self.model[found.mailbox, found.message_id]
            assert job.state is JobState.WAITING
            job.leased, job.leased_until = found, now + LEASE
            assert {(copy.queue_id, copy.group) for copy in found.copies} == job.copies
            for copy in found.copies:
                if (copy.queue_id, copy.group) in job.held:
                    assert copy.body.path is not None
                    assert copy.body.path.read_bytes() == self.data[copy.queue_id]
                    assert copy.variant.edits == ((0, 0, b"%d" % copy.group),)

    def _is_in_work(self, mailbox: str) -> bool:
        now = self.clock.now()
        return any(
            job.leased_until is not None and job.leased_until > now
            for (name, _), job in self.model.items()
            if name == mailbox
        )

    def _leased(self, data: st.DataObject) -> tuple[ModelJob, SentItemJob]:
        job = data.draw(st.sampled_from([job for job in self.model.values() if job.leased is not None]))
        assert job.leased is not None
        return job, job.leased

    @precondition(lambda self: any(job.leased for job in self.model.values()))
    @rule(data=st.data(), state=st.sampled_from(JobState))
    def settle(self, data: st.DataObject, state: JobState) -> None:
        job, leased = self._leased(data)
        has_more = job.copies != {(copy.queue_id, copy.group) for copy in leased.copies}
        expected = JobState.WAITING if has_more else state
        outcome = JobOutcome(leased, state, "why", due_at=self.clock.now())
        assert self.run(self.works.settle(outcome)) is expected
        job.end(expected)
        try:
            self.run(self.works.settle(outcome))
        except LeaseLostError:
            return
        raise AssertionError("settled twice")

    @precondition(lambda self: any(job.leased for job in self.model.values()))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        job, leased = self._leased(data)
        self.run(self.works.give_back(leased.id, self.clock.now()))
        job.leased = job.leased_until = None

    @rule(mailbox=st.sampled_from(MAILBOXES))
    def skip(self, mailbox: str) -> None:
        now = self.clock.now()
        meant = [
            job
            for (name, _), job in self.model.items()
            if name == mailbox
            and job.state is JobState.WAITING
            and (job.leased_until is None or job.leased_until <= now)
        ]
        assert self.run(self.works.skip(JobFilter(mailbox=mailbox), "by-administrator")) == len(meant)
        for job in meant:
            job.end(JobState.SKIPPED)

    @rule()
    def retry(self) -> None:
        meant = [
            job
            for job in self.model.values()
            if job.state is JobState.GIVEN_UP or (job.state is JobState.WAITING and job.leased is None)
        ]
        assert self.run(self.works.retry(ALL, self.clock.now())) == len(meant)
        for job in meant:
            job.state = JobState.WAITING

    @rule()
    def forget(self) -> None:
        ended = [key for key, job in self.model.items() if job.state.is_final]
        assert self.run(self.works.forget(self.clock.now() + timedelta(seconds=1), 100)) == len(ended)
        for key in ended:
            del self.model[key]

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule()
    def time_passes(self) -> None:
        self.clock.time += LEASE

    @rule()
    def the_process_dies(self) -> None:
        """Its leases end with it."""
        self.run(self.works.close())
        self.works = self.open_jobs()
        for job in self.model.values():
            job.leased = job.leased_until = None

    @rule()
    def the_worker_dies(self) -> None:
        self.run(self.spool.close())
        self.spool = self.open_spool()
        self.run(self.spool.lease_due(self.clock.now() + LEASE, limit=1000, per_next_hop=1000))
        self.run(self.spool.sweep())

    @invariant()
    def states_are_known(self) -> None:
        found = {(job.mailbox, job.message_id): job.state for job in self.run(self.works.entries(ALL))}
        assert found == {key: job.state for key, job in self.model.items()}

    @invariant()
    def what_is_needed_is_there_and_nothing_else(self) -> None:
        needed = {*self.open, *(queue_id for job in self.model.values() for queue_id, _ in job.held)}
        files = sorted(path.read_bytes() for path in (self.folder / "bodies").rglob("*") if path.is_file())
        assert files == sorted(self.data[queue_id] for queue_id in needed)


TestJobs = JobsMachine.TestCase
TestJobs.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
