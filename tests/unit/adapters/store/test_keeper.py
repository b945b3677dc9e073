"""A store that has closed: whatever kept it from opening, it opens again, and nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mta import events
from mta.adapters.store import keeper, sqlite
from mta.adapters.store.damage import examine
from mta.adapters.store.errors import StoreError
from mta.adapters.store.place import FILES
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.queue import QueueFilter
from mta.model.reply import TemporaryError
from tests.spool_samples import sample_message

CLOSINGS = 30


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


async def _has_tried(log: Log, times: int) -> None:
    async with asyncio.timeout(60):
        while log.actions.count("spool-closed") < times:
            await asyncio.sleep(0.005)


async def _becomes(spool: SqliteSpool, *, usable: bool) -> None:
    async with asyncio.timeout(60):
        while spool.is_usable is not usable:
            await asyncio.sleep(0.005)


async def _closes(spool: SqliteSpool, folder: Path) -> None:
    """Its log is taken away, and the next message finds that out."""
    (folder / FILES[1]).unlink()
    with pytest.raises(TemporaryError):
        await spool.accept(sample_message())
    await _becomes(spool, usable=False)


def _files_for_slots(folder: Path) -> Callable[[], None]:
    """A file where the folder of the slots has to be."""
    (folder / "slots").rename(folder / "away")
    (folder / "slots").write_text("")

    def mend() -> None:
        (folder / "slots").unlink()
        (folder / "away").rename(folder / "slots")

    return mend


def _folders_for_locks(folder: Path) -> Callable[[], None]:
    """A folder where the file of the lock has to be."""
    (folder / "writer.lock").rename(folder / "away")
    (folder / "writer.lock").mkdir()

    def mend() -> None:
        (folder / "writer.lock").rmdir()
        (folder / "away").rename(folder / "writer.lock")

    return mend


@pytest.mark.parametrize("spoil", [_files_for_slots, _folders_for_locks])
async def test_whatever_keeps_it_closed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log, spoil: Callable[[Path], Callable[[], None]]
) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    monkeypatch.setattr(keeper, "TOLD_EVERY_S", 0.0)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, patient=True)
    kept = sample_message()
    await spool.accept(kept)
    mend = spoil(tmp_path)
    await _closes(spool, tmp_path)
    await _has_tried(log, 3)
    descriptors = _descriptors()
    await _has_tried(log, 12)
    assert not spool.is_usable
    assert _descriptors() <= descriptors + 2, "a try that fails leaves nothing open"
    mend()
    await _becomes(spool, usable=True)
    fresh = sample_message()
    await spool.accept(fresh)
    assert {entry.queue_id for entry in await spool.entries(QueueFilter())} == {kept.queue_id, fresh.queue_id}
    await spool.close()


def _descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_closing_again_and_again_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.0,))
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, patient=True)
    accepted: set[str] = set()
    before: tuple[int, int] | None = None
    for number in range(CLOSINGS):
        message = sample_message()
        await spool.accept(message)
        accepted.add(message.queue_id)
        await _closes(spool, tmp_path)
        await _becomes(spool, usable=True)
        if number == 10:
            before = (threading.active_count(), _descriptors())
    assert before is not None
    assert threading.active_count() <= before[0] + 3, "threads of the loop's pool, at most"
    assert _descriptors() <= before[1]
    assert {entry.queue_id for entry in await spool.entries(QueueFilter(), limit=5000)} == accepted
    await spool.close()


ANOTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM message").fetchone()
connection.close()
"""


@pytest.mark.parametrize("is_made_anew", [False, True], ids=["missing", "made-anew"])
async def test_an_index_that_nobody_else_sees_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log, is_made_anew: bool
) -> None:
    """SQLite gives it to all of a process's connections, as long as one that was open before lives."""
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    monkeypatch.setattr(keeper, "TOLD_EVERY_S", 0.0)
    database, index = tmp_path / FILES[0], tmp_path / FILES[2]
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, patient=True)
    with closing(sqlite3.connect(database)) as still_open:
        still_open.execute("SELECT count(*) FROM message").fetchone()
        index.unlink()
        if is_made_anew:
            subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, str(database)], check=True)
        assert index.exists() is is_made_anew
        with pytest.raises(TemporaryError):
            await spool.accept(sample_message())
        await _has_tried(log, 4)
        assert not spool.is_usable
    await _becomes(spool, usable=True)
    kept = sample_message()
    await spool.accept(kept)
    subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, str(database)], check=True)
    assert {entry.queue_id for entry in await spool.entries(QueueFilter())} == {kept.queue_id}
    await spool.accept(sample_message())
    await spool.close()


async def test_a_look_by_others_into_a_log_taken_away_costs_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens the database first makes an empty log; what was acknowledged stands in the one without a name."""
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, patient=True)
    kept = sample_message()
    await spool.accept(kept)
    (tmp_path / FILES[1]).unlink()
    with suppress(sqlite3.Error, StoreError):
        examine(tmp_path)
    assert (tmp_path / FILES[1]).read_bytes() == b""
    with pytest.raises(TemporaryError):
        await spool.accept(sample_message())
    await _becomes(spool, usable=True)
    assert {entry.queue_id for entry in await spool.entries(QueueFilter())} == {kept.queue_id}
    await spool.close()


async def test_a_log_taken_away_is_noticed_without_a_commit_and_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(keeper, "AGAIN_S", (0.02,))
    monkeypatch.setattr(sqlite, "_HOUSEKEEPING_S", 0.02)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, patient=True)
    kept = sample_message()
    await spool.accept(kept)
    (tmp_path / FILES[1]).unlink()
    await _has_tried(log, 1)
    await _becomes(spool, usable=True)
    assert {entry.queue_id for entry in await spool.entries(QueueFilter())} == {kept.queue_id}
    await spool.close()


def test_looking_for_damage_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        examine(tmp_path)
    assert list(tmp_path.iterdir()) == []
