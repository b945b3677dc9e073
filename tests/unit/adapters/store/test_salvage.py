"""What is read page by page is what SQLite reads, and of a damaged database what is left; never anything else."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest

from mta.adapters.store.place import FILE
from mta.adapters.store.salvage import PAGE, Salvaged, salvage
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import Settlement, State
from tests.spool_samples import sample_message

SIZES = (0, 10, 3_900, 4_040, 4_100, 20_000, 120_000)


async def _fill(folder: Path) -> SqliteSpool:
    """A store as use leaves it: messages of many sizes, every third one delivered; left open, with its log."""
    spool = await SqliteSpool.open(folder, slot=0, reserve=0)
    for number in range(60):
        data = b"Subject: \xff\r\n\r\n" + random.Random(number).randbytes(SIZES[number % len(SIZES)])
        message = sample_message(data, hops=("a", "b"))
        await spool.accept(replace(message, message_id="<" + "m" * (number * 20) + "@example.com>"))
        if number % 3 == 0:
            for hop, index in (("a", 0), ("b", 1)):
                await spool.settle(Settlement(message.queue_id, hop, (), {index: State.DELIVERED}))
    return spool


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled spool's database and log, copied while they were in use."""
    folder = tmp_path_factory.mktemp("store")

    async def fill() -> None:
        spool = await _fill(folder / "spool")
        for name in (FILE, FILE + "-wal"):
            copyfile(folder / "spool" / name, folder / name)
        await spool.close()
        copyfile(folder / "spool" / FILE, folder / "closed.db")

    asyncio.run(fill())
    return folder


def _by_sqlite(database: Path) -> Salvaged:
    with closing(sqlite3.connect(database)) as connection:
        rows = {
            table: connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("message", "content", "delivery", "variant")
        }
    return Salvaged(
        {row[0]: row for row in rows["message"]},
        {row[0]: row for row in rows["content"]},
        {row[:2]: row for row in rows["delivery"]},
        {row[:2]: row for row in rows["variant"]},
    )


@pytest.mark.parametrize("name", [FILE, "closed.db"])
def test_a_whole_one_is_read_as_sqlite_reads_it(store: Path, tmp_path: Path, name: str) -> None:
    for path in store.glob(f"{name}*"):
        copyfile(path, tmp_path / path.name)
    found = salvage(tmp_path / name)
    assert found == _by_sqlite(tmp_path / name)
    assert len(found.messages) == 40


def test_without_its_first_page_nothing_that_is_there_is_missed(store: Path, tmp_path: Path) -> None:
    data = (store / "closed.db").read_bytes()
    (tmp_path / FILE).write_bytes(bytes(PAGE) + data[PAGE:])
    expected = _by_sqlite(store / "closed.db")
    found = salvage(tmp_path / FILE)
    assert expected.messages.items() <= found.messages.items()
    assert expected.contents.items() <= found.contents.items()
    assert expected.deliveries.items() <= found.deliveries.items()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_broken_what_comes_out_is_true(store: Path, tmp_path: Path, seed: int) -> None:
    """Pages overwritten, zeroed, cut off: it ends, and gives rows as they were."""
    chance = random.Random(seed)
    data = bytearray((store / "closed.db").read_bytes())
    for _ in range(seed * 3 + 1):
        at = chance.randrange(1, len(data) // PAGE) * PAGE
        data[at : at + PAGE] = os.urandom(PAGE) if chance.random() < 0.5 else bytes(PAGE)
    (tmp_path / FILE).write_bytes(data[: len(data) - chance.randrange(len(data) // 3)])
    expected, found = _by_sqlite(store / "closed.db"), salvage(tmp_path / FILE)
    assert found.messages.items() <= expected.messages.items()
    assert found.deliveries.items() <= expected.deliveries.items()
    assert {key: row[1:5] for key, row in found.contents.items()}.items() <= {
        key: row[1:5] for key, row in expected.contents.items()
    }.items()


@pytest.mark.parametrize("data", [b"", b"x", bytes(PAGE), b"\x0d" * PAGE * 3, b"\xff" * PAGE])
def test_what_is_no_database_gives_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    (tmp_path / (FILE + "-wal")).write_bytes(data)
    assert salvage(tmp_path / FILE) == Salvaged()
