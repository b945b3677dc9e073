"""Processes have the queue open, and its files are taken away or replaced: what was acknowledged stays.

So it is where the service's user, who isn't root, may not use them.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mta.adapters.store.damage import examine
from mta.adapters.store.database import prepare
from mta.adapters.store.place import FILE, FILES
from mta.adapters.store.sqlite import SqliteSpool
from tests.servers.wait import wait_until
from tests.spool_samples import sample_message

CHILD = "tests.e2e.store_line_child"
NOBODY = 65534
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search",
)  # fmt: skip
"""Another user, who may read everything, so that the program and its tests can be root's."""


class Worker:
    """One process that accepts when it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.accepted: set[str] = set()

    def hears(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def accepts(self) -> bool:
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()
        said, what = self.hears().split()
        if said == "accepted":
            self.accepted.add(what)
        else:
            assert what == "451"
        return said == "accepted"

    def ends(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0


@contextmanager
def _worker(folder: Path, slot: int, *, wrapped_in: Sequence[str] = ()) -> Iterator[Worker]:
    command = [*wrapped_in, sys.executable, "-m", CHILD, str(folder), str(slot)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def _kept(folder: Path) -> set[str]:
    return _kept_in(folder / FILE)


def _kept_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        return {queue_id for (queue_id,) in connection.execute("SELECT queue_id FROM message")}


@pytest.mark.parametrize(
    "names", [("spool.db-shm",), ("spool.db-wal",), ("spool.db-wal", "spool.db-shm")], ids=["index", "log", "both"]
)
def test_who_notices_late_spoils_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    """The first to notice opens the queue anew and takes mail, before the second commits anything.

    Mail is refused until then, unless housekeeping has noticed meanwhile. What was taken is there in the end.
    """
    with _worker(tmp_path, 0) as first, _worker(tmp_path, 1) as second:
        assert (first.hears(), second.hears()) == ("open", "open")
        assert all([first.accepts(), second.accepts(), first.accepts()])
        for name in names:
            (tmp_path / name).unlink()
        wait_until(first.accepts, 60, "the first process takes mail again")
        assert first.accepts()
        wait_until(second.accepts, 60, "the second process takes mail again")
        assert first.accepts()
        first.ends()
        second.ends()
        assert first.accepted | second.accepted == _kept(tmp_path)


def test_another_database_in_its_place_is_left_alone_by_who_had_the_old_one(tmp_path: Path) -> None:
    """As when a backup is put in place: from then on its mail counts, and the old log is not played into it."""
    with _worker(tmp_path, 0) as first, _worker(tmp_path, 1) as second:
        assert (first.hears(), second.hears()) == ("open", "open")
        with closing(sqlite3.connect(tmp_path / FILE)) as backup:
            backup.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert all([first.accepts(), second.accepts()])
        old = _kept(tmp_path)
        shutil.copy(tmp_path / FILE, tmp_path / "copy")
        in_backup = _kept_in(tmp_path / "copy")  # nothing, unless the log was carried over meanwhile
        (tmp_path / "copy").replace(tmp_path / FILE)
        wait_until(first.accepts, 60, "the first process takes mail again")
        wait_until(second.accepts, 60, "the second process takes mail again")
        assert first.accepts()
        first.ends()
        second.ends()
        assert (first.accepted | second.accepted) - old | in_backup == _kept(tmp_path)
    assert not [name for name in FILES[1:] if (tmp_path / name).exists()], "the last to close tidies up"


def test_a_queue_of_another_user_is_told_and_used_once_it_is_ours(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        (pytest.fail if "CI" in os.environ else pytest.skip)("only root can be somebody else")
    folder = prepare(tmp_path / "spool")
    with _worker(folder, 0, wrapped_in=AS_NOBODY) as worker:
        assert worker.hears() == "open"
        assert not worker.accepts()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        wait_until(worker.accepts, 60, "mail is taken")
        worker.ends()
        assert worker.accepted == _kept(folder)


async def test_who_looks_for_damage_plays_no_old_log_into_another_database(tmp_path: Path) -> None:
    """He may open it before we notice; alone with it, he would be the last to close it."""
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    try:
        with closing(sqlite3.connect(tmp_path / FILE)) as backup:
            backup.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(tmp_path / FILE, tmp_path / "copy")
        await spool.accept(sample_message())
        (tmp_path / "copy").replace(tmp_path / FILE)
        examine(tmp_path, 1, mode="ro")
        shutil.copy(tmp_path / FILE, tmp_path / "copy")
        assert _kept_in(tmp_path / "copy") == set()
    finally:
        await spool.close()
