"""What goes wrong with a store, sorted into what callers can act on."""

from __future__ import annotations

import errno
import sqlite3
from enum import Enum

from mta.model.reply import INTERNAL_ERROR, MailError, TemporaryError
from mta.ports.spool import SpoolFullError

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class StoreError(Exception):
    """The store can't be used; the text tells the administrator why, and what to do."""


class DamagedError(StoreError):
    """The database is no whole database any more: it can be set aside, and a fresh one begun."""


class SlotTakenError(StoreError):
    """Another live process is this worker."""


class MovedError(Exception):
    """The files that a connection has open are no longer those that stand in the spool's folder."""


class Trouble(Enum):
    """What an error says about the store as a whole."""

    FULL = "full"
    """No room; there may be some again at any moment."""
    LOCKED = "locked"
    """Another program holds the database's lock."""
    DAMAGED = "damaged"
    """What was read is no database."""
    FAILING = "failing"
    """The disk refuses to read, write or sync, or the files are gone: what the page cache says is not what stands on
    disk, and nothing may be acknowledged from here on."""


_TROUBLES = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_PROTOCOL: Trouble.LOCKED,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR: Trouble.FAILING,
    sqlite3.SQLITE_CANTOPEN: Trouble.FAILING,
    sqlite3.SQLITE_READONLY: Trouble.FAILING,
    sqlite3.SQLITE_PERM: Trouble.FAILING,
}


def trouble(error: BaseException) -> Trouble | None:
    """What an error means for the store; None where it is one operation's own."""
    if isinstance(error, MovedError):
        return Trouble.FAILING
    if isinstance(error, sqlite3.Error):
        return _TROUBLES.get(primary_code(error))
    return Trouble.FULL if is_full(error) else None


def as_mail_error(error: BaseException) -> MailError:
    """452 4.3.1 where room ran out, else 451 4.3.0: nothing that a store says about itself is a message's fault."""
    if isinstance(error, MailError):
        return error
    if is_full(error):
        return SpoolFullError()
    return TemporaryError(INTERNAL_ERROR)


def is_full(error: BaseException) -> bool:
    """Whether the error says that disk or quota are used up."""
    if isinstance(error, OSError):
        return error.errno in _FULL_ERRNOS
    return isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_FULL


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 0 where the error is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def described(error: BaseException) -> str:
    """For a log line: SQLite's name for what happened, and its text."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{name}: {error}" if name else str(error) if isinstance(error, MovedError) else repr(error)
