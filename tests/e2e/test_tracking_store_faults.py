"""The tracking process is killed, its disk fails or is full, its files are taken away: each message is taken once,
whole, or not at all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mta.adapters.store.place import FILE
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.delivery import Settlement, State
from mta.model.record import RecordFilter
from mta.model.tracking import TaskFilter, TaskState
from mta.ports.spool import SpoolFullError
from tests.e2e.tracking_store_child import large, take
from tests.servers.faults import failing
from tests.servers.small_disk import small_disk
from tests.servers.wait import wait_until
from tests.spool_samples import sample_message

pytestmark = pytest.mark.server
POINTS = (
    "before-open-transaction", "after-open-transaction", "before-take", "after-take", "before-task-settle",
    "after-task-settle",
)  # fmt: skip
UNUSED = """
    SELECT count(*) FROM octets
    WHERE id NOT IN (SELECT octets FROM attachment UNION SELECT octets FROM task WHERE octets IS NOT NULL)"""


class Tracking:
    """The child, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.taken: set[int] = set()
        self.asked: set[int] = set()
        assert self._heard() == "ready"

    def _heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def takes(self, number: int) -> str:
        """`taken`, `again`, `refused`; "" where it is gone."""
        assert self.process.stdin is not None
        self.asked.add(number)
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        word, _, _ = self._heard().partition(" ")
        if word == "taken":
            self.taken.add(number)
        return word


@contextmanager
def tracking(folder: Path, crash_at: str = "") -> Iterator[Tracking]:
    command = [sys.executable, "-m", "tests.e2e.tracking_store_child", str(folder)]
    environment = {**os.environ, "STAMPLINE_CRASH_AT": crash_at}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Tracking(process)
        finally:
            process.kill()


async def check(folder: Path, taken: set[int], asked: set[int]) -> None:
    """What was said is there, whole; what was not, is there whole or not at all; the rest can be taken again."""
    store = await SqliteTrackingStore.open(folder, works=True, reserve=0)
    known = {int(entry.message_id.strip("<@x>")) for entry in await store.entries()}
    assert taken <= known <= asked
    assert {number for number in asked if await take(store, number)} == asked - known
    notes = {note.text: note async for _, some in store.export(RecordFilter()) for note in some}
    counted = sum([record.notes async for record, _ in store.export(RecordFilter())])
    assert set(notes) == {f"text {number}" for number in asked}
    assert counted == len(asked), "each once"
    for number in asked:
        assert [await store.attachment(each) for each in notes[f"text {number}"].attachments] == [
            large(number),
            large(0),
        ]
    tasks = await store.tasks(TaskFilter())
    assert {task.key for task in tasks} == {f"task:{number}" for number in asked}
    for task in tasks:
        loaded = await store.task(task.number)
        assert loaded is not None
        assert loaded.payload == (b"" if task.state is TaskState.DONE else large(int(task.key[5:])))
    await store.close()
    await _no_file_without_a_name(folder)


async def _no_file_without_a_name(folder: Path) -> None:
    for path in (folder / "bodies").rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))  # old enough for the sweep
    spool = await SqliteSpool.open(folder, slot=0, reserve=0)
    async with asyncio.timeout(60):
        while await spool.sweep():
            pass
    await spool.close()
    with closing(sqlite3.connect(folder / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        named = {file for (file,) in connection.execute("SELECT file FROM octets WHERE file IS NOT NULL")}
        assert connection.execute(UNUSED).fetchone() == (0,)
    bodies = folder / "bodies"
    assert {str(path.relative_to(bodies)) for path in bodies.rglob("*") if path.is_file()} == named


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_a_named_point(tmp_path: Path, point: str) -> None:
    with tracking(tmp_path / "spool", f"{point}:3") as child:
        for number in range(20):
            if not child.takes(number):
                break
        assert child.process.wait(30) == -9
    await check(tmp_path / "spool", child.taken, child.asked)


@pytest.mark.parametrize(("calls", "file"), [("fdatasync", "spool.db-wal"), ("pwrite64", "spool.db-wal")])
async def test_what_fails_is_not_trusted_and_is_taken_later(tmp_path: Path, calls: str, file: str) -> None:
    folder = tmp_path / "spool"
    with tracking(folder) as child:
        assert [child.takes(number) for number in range(4)] == ["taken"] * 4
        with failing(child.process.pid, calls, "error=EIO", folder / file):
            assert child.takes(4) == "refused"
        wait_until(lambda: child.takes(4) in ("taken", "again"), 60, "the store opens again")
        assert child.takes(5) == "taken"
    await check(folder, child.taken, child.asked)


async def test_an_attachment_that_cannot_be_synced_takes_nothing_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with tracking(folder) as child:
        assert child.takes(0) == "taken"
        with failing(child.process.pid, "fsync", "error=EIO"):
            assert child.takes(1) == "refused"
            assert child.takes(2) == "refused"
        assert child.takes(1) == "taken"
    await check(folder, child.taken, child.asked)


async def test_a_database_that_is_moved_away_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with tracking(folder) as child:
        assert [child.takes(number) for number in range(3)] == ["taken"] * 3
        for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
            (folder / name).rename(tmp_path / name)
        assert child.takes(3) == "refused"
        for name in ("spool.db-wal", "spool.db-shm", "spool.db"):
            if (tmp_path / name).exists():
                (tmp_path / name).rename(folder / name)
        wait_until(lambda: child.takes(3) in ("taken", "again"), 60, "the store opens again")
    await check(folder, child.taken, child.asked)


async def test_on_a_full_disk_nothing_is_taken_and_mail_has_what_is_left(tmp_path: Path) -> None:
    """Tracking stops while there is twice the reserve: what is left is for mail; tasks and orders go on."""
    with small_disk(tmp_path / "disk", 64 * 1024 * 1024):
        folder = tmp_path / "disk" / "spool"
        store = await SqliteTrackingStore.open(folder, works=True, reserve=12_000_000)
        spool = await SqliteSpool.open(folder, slot=0, reserve=12_000_000)
        taken = await fill(store)
        assert len(taken) > 20
        mail = sample_message(b"x" * 5_000_000)
        await spool.accept(mail)
        assert await store.pause("support", "eve", sample_message(b"").accepted_at)
        ballast = tmp_path / "disk" / "ballast"
        with ballast.open("wb", buffering=0) as file:
            while _written(file):
                pass
        with pytest.raises(SpoolFullError):
            await take(store, max(taken) + 2)
        await spool.settle(Settlement(mail.queue_id, "default", (), {0: State.DELIVERED}))
        ballast.unlink()
        await spool.close()
        await store.close()
        await check(folder, taken, taken)


async def fill(store: SqliteTrackingStore) -> set[int]:
    """Take until there is no room; even numbers leave their tasks."""
    taken: set[int] = set()
    for number in range(0, 2_000, 2):
        try:
            await take(store, number)
        except SpoolFullError:
            return taken
        taken.add(number)
    raise AssertionError("a disk of 64 MB took everything")


def _written(file: object) -> int:
    try:
        return int(file.write(b"x" * 65536))  # type: ignore[attr-defined]
    except OSError:
        return 0
