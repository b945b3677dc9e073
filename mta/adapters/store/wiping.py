"""Leaving nothing of what was deleted in the database's files.

SQLite overwrites what is deleted within a page that stays in use (secure_delete=FAST), but not the pages that it frees,
what a page that was divided or joined still has between its rows, nor older states of pages in its log. Free pages are
given back to the file system here, which moves others over them; rewriting the whole database takes care of the rest.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

from mta.adapters.store.database import connect, shrink
from mta.adapters.store.place import FILE
from mta.adapters.store.turnstile import Turnstile
from mta.model.erasure import Wiped

REWRITTEN_UP_TO = 100_000_000
"""Octets of a database that is rewritten while the service runs: that takes a second or two, in which mail waits."""
_IN_MEMORY_UP_TO = 200_000_000
_AGAIN_S = 0.2


def wipe(folder: Path, *, anyhow: bool, up_to: int = REWRITTEN_UP_TO, patience_s: float = 10.0) -> Wiped:
    """See the port `Erasure`; the log is emptied within `patience_s`, or not. Raises sqlite3.Error, OSError."""
    _give_back_free_pages(folder)
    size = (folder / FILE).stat().st_size
    has_room = shutil.disk_usage(folder).free > 2 * size
    is_rewritten = has_room and (anyhow or size <= up_to)
    if is_rewritten:
        _rewrite(folder, size)
    return Wiped(_empty_log(folder, patience_s), is_rewritten, (folder / FILE).stat().st_size)


def _give_back_free_pages(folder: Path) -> None:
    """In small steps, in turn with those who take mail."""
    before = _free_pages(folder)
    while before:
        shrink(folder)
        after = _free_pages(folder)
        if after >= before:
            return  # somebody frees as fast; what was there when we began has gone
        before = after


def _free_pages(folder: Path) -> int:
    with closing(connect(folder)) as connection:
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages)


def _rewrite(folder: Path, size: int) -> None:
    with closing(Turnstile(folder)) as turn, turn, closing(connect(folder)) as connection:
        if size <= _IN_MEMORY_UP_TO:
            connection.execute("PRAGMA temp_store = MEMORY")  # else a copy of it stands in the system's own folder
        connection.execute("VACUUM")


def _empty_log(folder: Path, patience_s: float) -> bool:
    """Carry the log over and cut it off, once nobody reads an older state. Mail waits for one short try at a time."""
    deadline = time.monotonic() + patience_s
    with closing(Turnstile(folder)) as turn, closing(connect(folder)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {int(_AGAIN_S * 1000)}")
        while True:
            with turn:
                ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if not is_busy:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_AGAIN_S)
