"""Brings messages of a database that was set aside back into the queue, Sent Items jobs, and what tracking keeps.

What was delivered in the last moments of the damaged one may be sent again: its end was perhaps not written down.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

from mta.adapters.store.database import connect
from mta.adapters.store.errors import StoreError, described
from mta.adapters.store.place import FILE
from mta.adapters.store.recovered_bodies import bring_body
from mta.adapters.store.rows import Ids
from mta.adapters.store.salvage import Row, Salvaged, salvage
from mta.adapters.store.statements import SQL
from mta.adapters.store.tracking_recover import RecoveredTracking, Scratch, recover_tracking
from mta.adapters.store.turnstile import Turnstile
from mta.crash import crash_point

CHUNK = 100
"""Messages in one transaction, so that mail flows meanwhile."""
_ADMIN_SLOT = 1023


@dataclass(frozen=True, slots=True)
class Recovered:
    """Queue ids of what was found in a database that was set aside."""

    brought_back: tuple[str, ...]
    present: tuple[str, ...]
    """In the queue already."""
    unreadable: tuple[str, ...]
    """Of which a part is missing: the body, the envelope, or who was still to get it."""
    jobs: tuple[str, ...] = ()
    """Ids of the Sent Items jobs that were brought back with what they need."""
    tracking: RecoveredTracking = field(default_factory=RecoveredTracking)


@dataclass(frozen=True, slots=True)
class _Found:
    message: Row
    content: Row
    deliveries: Sequence[Row]
    variants: Sequence[Row]

    @property
    def queue_id(self) -> str:
        return str(self.message[1])

    @property
    def file(self) -> str | None:
        return None if self.message[6] is None else str(self.message[6])


def recover(folder: Path, aside: Path, now: int) -> Recovered:
    """Read `aside` and queue what is whole in it; `now` in microseconds. Run again, it goes on. Raises StoreError."""
    brought_back: list[str] = []
    present: list[str] = []
    made: list[str] = []
    try:
        with closing(Turnstile(folder)) as turn, closing(connect(folder)) as connection:
            scratch = Scratch(aside, connection)
            found = _salvaged(aside, scratch)
            jobs = _unfinished(found)
            needed = {copy[3] for _, copies in jobs for copy in copies}
            whole, kept, unreadable = _put_together(found, aside / "bodies", needed)
            messages = {int(each.message[0] or 0): each for each in (*whole, *kept)}
            rest, jobs_left = iter(whole), iter(jobs)
            while some := list(islice(rest, CHUNK)):
                with turn:
                    brought_back += _queue(connection, folder, aside, some, now)
                present += sorted({each.queue_id for each in some}.difference(brought_back))
            while some_jobs := list(islice(jobs_left, CHUNK)):
                with turn:
                    made += _make_jobs(connection, folder, aside, some_jobs, messages, now)
            tracking = recover_tracking(connection, turn, folder, aside, scratch)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"after {len(brought_back)} messages: {described(error)}") from error
    return Recovered(tuple(brought_back), tuple(present), tuple(unreadable), tuple(made), tracking)


def _salvaged(aside: Path, scratch: Scratch) -> Salvaged:
    """Raises StoreError; sqlite3.Error where the scratch database can't be written."""
    try:
        found = salvage(aside / FILE, scratch.add)
    except OSError as error:
        raise StoreError(f"{aside / FILE} can't be read: {error.strerror}") from error
    scratch.close()
    return found


_Job = tuple[Row, Sequence[Row]]
"""A job and those of its copies whose bytes it needs."""


def _unfinished(found: Salvaged) -> list[_Job]:
    copies: dict[int, list[Row]] = {}
    for (job, _, _), row in sorted(found.copies.items()):
        if row[3] is not None:
            copies.setdefault(job, []).append(row)
    unfinished = (job for _, job in sorted(found.jobs.items()) if job[7] in ("waiting", "given-up"))
    with_copies = ((job, copies.get(int(job[0] or 0), ())) for job in unfinished)
    return [(job, needed) for job, needed in with_copies if needed or _mark(job) is not None]


def _put_together(
    found: Salvaged, bodies: Path, needed: Collection[object]
) -> tuple[list[_Found], list[_Found], list[str]]:
    """Whole messages, those that only jobs need (`needed` has their numbers), and the names of the others."""
    deliveries = {key: [row for _, row in rows] for key, rows in _by_message(found.deliveries)}
    variants = {key: [row for _, row in rows] for key, rows in _by_message(found.variants)}
    whole: list[_Found] = []
    kept: list[_Found] = []
    unreadable: list[str] = []
    for number, message in sorted(found.messages.items()):
        content = found.contents.get(number)
        has_use = number in deliveries or number in needed
        if content is None or not has_use or not _has_body(message, content, bodies):
            unreadable.append(str(message[1]))
        else:
            sort = whole if number in deliveries else kept
            sort.append(_Found(message, content, deliveries.get(number, ()), variants.get(number, ())))
    known = {str(message[1]) for message in found.messages.values()}
    without = [f"number {number}" for number in found.contents if number not in found.messages]
    return whole, kept, [*unreadable, *(name for name in without if name not in known)]


