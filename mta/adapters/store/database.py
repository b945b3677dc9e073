"""The database file: making it, checking it, bringing it up to date, connecting to it."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path

from mta.adapters.store.bodies import make_folders, sync_folder
from mta.adapters.store.connection import Connection, open_database
from mta.adapters.store.damage import EXAMINED_S, MARKER, damaged, examine, finish_setting_aside, set_aside_folders
from mta.adapters.store.errors import DamagedError, StoreError, Trouble, described, trouble
from mta.adapters.store.place import FILE
from mta.adapters.store.turnstile import Turnstile
from mta.crash import crash_point

_APPLICATION_ID = 0x53544D50  # "STMP": tells our file from any other SQLite database
_PAGE_SIZE = 4096
_BUSY_S = 5.0
"""Our own writers queue at the turnstile; this is for foreign ones, such as somebody's `sqlite3`."""
_CHECKPOINT_PAGES = 4000
_CACHE_KB = 16_000
_PAGES_SHRUNK = 2000
_READERS_MS = 200
_PASSED_OVER = 1000
"""Numbers of records that are not given after a database was set aside."""
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")
Migration = tuple[int, str]
"""Its number, from 1, and its script."""


def prepare(folder: Path, known: Sequence[Migration] | None = None, *, may_make: bool = True) -> Path:
    """Make the spool folder and its database, or check and migrate what is there; gives the folder's absolute path.

    One process at a time does this, the others wait and find it done. `known` are the migrations that this
    program has. Without `may_make` a missing database is no beginning, unless it was set aside.
    Raises StoreError, DamagedError.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        turn = Turnstile(folder)
    except OSError as error:
        raise StoreError(f"the spool folder {folder} can't be used: {error.strerror}") from error
    with closing(turn), turn:
        path = folder / FILE
        try:
            finish_setting_aside(folder)
            if not path.exists():
                if not may_make and not (folder / MARKER).exists():
                    raise StoreError(f"{path} was taken away: put it back, or restart the service to begin anew")
                _make(folder, known or migrations())
                (folder / MARKER).unlink(missing_ok=True)
            if path.stat().st_size == 0:
                raise damaged(path, "it is empty")
            examine(folder, EXAMINED_S)
            _bring_up_to_date(path, known or migrations())
        except sqlite3.Error as error:
            raise _store_error(path, error) from error
        except OSError as error:
            raise StoreError(f"the store in {folder} can't be made: {error.strerror}") from error
    return folder


def visit(folder: Path) -> Path:
    """Check a database that others make and bring up to date; gives the folder's absolute path. Raises StoreError.

    An administrator's command is perhaps another user's, or of another version than the service beside it: what it made
    would be root's, and an empty queue where somebody has moved the files away for a moment.
    """
    folder = folder.absolute()
    path = folder / FILE
    try:
        if not path.exists():
            raise StoreError(f"there is no queue in {folder}: the relay makes it when it starts")
        if path.stat().st_size == 0:
            raise damaged(path, "it is empty")
        examine(folder, EXAMINED_S)
        with closing(connect_reader(folder)) as connection:
            newest = migrations()[-1][0]
            version = _version(connection, path, newest)
    except sqlite3.Error as error:
        raise _store_error(path, error) from error
    except OSError as error:
        raise StoreError(f"the spool folder {folder} can't be used: {error.strerror}") from error
    if version < newest:
        raise StoreError(f"{path} has version {version}, this program {newest}: restart the service, which renews it")
    return folder


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    """Raises StoreError for the database of another program, or of a newer version of this one."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program")
    if version > newest:
        raise StoreError(
            f"{path} has version {version}, this program knows up to {newest}: "
            "it was used by a newer version, install that one again"
        )
    return int(version)


def _make(folder: Path, known: Sequence[Migration]) -> None:
    """Make a whole database under another name first, so that a half-made one is never taken for the queue.

    A log without its database means that somebody took the database away: a fresh one would forget the queue.
    """
    path = folder / FILE
    log = path.with_name(FILE + "-wal")
    if log.exists() and log.stat().st_size:
        raise DamagedError(f"{path} is missing, but not its log {log.name}: put the database back, or move both away")
    make_folders(folder / "bodies")
    new = path.with_name(FILE + ".new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        for number, script in known:
            _migrate(connection, number, script)
        _go_on_numbering(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL")
    new.rename(path)
    sync_folder(folder)


def _go_on_numbering(new: sqlite3.Connection, folder: Path) -> None:
    """Records of a database that was set aside may come back: no new one gets a number of theirs.

    As far as it can still be read, as it stands without its log, and opened so that nothing in it changes. What the log
    knew is less than the numbers passed over.
    """
    for aside in set_aside_folders(folder)[-1:]:
        with suppress(sqlite3.Error):
            uri = f"{(aside / FILE).absolute().as_uri()}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as old:
                numbers = old.execute("SELECT organisation, module, last FROM conversation_number").fetchall()
            new.executemany(
                "INSERT INTO conversation_number (organisation, module, last) VALUES (?, ?, ?)",
                [(organisation, module, last + _PASSED_OVER) for organisation, module, last in numbers],
            )


def _bring_up_to_date(path: Path, known: Sequence[Migration]) -> None:
    with closing(connect(path.parent)) as connection:
        version = _version(connection, path, known[-1][0])
        for number, script in known:
            if number > version:
                _migrate(connection, number, script)
                crash_point("migrated")


def migrations() -> list[Migration]:
    """In rising order, from `sql/migrations`."""
    found = []
    for entry in files("mta.adapters.store").joinpath("sql", "migrations").iterdir():
        match = _MIGRATION.fullmatch(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return sorted(found)


def _migrate(connection: sqlite3.Connection, number: int, script: str) -> None:
    """The script and the new version number are one transaction: a crash leaves the old version or the new one."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise


def connect(folder: Path) -> Connection:
    """A connection that writes. It may be handed to another thread, which then is the only one to use it.

    synchronous=FULL syncs the log at each commit: that is what makes an answer of 250 true. The log is carried over
    into the database once it has about 16 MB, by the writer that comes upon it, while it holds the turnstile: so no
    other writer adds to the log meanwhile, readers are gone after milliseconds, and the next writer begins it anew.
    That bounds it. Deleted content is overwritten where that writes no page more (secure_delete=FAST).
    """
    connection = open_database(folder, timeout=_BUSY_S, check_same_thread=False, cached_statements=512)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = {-_CACHE_KB}")
    connection.execute("PRAGMA secure_delete = FAST")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now the log is open, too
    return connection


def connect_reader(folder: Path) -> Connection:
    """A connection that only reads."""
    return open_database(folder, mode="ro", timeout=_BUSY_S)


def shrink(folder: Path) -> None:
    """Give some of the database's unused pages back to the file system; a small step, in turn with the writers.

    By a connection of its own, because Python runs this statement to its end only outside a transaction. Mail doesn't
    wait for readers of older states: the log is carried over as far as they let it.
    """
    with closing(Turnstile(folder)) as turn, turn, closing(connect(folder)) as connection:
        connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_SHRUNK}); PRAGMA busy_timeout = {_READERS_MS};")
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _store_error(path: Path, error: sqlite3.Error) -> StoreError:
    if trouble(error) is Trouble.DAMAGED:
        return damaged(path, described(error))
    return StoreError(f"{path} can't be opened: {described(error)}")
