"""Finding out whether a database is whole, and setting one aside that isn't.

Crash safety of setting aside: what is moved goes into `damaged-TIME.part`, the database first, so that no database ever
stands in the spool without its log; the folder loses its `.part` when all is in it. Whoever prepares the spool next
goes on with a `.part` that a crash has left.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from mta.adapters.store.bodies import sync_folder
from mta.adapters.store.connection import open_database
from mta.adapters.store.errors import DamagedError, StoreError, Trouble, described, trouble
from mta.adapters.store.place import FILE, FILES
from mta.adapters.store.turnstile import Turnstile
from mta.crash import crash_point

MARKER = "begin-anew"
"""A file that says that the missing database was set aside: a fresh one may be made while the service runs."""
EXAMINED_S = 0.5
"""How long a start, or a look now and then, may take to go through the database: enough for some 200 MB and more."""
_STEPS_BETWEEN_LOOKS = 20_000
_PART = ".part"
_PREFIX = "damaged-"


def examine(folder: Path, within_s: float | None = None, *, mode: str = "rw") -> None:
    """Look through the database's structure, for so long at most. Raises StoreError, or sqlite3.Error.

    With the mode `ro` nothing is written, also at the end: where another database has just been put in the place of the
    one that is in use, a connection that may write takes itself for the last, and plays the old log into the new one.

    About two seconds for each gigabyte in memory. What stands within a message is not judged here. By SQLite alone:
    a descriptor of our own, once closed, would drop the locks of this process's other connections.
    """
    path = folder / FILE
    with closing(open_database(folder, mode=mode)) as connection:
        if within_s is not None:
            deadline = time.monotonic() + within_s
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        try:
            ((verdict,), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                return
            if trouble(error) is Trouble.DAMAGED:
                raise damaged(path, described(error)) from error
            raise
    if verdict != "ok":
        raise damaged(path, " ".join(str(verdict).split()))


def damaged(path: Path, what: str) -> StoreError:
    """What an administrator is told of a damaged database; no damage where its disk can't read it.

    SQLite calls a read that fails with EIO damage, too. But that may pass, as when a path to the disk is lost, and the
    queue is not set aside for it.
    """
    unreadable = _unreadable(path)
    if unreadable:
        return StoreError(f"{path} can't be read, its disk fails: {unreadable}")
    return DamagedError(
        f"{path} is damaged ({what}). `stampline queue begin-anew` sets it aside, whole, so that mail flows again; "
        "`stampline queue recover` then brings back the messages that can be read in it"
    )


def verify(folder: Path) -> None:
    """After a failed read, write or sync: whether the database stands on disk, whole, and the disk takes a commit.

    The page cache is dropped before, because the kernel calls pages clean that it could not write (fsync(2), EIO).
    The commit at the end writes over what the failed one left in the log: that has a commit record, and the next one to
    recover the log would believe it. Raises StoreError, sqlite3.Error, OSError.
    """
    for name in FILES[:2]:
        if (folder / name).exists():
            _drop_cached(folder / name)
    with closing(Turnstile(folder)) as turn, closing(open_database(folder)) as connection:
        with turn, suppress(sqlite3.DatabaseError):  # what is wrong with it, is told below
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # recovers a log that nobody adds to
        examine(folder)
        connection.execute("PRAGMA synchronous = FULL")
        with turn:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")  # writes its page, whether or not it changes
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _drop_cached(path: Path) -> None:
    _dd(path, "iflag=nocache", "count=0")


def _unreadable(path: Path) -> str:
    """Why the database or its log can't be read from end to end; "" where they can."""
    files = (path.with_name(name) for name in FILES[:2])
    return next((why for file in files if file.exists() and (why := _dd(file, "of=/dev/null", "bs=1M"))), "")


def _dd(path: Path, *operands: str) -> str:
    """What it says is wrong. A descriptor of our own, once closed, would drop our connections' locks (fcntl(2))."""
    command = ["dd", f"if={path}", *operands, "status=none"]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(done.stderr.decode(errors="replace").split())


def set_aside(folder: Path) -> Path | None:
    """Move a damaged database away with its log and bodies; gives the folder where they are now.

    None where it is whole: somebody else was faster. Raises StoreError, OSError.
    """
    with closing(Turnstile(folder)) as turn, turn:
        finished = finish_setting_aside(folder)
        if finished is not None:
            return finished
        if not _is_damaged(folder):
            return None
        part = folder / f"{_PREFIX}{datetime.now().astimezone():%Y%m%dT%H%M%S}{_PART}"
        part.mkdir(mode=0o700)
        owner = folder.stat()
        os.chown(part, owner.st_uid, owner.st_gid)
        sync_folder(folder)
        crash_point("setting-aside")
        return finish_setting_aside(folder)


def finish_setting_aside(folder: Path) -> Path | None:
    """Go on with what a crash has interrupted; gives the folder, None where there is none. Hold the turnstile."""
    part = next(iter(sorted(folder.glob(f"{_PREFIX}*{_PART}"))), None)
    if part is None:
        return None
    for name in (*FILES, "bodies"):
        if (folder / name).exists():
            (folder / name).rename(part / name)
            crash_point("set-aside-one")
    sync_folder(part)
    (folder / MARKER).touch(mode=0o600)
    whole = part.with_name(part.name.removesuffix(_PART))
    part.rename(whole)
    sync_folder(folder)
    return whole


def set_aside_folders(folder: Path) -> list[Path]:
    """What was set aside and not yet recovered, oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir() and path.suffix != _PART)


def _is_damaged(folder: Path) -> bool:
    if not (folder / FILE).exists():
        return (folder / FILES[1]).exists()  # a log without its database
    try:
        examine(folder)
    except DamagedError:
        return True
    except sqlite3.Error as error:
        raise StoreError(f"{folder / FILE} can't be read: {described(error)}") from error
    return False
