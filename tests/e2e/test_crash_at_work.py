"""kill -9 while an administrator works on the queue: it is as before, or as wanted, and the same command goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.adapters.store.damage import MARKER, set_aside, set_aside_folders
from mta.adapters.store.database import migrations, prepare
from mta.adapters.store.place import FILE
from mta.adapters.store.recover import recover
from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.delivery import SentCopy, Settlement, State
from mta.model.queue import QueueFilter
from mta.model.record import RecordFilter
from tests.contract.spools import SettableClock
from tests.contract.tracking import Arrivals, create, note
from tests.servers.faults import needs
from tests.spool_samples import sample_message

CHILD = "tests.e2e.crash_at_work_child"
MESSAGES = 12


async def _filled(folder: Path, state: State = State.QUEUED) -> set[str]:
    """A spool with messages for two next hops each, some with their body in a file; gives their queue ids."""
    spool = await SqliteSpool.open(folder, slot=0, reserve=0)
    messages = [
        sample_message(b"x" * (200_000 if number % 4 == 0 else 500), hops=("a", "b"), states=(state, state))
        for number in range(MESSAGES)
    ]
    for message in messages:
        await spool.accept(message)
    await spool.close()
    await (await SqliteSpool.open(folder, slot=0, reserve=0)).close()  # a successor ends the leases
    return {message.queue_id for message in messages}


def _killed(folder: Path, what: str, point: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", CHILD, str(folder), what],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "STAMPLINE_CRASH_AT": point},
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, process.stderr


async def _states(folder: Path) -> dict[str, set[State]]:
    spool = await SqliteSpool.open(folder, slot=0, reserve=0)
    entries = await spool.entries(QueueFilter())
    await spool.close()
    return {entry.queue_id: {recipient.state for recipient in entry.recipients} for entry in entries}


@pytest.mark.parametrize(("point", "hops"), [("before-change", {"a", "b"}), ("after-change", {"b", "c"})])
async def test_rerouting_leaves_each_recipient_one_way(tmp_path: Path, point: str, hops: set[str]) -> None:
    await _filled(tmp_path)
    _killed(tmp_path, "reroute", point)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    for entry in await spool.entries(QueueFilter()):
        assert {recipient.next_hop for recipient in entry.recipients} == hops
    await spool.close()


def _damage(folder: Path) -> None:
    with (folder / FILE).open("r+b") as file:
        file.write(bytes(100))


@pytest.mark.parametrize(
    ("what", "point", "before", "after"),
    [
        ("hold", "before-change", State.QUEUED, State.QUEUED),
        ("hold", "after-change", State.QUEUED, State.HELD),
        ("release", "before-change", State.HELD, State.HELD),
        ("release", "after-change", State.HELD, State.QUEUED),
    ],
)
async def test_a_change_is_there_or_it_is_not(
    tmp_path: Path, what: str, point: str, before: State, after: State
) -> None:
    queue_ids = await _filled(tmp_path, before)
    _killed(tmp_path, what, point)
    assert await _states(tmp_path) == {queue_id: {after} for queue_id in queue_ids}


@pytest.mark.parametrize("point", ["setting-aside", *(f"set-aside-one:{count}" for count in (1, 2))])
async def test_setting_aside_goes_on_where_it_was_killed(tmp_path: Path, point: str) -> None:
    queue_ids = await _filled(tmp_path)
    _damage(tmp_path)
    _killed(tmp_path, "set-aside", point)
    prepare(tmp_path)
    assert await _states(tmp_path) == {}, "a fresh one"
    (aside,) = set_aside_folders(tmp_path)
    assert set(recover(tmp_path, aside, 0).brought_back) == queue_ids
    assert (await _states(tmp_path)).keys() == queue_ids
    assert not (tmp_path / MARKER).exists()


async def test_what_its_disk_cannot_read_is_not_set_aside(tmp_path: Path) -> None:
    """SQLite calls that damage, but the disk may come back."""
    needs("strace")
    await _filled(tmp_path)
    command = ["strace", "-f", "-qq", "-o", "/dev/null", f"--trace-path={tmp_path / FILE}"]
    command += ["-e", "inject=pread64:error=EIO:when=5+", "-e", "inject=read:error=EIO"]
    command += [sys.executable, "-m", CHILD, str(tmp_path), "set-aside"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "its disk fails" in done.stderr
    assert set_aside_folders(tmp_path) == []
    prepare(tmp_path)


@pytest.mark.parametrize("point", ["recovering", "recovered"])
async def test_recovery_goes_on_and_brings_nothing_twice(tmp_path: Path, point: str) -> None:
    queue_ids = await _filled(tmp_path)
    _damage(tmp_path)
    assert set_aside(tmp_path) is not None
    prepare(tmp_path)
    _killed(tmp_path, "recover", point)
    (aside,) = set_aside_folders(tmp_path)
    done = recover(tmp_path, aside, 0)
    assert {*done.brought_back, *done.present} == queue_ids
    assert done.unreadable == ()
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    for queue_id in queue_ids:
        body = await spool.read_body(queue_id)
        data = body.data if body.path is None else body.path.read_bytes()
        assert data is not None
        assert len(data) == body.size_octets
    while await spool.sweep():
        pass
    assert len(_files(tmp_path / "bodies")) == MESSAGES / 4
    await spool.close()


async def test_sent_items_jobs_are_recovered_once(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    now = datetime.now(UTC)
    for number in range(MESSAGES):
        message = sample_message(b"x" * (200_000 if number % 4 == 0 else 500), hops=("a",))
        await spool.accept(message)
        copy = SentCopy((f"s{number}@example.com",), "o", "<m@example.com>", None, 0, True, 1, sent_at=now, due_at=now)
        await spool.settle(Settlement(message.queue_id, "a", (), {0: State.DELIVERED}, sent=(copy,)))
    await spool.close()
    _damage(tmp_path)
    assert set_aside(tmp_path) is not None
    prepare(tmp_path)
    _killed(tmp_path, "recover", "recovering-jobs")
    (aside,) = set_aside_folders(tmp_path)
    assert len(recover(tmp_path, aside, 0).jobs) == MESSAGES
    assert recover(tmp_path, aside, 0).jobs == ()
    jobs = await SqliteSentItemJobs.open(tmp_path, works=True)
    leased = await jobs.lease_due(now, limit=100)
    assert sorted(copy.body.size_octets for job in leased for copy in job.copies) == [500] * 9 + [200_000] * 3
    await jobs.close()


async def test_records_are_recovered_once(tmp_path: Path) -> None:
    store = await SqliteTrackingStore.open(tmp_path, works=True, reserve=0)
    arrivals = Arrivals(store, SettableClock())
    for number in range(MESSAGES):
        transaction = await arrivals.open(f"<{number}@customer.example>")
        message_id, data = f"<{number}@customer.example>", bytes([number]) * (200_000 if number % 4 == 0 else 500)
        await arrivals.take(transaction, create(transaction), note(transaction, "x", data), message_id=message_id)
    await store.close()
    _damage(tmp_path)
    assert set_aside(tmp_path) is not None
    prepare(tmp_path)
    _killed(tmp_path, "recover", "recovering-tracking")
    (aside,) = set_aside_folders(tmp_path)
    recover(tmp_path, aside, 0)
    recover(tmp_path, aside, 0)
    store = await SqliteTrackingStore.open(tmp_path, works=True, reserve=0)
    found = [record async for record in store.export(RecordFilter())]
    sizes = [each.size_octets for _, notes in found for one in notes for each in one.attachments]
    assert sorted(sizes) == [500] * 9 + [200_000] * 3
    assert len(found) == MESSAGES
    await store.close()


def _files(folder: Path) -> Sequence[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_migration_goes_on_with_the_next_script(tmp_path: Path) -> None:
    queue_ids = await _filled(tmp_path)
    _killed(tmp_path, "migrate", "migrated")
    last = migrations()[-1][0]
    prepare(tmp_path, [*migrations(), (last + 1, "CREATE TABLE a (x);"), (last + 2, "CREATE TABLE b (x);")])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (last + 2,)
        connection.execute(f"PRAGMA user_version = {last}")
        connection.commit()
    assert (await _states(tmp_path)).keys() == queue_ids
