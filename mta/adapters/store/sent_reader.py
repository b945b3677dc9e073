"""Reading Sent Items jobs, each call in one state of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mta import events
from mta.adapters.store.administration import can_be_stored, pattern
from mta.adapters.store.rows import microseconds, moment
from mta.adapters.store.sent_rows import (
    NO_BYTES,
    UNDECODABLE,
    CopyBytes,
    copy_bytes,
    endpoint_notes,
    mailbox_notes,
    sent_item_job,
)
from mta.adapters.store.statements import SQL, json_list
from mta.model.sentitem import EndpointNotes, JobFilter, JobState, MailboxNotes, SentItemJob, SentItemsLook, Switch

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WhichJobs:
    """A filter as SQL conditions and their values."""

    conditions: tuple[str, ...]
    values: dict[str, object]

    def statement(self, name: str) -> str:
        """The named statement with these conditions."""
        return SQL[name].replace("{which}", " AND ".join(self.conditions) or "true")


def job_conditions(which: JobFilter, now: datetime) -> WhichJobs:
    """Translate a filter."""
    texts = {name: getattr(which, name) for name in ("mailbox", "message_id", "endpoint", "organisation", "reason")}
    if not all(map(can_be_stored, (which.id, which.queue_id, *texts.values()))):
        return WhichJobs(("false",), {})
    wanted: dict[str, object] = {
        "id": which.id.lower() or None,
        "queue_id": which.queue_id or None,
        "state": None if which.state is None else which.state.value,
        "kind": None if which.kind is None else which.kind.value,
        "made_before": _before(now, which.older_than_s),
        "made_after": _before(now, which.younger_than_s),
        **{name: pattern(text) for name, text in texts.items()},
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    return WhichJobs(tuple(SQL[f"which_job_{name}"] for name in asked), asked)


def _before(now: datetime, seconds: float | None) -> int | None:
    return None if seconds is None else microseconds(now - timedelta(seconds=seconds))


def due_jobs(
    cursor: sqlite3.Cursor, now: int, *, limit: int, busy: Collection[str], left_alone: Collection[str]
) -> Numbers:
    """Due jobs, one for each mailbox, in the order in which these have been due."""
    values = {"now": now, "limit": limit, "busy": json_list(busy), "left_alone": json_list(left_alone)}
    found: list[tuple[int, int]] = []
    for endpoint, first in cursor.execute(SQL["due_endpoints"]).fetchall():
        if first <= now and endpoint not in left_alone:
            found += cursor.execute(SQL["due_jobs"], {**values, "endpoint": endpoint}).fetchall()
    return tuple(number for _, number in sorted(found)[:limit])


def load_jobs(cursor: sqlite3.Cursor, which: Numbers, bodies: Path | None) -> list[SentItemJob]:
    """Jobs in this order, with the bytes of their copies where it is said where body files are.

    One that can't be decoded is told of and left out: it keeps no other from its work.
    """
    numbers = json_list(which)
    rows = {row[0]: row for row in cursor.execute(SQL["load_jobs"], (numbers,)).fetchall()}
    copies: dict[int, list[Sequence[Any]]] = {}
    for row in cursor.execute(SQL["load_copies"], (numbers,)).fetchall():
        copies.setdefault(row[0], []).append(row)
    needed = {(row[6], row[2]) for some in copies.values() for row in some if row[6] is not None}
    octets = NO_BYTES if bodies is None or not needed else _copy_bytes(cursor, needed, bodies)
    found = []
    for row in filter(None, map(rows.get, which)):
        try:
            found.append(sent_item_job(row, copies.get(row[0], ()), octets))
        except UNDECODABLE as error:
            events.internal_error(f"sent-item {row[1]}", error=repr(error))
    return found


def _copy_bytes(cursor: sqlite3.Cursor, needed: Collection[tuple[int, int]], bodies: Path) -> CopyBytes:
    messages = json_list({message for message, _ in needed})
    contents = cursor.execute(SQL["load_copy_bodies"], (messages,)).fetchall()
    edits = cursor.execute(SQL["load_copy_edits"], (json_list(needed),)).fetchall()
    return copy_bytes(contents, edits, bodies)


def next_due(cursor: sqlite3.Cursor) -> datetime | None:
    """When the first mailbox's turn is."""
    row = cursor.execute(SQL["due_endpoints"]).fetchone()
    return None if row is None else moment(row[1])


def matching_jobs(cursor: sqlite3.Cursor, which: WhichJobs, limit: int) -> list[SentItemJob]:
    """Jobs without the bytes of their copies, oldest first."""
    found = cursor.execute(which.statement("matching_jobs"), {**which.values, "limit": limit}).fetchall()
    return load_jobs(cursor, tuple(number for (number,) in found), None)


def count_jobs(cursor: sqlite3.Cursor, which: WhichJobs) -> dict[tuple[JobState, str], int]:
    """How many there are, by state and reason."""
    rows = cursor.execute(which.statement("count_jobs"), which.values).fetchall()
    return {(JobState(state), reason): count for state, reason, count in rows}


def notes_of_mailboxes(cursor: sqlite3.Cursor, mailboxes: Collection[str]) -> Mapping[str, MailboxNotes]:
    """Of those of which anything is remembered."""
    rows = cursor.execute(SQL["mailbox_notes"], (json_list(mailboxes),)).fetchall()
    return {row[0]: mailbox_notes(row) for row in rows}


def is_copy_to_come(cursor: sqlite3.Cursor, mailboxes: Collection[str], message_id: str) -> bool:
    """Whether a job for Sent Items waits for this message in one of these mailboxes."""
    return cursor.execute(SQL["copy_to_come"], (json_list(mailboxes), message_id)).fetchone() is not None


def mailbox_at(cursor: sqlite3.Cursor, endpoint: str) -> str:
    """The primary address of one that was lately found there; "" for none."""
    row = cursor.execute(SQL["mailbox_at"], (endpoint,)).fetchone()
    return "" if row is None else str(row[0])


def sent_items_look(cursor: sqlite3.Cursor, switch: Switch, late_since: int, denied_told: int) -> SentItemsLook:
    """How all stands: what waits since then or longer, what is stopped, and some of the mailboxes that are denied."""
    late, oldest = cursor.execute(SQL["late_jobs"], (late_since,)).fetchone()
    since = cursor.execute(SQL["switched_since"]).fetchone()
    return SentItemsLook(
        switch,
        None if since is None else moment(since[0]),
        late,
        None if oldest is None else moment(oldest),
        tuple(notes for notes in notes_of_endpoints(cursor).values() if notes.is_stopped),
        tuple(mailbox_notes(row) for row in cursor.execute(SQL["denied_mailboxes"], (denied_told,)).fetchall()),
        cursor.execute(SQL["count_denied"]).fetchone()[0],
    )


def notes_of_endpoints(cursor: sqlite3.Cursor) -> Mapping[str, EndpointNotes]:
    """Of all, by name."""
    return {row[0]: endpoint_notes(row) for row in cursor.execute(SQL["endpoint_notes"]).fetchall()}