def _by_message(rows: dict[tuple[int, int], Row]) -> Iterator[tuple[int, Iterator[tuple[tuple[int, int], Row]]]]:
    return groupby(sorted(rows.items(), key=lambda item: item[0]), key=lambda item: item[0][0])


def _has_body(message: Row, content: Row, bodies: Path) -> bool:
    size, file, data = message[3], message[6], content[5]
    if file is None:
        return isinstance(data, bytes) and len(data) == size
    with suppress(OSError, ValueError):
        path = bodies / str(file)
        return path.parent.parent == bodies and path.stat().st_size == size
    return False


def _ids(connection: sqlite3.Connection) -> Ids:
    (highest,) = connection.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()
    return Ids(_ADMIN_SLOT, highest)


def _queue(connection: sqlite3.Connection, folder: Path, aside: Path, some: Sequence[_Found], now: int) -> list[str]:
    """One transaction; gives the queue ids that were not there yet. Hold the turnstile: the sweep must not run."""
    ids = _ids(connection)
    queued: list[str] = []
    with _transaction(connection):
        for each in some:
            if connection.execute("SELECT 1 FROM message WHERE queue_id = ?", (each.queue_id,)).fetchone():
                continue
            _bring(connection, folder, aside, each, ids.fresh(), now)
            queued.append(each.queue_id)
        crash_point("recovering")
    crash_point("recovered")
    return queued


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _make_jobs(
    connection: sqlite3.Connection, folder: Path, aside: Path, some: Sequence[_Job], messages: Mapping[int, _Found],
    now: int,
) -> list[str]:  # fmt: skip
    """One transaction, as `_queue`; gives the ids of the jobs. A message comes together with the job that needs it."""
    ids = _ids(connection)
    made: list[str] = []
    with _transaction(connection):
        for job, copies in some:
            whole = [(copy, messages[number]) for copy in copies if (number := int(copy[3] or 0)) in messages]
            if not whole and _mark(job) is None:
                continue
            if connection.execute("SELECT 1 FROM sent_job WHERE id = ?", (job[1],)).fetchone():
                continue
            number = _insert_job(connection, job, now)
            for copy, message in whole:
                row = connection.execute("SELECT id FROM message WHERE queue_id = ?", (message.queue_id,)).fetchone()
                place = ids.fresh() if row is None else row[0]
                if row is None:
                    _bring(connection, folder, aside, message, place, now)
                _insert(connection, "sent_copy", (number, *copy[1:3], place, *copy[4:]))
            made.append(str(job[1]))
        crash_point("recovering-jobs")
    return made


def _mark(job: Row) -> int | float | str | bytes | None:
    """None for a job for Sent Items, and in databases that are older than marks."""
    return job[17] if len(job) > 17 else None


def _insert_job(connection: sqlite3.Connection, job: Row, now: int) -> int:
    """Under a number of its own; gives that. What was leased was cut short, see `release_jobs`."""
    cursor = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM sent_job")
    (number,) = cursor.fetchone()
    _insert(connection, "sent_job", (number, *job[1:16], None, _mark(job)))
    if job[16] is not None:
        connection.execute(SQL["interrupt_job"], (now, number))
    return int(number)


def _bring(
    connection: sqlite3.Connection, folder: Path, aside: Path, found: _Found, number: int, now: int
) -> None:  # fmt: skip
    """A message, its body first."""
    if found.file is not None:
        bring_body(folder / "bodies" / found.file, aside / "bodies" / found.file)
    _insert_message(connection, found, number, now)


def _insert_message(connection: sqlite3.Connection, found: _Found, number: int, now: int) -> None:
    """Under a number of its own. What was leased is due now: who had it is gone."""
    _insert(connection, "message", (number, *found.message[1:]))
    _insert(connection, "content", (number, *found.content[1:]))
    for row in found.deliveries:
        _, part, next_hop, state, due_at, attempts, owner, *rest = row
        due_at = now if owner is not None else due_at
        _insert(connection, "delivery", (number, part, next_hop, state, due_at, attempts, None, *rest))
    for row in found.variants:
        _insert(connection, "variant", (number, *row[1:]))


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    """Columns that an older version did not have yet get their defaults."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")][: len(row)]
    places = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names of our own schema
    connection.execute(statement, row[: len(columns)])
