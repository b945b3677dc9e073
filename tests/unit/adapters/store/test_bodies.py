"""Body files: durable before they are named, gone when no message names them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from mta.adapters.store.bodies import ORPHAN_AFTER_S
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import Body, Settlement, State
from mta.model.queue import QueueFilter
from mta.model.reply import TemporaryError
from tests.spool_samples import sample_message

LARGE = b"x" * 150_000


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "bodies").rglob("*") if path.is_file()]


async def swept(spool: SqliteSpool) -> None:
    """Wait until the sweep at the start has left nothing that it would take."""
    async with asyncio.timeout(30):
        while await spool.sweep():
            pass


async def test_what_a_dead_predecessor_left_unnamed_is_swept_and_what_is_named_stays(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    message = sample_message(LARGE)
    await spool.accept(message)
    spool.spill_path().write_bytes(b"half received")
    await spool.close()
    again = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await swept(again)
    body = await again.read_body(message.queue_id)
    assert files(tmp_path) == [body.path]
    await again.close()


async def test_files_of_the_living_are_left_alone_until_they_are_old(tmp_path: Path) -> None:
    mine = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    other = await SqliteSpool.open(tmp_path, slot=1, reserve=0)
    for path in (mine.spill_path(), other.spill_path()):
        path.write_bytes(b"being received")
    assert await mine.sweep() == 0
    for path in files(tmp_path):
        old = time.time() - ORPHAN_AFTER_S - 1
        os.utime(path, (old, old))
    await mine.sweep()
    assert files(tmp_path) == []
    await mine.close()
    await other.close()


async def test_a_file_that_was_swept_before_its_commit_is_not_accepted(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    path = spool.spill_path()
    message = sample_message(path=_written(path, LARGE))
    path.unlink()
    with pytest.raises(TemporaryError):
        await spool.accept(message)
    assert await spool.entries(QueueFilter()) == []
    await spool.close()


async def test_a_file_of_another_size_than_was_received_is_not_accepted(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    message = sample_message(path=_written(spool.spill_path(), LARGE))
    _written(message.body.path, LARGE[:-1])
    with pytest.raises(TemporaryError):
        await spool.accept(message)
    assert files(tmp_path) == []
    await spool.close()


async def test_a_body_outside_the_spool_is_a_mistake(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path / "spool", slot=0, reserve=0)
    with pytest.raises(ValueError, match="spill_path"):
        await spool.accept(sample_message(path=_written(tmp_path / "elsewhere", LARGE)))
    assert (tmp_path / "elsewhere").exists()
    await spool.close()


async def test_a_message_whose_file_is_missing_is_an_error_of_ours(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    message = sample_message(LARGE)
    await spool.accept(message)
    files(tmp_path)[0].unlink()
    with pytest.raises(TemporaryError):
        await spool.read_body(message.queue_id)
    await spool.settle(Settlement(message.queue_id, "default", (), {0: State.FAILED}))
    assert await spool.entries(QueueFilter()) == []
    await spool.close()


@pytest.mark.parametrize(("limit", "in_file"), [(9, True), (10, False)])
async def test_the_limit_decides_where_a_body_stands(tmp_path: Path, limit: int, in_file: bool) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, inline_up_to=limit)
    message = sample_message(b"0123456789")
    await spool.accept(message)
    assert bool(files(tmp_path)) is in_file
    body = await spool.read_body(message.queue_id)
    assert body == (Body(None, files(tmp_path)[0], 10) if in_file else Body.of(b"0123456789"))
    await spool.close()


def _written(path: Path | None, data: bytes) -> Path:
    assert path is not None
    path.write_bytes(data)
    return path
