"""Room: looked at seldom, counted in between, and given back after a flood."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mta.adapters.store.room import Room
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import Settlement, State
from mta.ports.spool import SpoolFullError
from tests.spool_samples import sample_message


def free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def test_what_would_touch_the_reserve_does_not_fit(tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=free(tmp_path) // 2, inline_up_to=0)
    assert room.fits(1000)
    assert not room.fits(free(tmp_path))


def test_unused_pages_are_room_for_small_bodies_only(tmp_path: Path) -> None:
    reserve = free(tmp_path) + 1_000_000_000
    room = Room(tmp_path, reserve=reserve, inline_up_to=64_000)
    assert not room.fits(10_000)
    assert room.wants_measure()
    assert not room.wants_measure(), "measured too often"
    room.free_in_database = 3_000_000_000
    assert room.fits(10_000)
    assert not room.fits(64_001)


def test_a_write_that_failed_for_want_of_room_is_believed(tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=0, inline_up_to=0)
    assert room.fits(0)
    room.note_full()
    assert not room.fits(0)


async def test_below_the_reserve_nothing_is_accepted_and_the_spilled_file_goes(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=1 << 60)
    path = spool.spill_path()
    path.write_bytes(b"x" * 100_000)
    assert not spool.has_room(1000)
    with pytest.raises(SpoolFullError) as refused:
        await spool.accept(sample_message(path=path))
    assert str(refused.value.reply).startswith("452 4.3.1 ")
    assert not path.exists()
    await spool.close()


async def test_the_database_shrinks_after_a_flood(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, inline_up_to=1_000_000)
    messages = [sample_message(b"x" * 900_000) for _ in range(120)]
    for message in messages:
        await spool.accept(message)
    for message in messages:
        await spool.settle(Settlement(message.queue_id, "default", (), {0: State.DELIVERED}))
    await spool.sweep()
    await spool.close()
    assert (tmp_path / "spool.db").stat().st_size < 70_000_000


async def test_room_in_an_inflated_database_is_found(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0, inline_up_to=1_000_000)
    messages = [sample_message(b"x" * 900_000) for _ in range(20)]
    for message in messages:
        await spool.accept(message)
    for message in messages:
        await spool.settle(Settlement(message.queue_id, "default", (), {0: State.DELIVERED}))
    await spool.close()
    reserve = free(tmp_path) + 6_000_000
    short = await SqliteSpool.open(tmp_path, slot=0, reserve=reserve, inline_up_to=1_000_000)
    async with asyncio.timeout(60):
        while not short.has_room(1000):
            await asyncio.sleep(0.01)
    await short.close()
