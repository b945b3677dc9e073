"""A look at the queue from outside: reads for a moment, and never makes, migrates, examines or locks anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from mta.adapters.store.database import connect_reader
from mta.adapters.store.errors import StoreError, described
from mta.adapters.store.place import FILE
from mta.adapters.store.reader import Reader
from mta.adapters.store.rows import microseconds
from mta.adapters.store.sent_reader import sent_items_look
from mta.adapters.store.tracking_reader import look_at_tasks as tasks_look
from mta.adapters.store.tracking_reader import mailboxes
from mta.model.queue import QueueLook
from mta.model.sentitem import SentItemsLook
from mta.model.tracking import MailboxNotes, TargetLook

HOPS_TOLD = 10
MAILBOXES_TOLD = 20
TARGETS_TOLD = 50


def look(folder: Path, late_since: datetime) -> QueueLook:
    """What waits since then or longer, and which orders stand. Takes some 0.15 s for 100,000 messages.

    Raises FileNotFoundError where there is no queue, StoreError where it can't be read.
    """
    with _reader(folder) as reader:
        late = reader.late(microseconds(late_since), HOPS_TOLD)
        return QueueLook(late, tuple(reader.frozen()), reader.draining())


def look_at_sent_items(folder: Path, late_since: datetime) -> SentItemsLook:
    """How Sent Items jobs stand; raises as `look`."""
    with _reader(folder) as reader, reader.snapshot() as cursor:
        return sent_items_look(cursor, reader.sent_items_switch(), microseconds(late_since), MAILBOXES_TOLD)


def look_at_mailboxes(folder: Path) -> Mapping[str, MailboxNotes]:
    """How monitored mailboxes stand, by name; raises as `look`."""
    with _reader(folder) as reader, reader.snapshot() as cursor:
        return mailboxes(cursor)


def look_at_tasks(folder: Path, late_since: datetime) -> Sequence[TargetLook]:
    """Targets whose tasks died, or wait since then or longer; raises as `look`."""
    with _reader(folder) as reader, reader.snapshot() as cursor:
        return tasks_look(cursor, microseconds(late_since), TARGETS_TOLD)


@contextmanager
def _reader(folder: Path) -> Iterator[Reader]:
    path = folder / FILE
    path.stat()
    try:
        with closing(Reader(connect_reader(folder), folder)) as reader:
            yield reader
    except sqlite3.Error as error:
        raise StoreError(f"{path} can't be read: {described(error)}") from error
