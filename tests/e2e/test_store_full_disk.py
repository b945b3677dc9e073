"""The spool on a disk that really is full: nothing half, nothing lost, and it recovers by itself."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import AcceptedMessage, SentCopy, Settlement, State, StoredVariant
from mta.model.queue import QueueFilter
from mta.model.sentitem import JobOutcome, JobState
from mta.ports.spool import SpoolFullError
from tests.servers.small_disk import small_disk
from tests.spool_samples import sample_message

RESERVE = 24_000_000
"""More than the log ever takes, as on a real disk."""
pytestmark = pytest.mark.server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    with small_disk(tmp_path / "disk", 64 * 1024 * 1024):
        yield tmp_path / "disk"


async def fill(spool: SqliteSpool, size: int) -> list[AcceptedMessage]:
    """Accept until there is no room."""
    accepted: list[AcceptedMessage] = []
    for _ in range(5000):
        message = sample_message(b"x" * size)
        try:
            await spool.accept(message)
        except SpoolFullError:
            return accepted
        accepted.append(message)
    raise AssertionError("a disk of 64 MB took everything")


async def settle(spool: SqliteSpool, messages: list[AcceptedMessage]) -> None:
    for message in messages:
        await spool.settle(Settlement(message.queue_id, "default", (), {0: State.DELIVERED}))


async def has_room_again(spool: SqliteSpool) -> None:
    async with asyncio.timeout(60):
        while not spool.has_room(100_000):
            await asyncio.sleep(0.02)


def _written(ballast: io.FileIO) -> int:
    try:
        return ballast.write(b"x" * 4096)
    except OSError:
        return 0


async def queued(spool: SqliteSpool) -> list[str]:
    return [entry.queue_id for entry in await spool.entries(QueueFilter())]


@pytest.mark.parametrize(("size", "inline_up_to"), [(60_000, 64_000), (200_000, 64_000)])
async def test_down_to_the_reserve_mail_is_refused_and_what_is_there_can_be_settled(
    disk: Path, size: int, inline_up_to: int
) -> None:
    spool = await SqliteSpool.open(disk / "spool", slot=0, reserve=RESERVE, inline_up_to=inline_up_to)
    accepted = await fill(spool, size)
    assert len(accepted) > 50
    assert await queued(spool) == [message.queue_id for message in accepted]
    await settle(spool, accepted)
    assert await queued(spool) == []
    await has_room_again(spool)
    await spool.accept(sample_message(b"x" * size))
    await spool.close()


@pytest.mark.parametrize(("size", "inline_up_to"), [(60_000, 64_000), (200_000, 64_000)])
async def test_when_the_last_octet_is_used_acceptance_fails_whole_and_recovers(
    disk: Path, size: int, inline_up_to: int
) -> None:
    spool = await SqliteSpool.open(disk / "spool", slot=0, reserve=0, inline_up_to=inline_up_to)
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * 30_000_000)
    accepted = await fill(spool, size)
    assert accepted
    ballast.unlink()
    await has_room_again(spool)
    another = sample_message(b"x" * size)
    await spool.accept(another)
    assert await queued(spool) == [message.queue_id for message in (*accepted, another)]
    for message in (*accepted, another):
        body = await spool.read_body(message.queue_id)
        assert (body.path.read_bytes() if body.path else body.data) == message.body.data
    names = {path.name for path in (disk / "spool" / "bodies").rglob("*") if path.is_file()}
    assert len(names) == (len(accepted) + 1 if size > inline_up_to else 0)
    await settle(spool, [*accepted, another])
    assert await queued(spool) == []
    await spool.close()


async def test_on_a_full_disk_mail_is_settled_and_jobs_that_are_there_go_on(disk: Path) -> None:
    spool = await SqliteSpool.open(disk / "spool", slot=0, reserve=RESERVE)
    first = sample_message(b"x" * 30_000)
    await spool.accept(first)
    await spool.settle(_with_job(first, "first@example.com"))
    others = await fill(spool, 30_000)
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        while _written(ballast):
            pass
    for number, message in enumerate(others):
        await spool.settle(_with_job(message, f"s{number}@example.com"))
    assert await queued(spool) == []
    jobs = await SqliteSentItemJobs.open(disk / "spool", works=True)
    found: dict[str, int] = {}
    while leased := await jobs.lease_due(datetime.now(UTC), limit=10):
        for job in leased:
            found[job.mailbox] = job.copies[0].body.size_octets
            assert await jobs.settle(JobOutcome(job, JobState.DONE, "replaced")) is JobState.DONE
    assert found["first@example.com"] == 30_000
    assert set(found.values()) == {30_000}, "each job that was made is whole"
    await jobs.close()
    await spool.close()


def _with_job(message: AcceptedMessage, mailbox: str) -> Settlement:
    now = datetime.now(UTC)
    copy = SentCopy((mailbox,), "default", message.message_id, None, 0, True, 1, sent_at=now, due_at=now)
    stamped = StoredVariant(0, ((0, 0, b"y" * 3000),), is_changed=True)
    return Settlement(message.queue_id, "default", (), {0: State.DELIVERED}, variants=(stamped,), sent=(copy,))


async def test_settling_works_even_when_others_have_used_up_the_reserve(disk: Path) -> None:
    spool = await SqliteSpool.open(disk / "spool", slot=0, reserve=RESERVE)
    accepted = await fill(spool, 30_000)
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        while _written(ballast):
            pass
    await settle(spool, accepted)
    assert await queued(spool) == []
    await spool.close()
