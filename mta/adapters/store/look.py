"""A look at the queue from outside: reads for a moment, and never makes, migrates, examines or locks anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from mta.adapters.store.database import connect_reader
from mta.adapters.store.errors import StoreError, described
from mta.adapters.store.place import FILE
from mta.adapters.store.reader import Reader
from mta.adapters.store.rows import microseconds
from mta.model.queue import QueueLook

HOPS_TOLD = 10


def look(folder: Path, late_since: datetime) -> QueueLook:
    """What waits since then or longer, and which orders stand. Takes some 0.15 s for 100,000 messages.

    Raises FileNotFoundError where there is no queue, StoreError where it can't be read.
    """
    path = folder / FILE
    path.stat()
    try:
        with closing(Reader(connect_reader(folder), folder)) as reader:
            late = reader.late(microseconds(late_since), HOPS_TOLD)
            return QueueLook(late, tuple(reader.frozen()), reader.draining())
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be read: {described(error)}") from error
