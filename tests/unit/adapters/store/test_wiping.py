"""What is left of deleted rows in the database's files: nothing, and what is said where that can't be."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mta.adapters.store.database import connect, connect_reader, prepare
from mta.adapters.store.place import FILE
from mta.adapters.store.wiping import wipe

SECRET = b"reindeer and sledges "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database from which many and large rows were deleted."""
    folder = prepare(tmp_path / "spool")
    with closing(connect(folder)) as connection:
        for number in range(200):
            octets = SECRET * (5 if number % 2 else 2000)
            connection.execute(
                "INSERT INTO octets (sha256, size, data) VALUES (?, ?, ?)", (str(number), len(octets), octets)
            )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("DELETE FROM octets")
    return folder


def is_left(folder: Path) -> bool:
    return any(SECRET in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_nothing_is_left(folder: Path) -> None:
    assert is_left(folder)
    wiped = wipe(folder, anyhow=False)
    assert (wiped.is_log_empty, wiped.is_rewritten) == (True, True)
    assert wiped.octets == (folder / FILE).stat().st_size < 1_000_000
    assert not is_left(folder)


def test_a_large_database_gives_back_its_free_pages_and_is_rewritten_if_told(folder: Path) -> None:
    wiped = wipe(folder, anyhow=False, up_to=1000)
    assert (wiped.is_log_empty, wiped.is_rewritten) == (True, False)
    assert not is_left(folder)
    assert wipe(folder, anyhow=True, up_to=1000).is_rewritten


def test_whoever_reads_an_older_state_keeps_the_log(folder: Path) -> None:
    with closing(connect_reader(folder)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM octets").fetchone()
        assert not wipe(folder, anyhow=False, patience_s=0).is_log_empty
    assert wipe(folder, anyhow=False).is_log_empty
    assert not is_left(folder)
