"""Sent Items jobs in a store that is set aside, damaged, closed or full: none is lost, and no mail waits for them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta import events
from mta.adapters.store import keeper
from mta.adapters.store.damage import set_aside
from mta.adapters.store.database import connect, migrations, prepare
from mta.adapters.store.look import look
from mta.adapters.store.operations import insert_messages
from mta.adapters.store.place import FILE, FILES
from mta.adapters.store.recover import recover
from mta.adapters.store.rows import message_rows
from mta.adapters.store.salvage import salvage
from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import AcceptedMessage, SentCopy, Settlement, State, StoredVariant
from mta.model.queue import Breakdown, QueueFilter
from mta.model.reply import TemporaryError
from mta.model.sentitem import JobFilter, JobKind, JobOutcome, JobState, SentItemJob
from mta.model.writeback import FiledMark, NewMark
from tests.servers.faults import failing
from tests.spool_samples import sample_message

DATE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ALL = JobFilter()
LARGE = b"x" * 200_000


class Log:
    """The actions that were logged."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    def write(self, level: str, action: str, line: str, day: str) -> None:
        self.actions.append(action)


@pytest.fixture
def log() -> Iterator[Log]:
    sink = Log()
    events.configure([sink])
    yield sink
    events.configure([])


def sent(message: AcceptedMessage, mailbox: str = "jane@example.com") -> Settlement:
    """Its first recipient has it, and the sender's mailbox shall have the copy."""
    now = datetime.now(UTC)
    copy = SentCopy((mailbox,), "default", message.message_id, DATE, 0, True, 1, sent_at=now, due_at=now)
    variant = StoredVariant(0, ((0, 0, b"X: y\r\n"),), is_changed=True)
    final = {0: State.DELIVERED}
    return Settlement(message.queue_id, message.recipients[0].next_hop, (), final, variants=(variant,), sent=(copy,))


async def make(
    spool: SqliteSpool, number: int, data: bytes = b"body", hops: tuple[str, ...] = ("a",)
) -> AcceptedMessage:
    message = replace(sample_message(data, hops=hops), message_id=f"<{number}@example.com>")
    await spool.accept(message)
    await spool.settle(sent(message, f"s{number}@example.com"))
    return message


async def all_jobs(folder: Path) -> dict[str, SentItemJob]:
    """Leased by the next process, by Message-ID."""
    jobs = await SqliteSentItemJobs.open(folder, works=True)
    leased = await jobs.lease_due(datetime.now(UTC) + timedelta(hours=1), limit=1000)
    for job in leased:
        await jobs.give_back(job.id, datetime.now(UTC))
    await jobs.close()
    return {job.message_id: job for job in leased}


def octets(job: SentItemJob) -> list[int]:
    return [len(copy.body.data if copy.body.path is None else copy.body.path.read_bytes()) for copy in job.copies]  # type: ignore[arg-type]


async def opens(jobs: SqliteSentItemJobs) -> None:
    async with asyncio.timeout(30):
        while not jobs.is_usable:
            await asyncio.sleep(0.005)


async def test_jobs_are_salvaged_as_sqlite_reads_them(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    for number in range(40):
        await make(spool, number, b"x" * number * 500)
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True)
    for job in (await jobs.lease_due(datetime.now(UTC), limit=1000))[:25]:
        await jobs.settle(JobOutcome(job, JobState.DONE, "replaced", placed=job.copies[0].key))
    await jobs.close()
    await spool.close()
    found = salvage(tmp_path / FILE)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert list(found.jobs.values()) == connection.execute("SELECT * FROM sent_job ORDER BY number").fetchall()
        assert sorted(found.copies.values(), key=str) == sorted(connection.execute("SELECT * FROM sent_copy"), key=str)
        assert list(found.variants.values()) == connection.execute("SELECT * FROM variant").fetchall()
        assert len(found.messages) == 15
    assert len(found.jobs) == 40


