"""Making, checking and migrating the database; what is wrong with one is said, and nothing is overwritten."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mta.adapters.store import database
from mta.adapters.store.database import migrations, prepare
from mta.adapters.store.errors import StoreError
from mta.adapters.store.place import FILE
from mta.adapters.store.sqlite import SqliteSpool
from mta.model.queue import QueueFilter
from tests.spool_samples import sample_message

LATEST = migrations()[-1][0]
NEXT = (LATEST + 1, "CREATE TABLE later (number INTEGER); INSERT INTO later VALUES (1);")
BROKEN = (LATEST + 1, "CREATE TABLE later (number INTEGER); INSERT INTO nowhere VALUES (1);")


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def rows(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(number)


def test_a_new_store_is_private_and_up_to_date(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "var" / "spool")
    assert version(folder) == migrations()[-1][0]
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


async def test_files_that_come_with_use_are_private(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path / "spool", slot=0, reserve=0)
    await spool.accept(sample_message(b"x" * 150_000))
    paths = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert {path.name for path in paths} >= {FILE, f"{FILE}-wal", f"{FILE}-shm"}
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    await spool.close()


def test_every_commit_is_synced_and_the_log_is_bounded(tmp_path: Path) -> None:
    with closing(database.connect(prepare(tmp_path))) as connection:
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "wal_autocheckpoint")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 4000}


async def test_an_older_store_is_migrated_with_its_mail(tmp_path: Path) -> None:
    prepare(tmp_path, migrations())
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    message = sample_message()
    await spool.accept(message)
    await spool.close()
    prepare(tmp_path, [*migrations(), NEXT])
    assert version(tmp_path) == LATEST + 1
    assert rows(tmp_path, "message") == rows(tmp_path, "later") == 1


def test_several_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    prepare(tmp_path, migrations())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: prepare(tmp_path, [*migrations(), NEXT]), range(8)))
    assert rows(tmp_path, "later") == 1


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, migrations())
    with pytest.raises(StoreError, match="nowhere"):
        prepare(tmp_path, [*migrations(), BROKEN])
    assert version(tmp_path) == LATEST
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        rows(tmp_path, "later")


def test_a_store_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path, [*migrations(), (99, "SELECT 1;")])
    with pytest.raises(StoreError, match=r"version 99.*newer version"):
        prepare(tmp_path)
    assert version(tmp_path) == 99


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE theirs (number INTEGER)")
    with pytest.raises(StoreError, match="another program"):
        prepare(tmp_path)


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"\0" * 8192])
def test_a_damaged_store_is_refused_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    prepare(tmp_path)
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(StoreError, match=r"is damaged|another program"):
        prepare(tmp_path)
    assert (tmp_path / FILE).read_bytes() == damage


def test_a_store_whose_pages_are_torn_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(StoreError, match="is damaged"):
        prepare(tmp_path)


def test_an_emptied_store_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / FILE).write_bytes(b"")
    with pytest.raises(StoreError, match="is empty"):
        prepare(tmp_path)


async def test_a_store_that_was_taken_away_from_its_log_is_not_made_anew(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await spool.accept(sample_message())
    (tmp_path / FILE).rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="is missing"):
        prepare(tmp_path)
    (tmp_path / "elsewhere.db").rename(tmp_path / FILE)
    assert len(await spool.entries(QueueFilter())) == 1
    await spool.close()


def test_a_half_made_store_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").write_bytes(b"half")
    prepare(tmp_path)
    assert version(tmp_path) == migrations()[-1][0]
    assert not (tmp_path / f"{FILE}.new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="can't be used"):
        prepare(tmp_path / "file" / "spool")


async def test_two_live_processes_cannot_be_the_same_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.adapters.store.slots._PATIENCE_S", 0.1)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    with pytest.raises(StoreError, match="worker 0"):
        await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await spool.close()
