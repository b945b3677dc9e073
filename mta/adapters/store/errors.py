"""What goes wrong with a store, sorted into what callers can act on."""

from __future__ import annotations

import errno
import sqlite3

from mta.model.reply import INTERNAL_ERROR, MailError, TemporaryError
from mta.ports.spool import SpoolFullError

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class StoreError(Exception):
    """The store can't be used; the text tells the administrator why, and what to do."""


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