async def test_unfinished_jobs_are_recovered_with_what_they_need(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1, b"waits")
    await make(spool, 2, LARGE)
    await make(spool, 3, b"still queued for another", ("a", "b"))
    await make(spool, 4, b"done")
    await make(spool, 5, b"in work")
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True)
    leased = {job.message_id: job for job in await jobs.lease_due(datetime.now(UTC), limit=10)}
    await jobs.settle(JobOutcome(leased["<4@example.com>"], JobState.DONE))
    await jobs.settle(JobOutcome(leased["<2@example.com>"], JobState.GIVEN_UP, "quota"))
    for number in (1, 3):
        await jobs.give_back(leased[f"<{number}@example.com>"].id, datetime.now(UTC))
    await jobs.close()
    await spool.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.write(bytes(100))
    aside = set_aside(tmp_path)
    assert aside is not None
    prepare(tmp_path)
    done = recover(tmp_path, aside, 0)
    assert (len(done.brought_back), len(done.jobs), done.unreadable) == (1, 4, ())
    again = recover(tmp_path, aside, 0)
    assert (len(again.present), again.jobs) == (1, ())
    administrator = await SqliteSentItemJobs.open(tmp_path)
    assert {(job.message_id, job.state, job.reason) for job in await administrator.entries(ALL)} == {
        ("<1@example.com>", JobState.WAITING, ""),
        ("<2@example.com>", JobState.GIVEN_UP, "quota"),
        ("<3@example.com>", JobState.WAITING, ""),
        ("<5@example.com>", JobState.WAITING, "interrupted"),
    }
    await administrator.retry(ALL, datetime.now(UTC))
    await administrator.close()
    found = await all_jobs(tmp_path)
    assert {name: octets(job) for name, job in found.items()} == {
        "<1@example.com>": [5], "<2@example.com>": [200_000], "<3@example.com>": [24], "<5@example.com>": [7],
    }  # fmt: skip
    assert all(job.copies[0].variant.edits == ((0, 0, b"X: y\r\n"),) for job in found.values())
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    assert len(await spool.entries(QueueFilter())) == 1
    await spool.sweep()
    assert {name: octets(job) for name, job in (await all_jobs(tmp_path)).items()}["<2@example.com>"] == [200_000]
    await spool.close()


async def test_marks_that_were_not_put_on_are_recovered(tmp_path: Path) -> None:
    prepare(tmp_path)
    now = datetime.now(UTC)
    mark = FiledMark("Filed", "https://desk.example.com/7", "Ticket 7", {"Größe": 1.5, "VIP": True}, "ticket-7")
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True)
    await jobs.add_marks(
        [NewMark(f"{name}@example.com", "default", "<1@x>", mark, now, now) for name in ("a", "b", "c")]
    )
    leased = {job.mailbox: job for job in await jobs.lease_due(now, limit=10)}
    await jobs.settle(JobOutcome(leased["a@example.com"], JobState.DONE))
    await jobs.give_back(leased["b@example.com"].id, now)
    await jobs.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.write(bytes(100))
    aside = set_aside(tmp_path)
    assert aside is not None
    prepare(tmp_path)
    assert len(recover(tmp_path, aside, 0).jobs) == 2
    assert recover(tmp_path, aside, 0).jobs == ()
    administrator = await SqliteSentItemJobs.open(tmp_path)
    found = await administrator.entries(JobFilter(kind=JobKind.MARK))
    await administrator.close()
    assert {(job.mailbox, job.reason) for job in found} == {("b@example.com", ""), ("c@example.com", "interrupted")}
    assert [job.mark for job in found] == [mark, mark]


async def test_what_an_older_version_queued_makes_jobs(tmp_path: Path) -> None:
    prepare(tmp_path, migrations()[:4])
    message = sample_message(hops=("a",), due_at=datetime.now(UTC))
    rows = message_rows(message, 7, None, owner="0:x", lease_until=0, held_until=None)
    with closing(connect(tmp_path)) as connection:
        insert_messages(connection.cursor(), [rows])
        connection.execute("INSERT INTO variant (message, variant, edits) VALUES (7, 0, x'')")
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    (delivery,) = await spool.lease_due(datetime.now(UTC), limit=10)
    assert delivery.variants == (StoredVariant(0, ()),)
    await spool.settle(sent(message))
    (job,) = (await all_jobs(tmp_path)).values()
    assert octets(job) == [message.body.size_octets]
    assert job.copies[0].variant == StoredVariant(0, ()), "what was stored first is what was sent"
    await spool.close()


