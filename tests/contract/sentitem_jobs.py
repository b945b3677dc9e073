"""What tests of the port `SentItemJobs` share: the jobs and the spool of one store, and mail that makes jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.model.delivery import AcceptedMessage, SentCopy, Settlement, State, StoredVariant
from mta.model.sentitem import JobFilter, JobOutcome, JobState, SentItemJob
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import Spool
from tests.contract.spools import SettableClock
from tests.spool_samples import sample_message

JANE = "jane@example.com"
DATE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
WAIT = timedelta(seconds=60)
ALL = JobFilter()
STAMP = StoredVariant(0, ((14, 14, b"Kind regards\r\n"),), is_changed=True)

OpenJobs = Callable[[bool], Awaitable[SentItemJobs]]


@pytest.fixture(params=["sqlite"])
async def open_jobs(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> AsyncIterator[OpenJobs]:
    """Opens the jobs of the spool as the process that works on them, or (False) as an administrator."""
    assert request.param == "sqlite"
    opened: list[SentItemJobs] = []

    async def open_as(works: bool) -> SentItemJobs:
        jobs = await SqliteSentItemJobs.open(tmp_path / "spool", works=works, clock=clock)
        opened.append(jobs)
        return jobs

    yield open_as
    for jobs in opened:
        await jobs.close()


@pytest.fixture
async def jobs(open_jobs: OpenJobs) -> SentItemJobs:
    return await open_jobs(True)


@dataclass
class Mail:
    """Sends mail through the spool that makes jobs."""

    spool: Spool
    clock: SettableClock

    async def accept(
        self,
        message_id: str = "<a1@example.com>",
        data: bytes = b"Subject: x\r\n\r\nbody\r\n",
        hops: Sequence[str] = ("a",),
    ) -> AcceptedMessage:
        message = replace(sample_message(data, hops=hops), message_id=message_id)
        await self.spool.accept(message)
        return message

    def copy(
        self, message: AcceptedMessage, index: int = 0, *, mailboxes: Sequence[str] = (JANE,), external: bool = True,
        date: datetime | None = DATE,
    ) -> SentCopy:  # fmt: skip
        now = self.clock.now()
        return SentCopy(
            tuple(mailboxes), "default", message.message_id, date, index, external, 1, sent_at=now, due_at=now + WAIT
        )

    async def deliver(
        self, message: AcceptedMessage, index: int = 0, *, mailboxes: Sequence[str] = (JANE,), external: bool = True,
        date: datetime | None = DATE,
    ) -> None:  # fmt: skip
        """One recipient has their copy."""
        copy = self.copy(message, index, mailboxes=mailboxes, external=external, date=date)
        await self.spool.settle(
            Settlement(
                message.queue_id, message.recipients[index].next_hop, (), {index: State.DELIVERED},
                variants=(replace(STAMP, group=index),), sent=(copy,),
            )
        )  # fmt: skip

    async def send(
        self, message_id: str = "<a1@example.com>", *, mailbox: str = JANE, external: bool = True,
        data: bytes = b"Subject: x\r\n\r\nbody\r\n", date: datetime | None = DATE,
    ) -> AcceptedMessage:  # fmt: skip
        """One message, delivered."""
        message = await self.accept(message_id, data)
        await self.deliver(message, mailboxes=(mailbox,), external=external, date=date)
        return message


@pytest.fixture
def mail(spool: Spool, clock: SettableClock) -> Mail:
    return Mail(spool, clock)


async def due(jobs: SentItemJobs, clock: SettableClock) -> list[SentItemJob]:
    """What is due once siblings have gathered."""
    return list(await jobs.lease_due(clock.pass_(WAIT), limit=100))


def done(job: SentItemJob) -> JobOutcome:
    return JobOutcome(job, JobState.DONE, "replaced", placed=" ".join(copy.key for copy in job.copies))


def waits(job: SentItemJob, until: datetime, reason: str = "not-found") -> JobOutcome:
    return JobOutcome(job, JobState.WAITING, reason, due_at=until)


async def one(jobs: SentItemJobs) -> SentItemJob:
    """The only job there is."""
    (job,) = await jobs.entries(ALL)
    return job