async def test_the_sweep_spares_what_jobs_need_and_takes_what_nobody_does(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1, LARGE)
    await spool.close()
    successor = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await successor.sweep()
    assert octets((await all_jobs(tmp_path))["<1@example.com>"]) == [200_000]
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True)
    await jobs.skip(ALL, "by-administrator")
    await jobs.close()
    await successor.close()
    assert [path for path in (tmp_path / "bodies").rglob("*") if path.is_file()] == []
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        for table in ("message", "content", "delivery", "variant"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_who_watches_the_queue_sees_nothing_late(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1)
    assert look(tmp_path, datetime.now(UTC) + timedelta(days=1)).late is None
    assert list(await spool.summary(QueueFilter(), Breakdown.DOMAIN)) == []
    assert list(await spool.lease_overdue(
        "a", datetime.now(UTC), late_since=datetime.now(UTC), expired_since=datetime.now(UTC), limit=10
    )) == []  # fmt: skip
    await spool.close()


async def test_after_its_files_were_taken_away_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1)
    await spool.close()
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True, patient=True)
    (job,) = await jobs.lease_due(datetime.now(UTC), limit=10)
    (tmp_path / FILES[1]).unlink()
    outcome = JobOutcome(job, JobState.DONE, "replaced")
    with pytest.raises(TemporaryError):
        await jobs.settle(outcome)
    await opens(jobs)
    assert await jobs.settle(outcome) is JobState.DONE, "the lease is still its own"
    assert {"spool-closed", "spool-opened"} <= set(log.actions)
    await jobs.close()


async def test_a_store_that_cannot_be_opened_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1)
    await spool.close()
    first_page = (tmp_path / FILE).read_bytes()[:100]
    with (tmp_path / FILE).open("r+b") as file:
        file.write(bytes(100))
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True, patient=True)
    with pytest.raises(TemporaryError):
        await jobs.lease_due(datetime.now(UTC), limit=10)
    assert "spool-closed" in log.actions
    with (tmp_path / FILE).open("r+b") as file:
        file.write(first_page)
    await opens(jobs)
    assert len(await jobs.lease_due(datetime.now(UTC), limit=10)) == 1
    await jobs.close()


async def test_as_room_gets_short_mail_is_taken_and_settled_without_jobs(tmp_path: Path, log: Log) -> None:
    status = os.statvfs(tmp_path)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=status.f_bavail * status.f_frsize * 7 // 10)
    await make(spool, 1)
    assert list(await spool.entries(QueueFilter())) == []
    assert await all_jobs(tmp_path) == {}
    assert "sent-item-left-out" in log.actions
    await spool.close()


async def test_a_settlement_whose_sync_failed_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await make(spool, 1, LARGE)
    await spool.close()
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True, patient=True)
    (job,) = await jobs.lease_due(datetime.now(UTC), limit=10)
    outcome = JobOutcome(job, JobState.DONE, "replaced")
    with await asyncio.to_thread(_failing_syncs, tmp_path) as faults:
        with pytest.raises(TemporaryError):
            await jobs.settle(outcome)
        assert not jobs.is_usable
        assert octets(job) == [200_000], "what the job needs is there as long as nobody knows that it has ended"
        await asyncio.to_thread(faults.close)
    await opens(jobs)
    assert await jobs.settle(outcome) is JobState.DONE
    await jobs.close()


def _failing_syncs(folder: Path) -> ExitStack:
    """From now on nothing of the database's log reaches the disk."""
    with ExitStack() as stack:
        stack.enter_context(failing(os.getpid(), "fdatasync,fsync", "error=EIO", folder / FILES[1]))
        return stack.pop_all()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE variant SET edits = x'0102' WHERE message = (SELECT message FROM sent_copy WHERE job = 2)",
        "UPDATE sent_job SET date = 99999999999999 WHERE number = 2",
        "UPDATE sent_job SET created_at = 9223372036854775807 WHERE number = 2",
        "UPDATE sent_copy SET sent_at = 9223372036854775807 WHERE job = 2",
    ],
)
async def test_a_job_that_can_not_be_decoded_keeps_no_other_from_its_work(
    tmp_path: Path, log: Log, damage: str
) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    for number in range(3):
        await make(spool, number)
    await spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(damage)
        connection.commit()
    assert sorted(await all_jobs(tmp_path)) == ["<0@example.com>", "<2@example.com>"]
    assert "internal-error" in log.actions
    jobs = await SqliteSentItemJobs.open(tmp_path)
    counts = await jobs.counts(ALL)
    await jobs.close()
    assert sum(counts.values()) == 3
