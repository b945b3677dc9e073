"""Brings what tracking kept in a database that was set aside back into the one in use.

Rows go through a scratch database beside the one they were read from: there may be more of them than memory holds.
Numbers of rows are new; who is who is told by names: conversations by their references, messages and tasks by their
keys. What came in since the new database was begun stays, and what is brought back joins it: so it can be done again,
and goes on where it was interrupted. A row that makes no sense is left out and counted.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mta.adapters.store.recovered_bodies import bring_body
from mta.adapters.store.salvage import MARKS, Row
from mta.adapters.store.statements import SQL
from mta.adapters.store.tracking_conversations import restored
from mta.adapters.store.tracking_rows import fresh_nonce
from mta.adapters.store.turnstile import Turnstile
from mta.crash import crash_point
from mta.model.tracking import EntryState, TaskKind
from mta.model.transaction import Transaction

_SCRATCH = "tracking.salvaged"
CHUNK = 200
"""Rows in one transaction, so that mail flows meanwhile."""
_NUMBER = 0


@dataclass(frozen=True, slots=True)
class RecoveredTracking:
    """What was brought back of tracking, and what was not."""

    records: int = 0
    notes: int = 0
    attachments: int = 0
    messages: int = 0
    """What became of them is known again."""
    tasks: int = 0
    left_out: int = 0
    """Rows that make no sense, or without what they need: an attachment without its content."""


def recover_tracking(
    live: sqlite3.Connection, turn: Turnstile, folder: Path, aside: Path, scratch: Scratch
) -> RecoveredTracking:
    """From the scratch database, which is removed then. Raises sqlite3.Error, OSError."""
    recovery = Recovery(live, turn, folder, aside)
    recovery.run(scratch.path)
    scratch.remove()
    brought = recovery.brought
    return RecoveredTracking(
        brought["record"], brought["note"], brought["attachment"], brought["tracked_entry"], brought["task"],
        scratch.unreadable + recovery.left_out,
    )  # fmt: skip


class Scratch:
    """What was read, in the shape of the tables in use, but without their bonds."""

    def __init__(self, aside: Path, live: sqlite3.Connection) -> None:
        """Begun anew each time. Raises sqlite3.Error, OSError."""
        self.path = aside / _SCRATCH
        self.remove()
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._inserts: dict[str, tuple[int, str]] = {}
        self.unreadable = 0
        for mark in MARKS:
            (table,) = live.execute(
                "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (mark,)
            ).fetchone()
            self._connection.execute(table.replace(" UNIQUE", "").replace(" AUTOINCREMENT", ""))
            columns = len(live.execute(f"PRAGMA table_info({mark})").fetchall())
            places = ", ".join("?" * columns)
            self._inserts[mark] = (columns, f"INSERT OR REPLACE INTO {mark} VALUES ({places})")  # noqa: S608
        self._connection.execute("BEGIN")

    def add(self, mark: str, rowid: int, row: Row) -> None:
        """A row as it stood on its page."""
        columns, insert = self._inserts[mark]
        try:
            if len(row) != columns or not _makes_sense(mark, row):
                raise ValueError(mark)
            self._connection.execute(insert, (rowid, *row[1:]))
        except (sqlite3.Error, ValueError):
            self.unreadable += 1

    def close(self) -> None:
        """Nothing more comes."""
        with closing(self._connection):
            self._connection.execute("COMMIT")
            self._connection.execute("CREATE INDEX note_of ON note (conversation)")
            self._connection.execute("CREATE INDEX attachment_of ON attachment (note)")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


_STATES = frozenset(state.value for state in EntryState)
_KINDS = frozenset(kind.value for kind in TaskKind)


def _makes_sense(mark: str, row: Row) -> bool:
    """What the tables' own types don't tell. Raises ValueError."""
    match mark:
        case "tracked_entry":
            return row[7] in _STATES
        case "record":
            return isinstance(json.loads(str(row[14])), dict)
        case "task":
            return row[3] in _KINDS and isinstance(json.loads(str(row[14])), list)
        case "octets":
            return row[5] is None or (isinstance(row[5], bytes) and sha256(row[5]).hexdigest() == row[2])
    return True


@dataclass(slots=True)
class Recovery:
    """One run: from the scratch database into the one in use."""

    live: sqlite3.Connection
    turn: Turnstile
    folder: Path
    aside: Path
    brought: Counter[str] = field(default_factory=Counter)
    """By table."""
    left_out: int = 0
    """Rows without what they need."""

    def run(self, scratch: Path) -> None:
        """Raises sqlite3.Error, OSError."""
        self.live.execute("ATTACH ? AS old", (str(scratch),))
        try:
            self.live.execute("CREATE TEMP TABLE place (id INTEGER PRIMARY KEY, new INTEGER NOT NULL, own INTEGER)")
            self.live.execute("CREATE TEMP TABLE mixed (id INTEGER PRIMARY KEY)")
            self.live.execute("CREATE TEMP TABLE matched (id INTEGER PRIMARY KEY)")
            self._chunks("conversation_number", self._number)
            self._chunks("conversation", self._conversation, "merged_into IS NULL")
            self._chunks("conversation", self._merged, "merged_into IS NOT NULL")
            self._chunks("record", self._adopt)
            for table in _JOINED:
                self._statement(table)
            self._chunks("record", self._record)
            self._chunks("note", self._note)
            self._chunks("task", self._task)
            self._tidy()
        finally:
            with suppress(sqlite3.Error):
                self.live.execute("DROP TABLE temp.place")
                self.live.execute("DROP TABLE temp.mixed")
                self.live.execute("DROP TABLE temp.matched")
                self.live.execute("DETACH old")

    def _chunks(self, table: str, bring: Callable[[sqlite3.Cursor, Row], bool], where: str = "true") -> None:
        """Row by row, in the order of their making."""
        key = "number" if table == "task" else "id"
        after = -(2**63)
        query = f"SELECT * FROM old.{table} WHERE {key} > ? AND {where} ORDER BY {key} LIMIT {CHUNK}"  # noqa: S608
        while rows := self.live.execute(query, (after,)).fetchall():
            after = rows[-1][_NUMBER]
            with self.turn, _transaction(self.live) as cursor:
                self.brought[table] += sum([bring(cursor, row) for row in rows])
                crash_point("recovering-tracking")

    def _statement(self, table: str) -> None:
        """The rows of a table whose rows need nothing but their conversation."""
        ((last,),) = self.live.execute(f"SELECT max(id) FROM old.{table}").fetchall()  # noqa: S608
        ((first,),) = self.live.execute(f"SELECT min(id) FROM old.{table}").fetchall()  # noqa: S608
        while first is not None and first <= last:
            with self.turn, _transaction(self.live) as cursor:
                cursor.execute(SQL[f"bring_{table}"], {"first": first, "end": first + CHUNK})
                self.brought[table] += cursor.rowcount
            row = self.live.execute(f"SELECT min(id) FROM old.{table} WHERE id >= ?", (first + CHUNK,)).fetchone()  # noqa: S608
            (first,) = row

    # --- conversations -----------------------------------------------------------------------------------------------

    def _number(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        cursor.execute(SQL["lift_number"], row[2:5])
        return cursor.rowcount > 0

    def _conversation(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        number, _, organisation, module, given, nonce, _, created_at = row
        known = cursor.execute(SQL["conversation_named"], (organisation, module, given, nonce)).fetchone()
        place = restored(cursor, _transaction_of(organisation, module, given, nonce), _int(created_at))
        cursor.execute("INSERT INTO temp.place (id, new) VALUES (?, ?)", (number, place))
        return known is None

    def _merged(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        """It has a place of its own for its record, which is a deleted one, and belongs elsewhere with all the rest."""
        number, _, organisation, module, given, nonce, into, created_at = row
        place = self._place(cursor, into)
        if place is None:
            return self._conversation(cursor, row)
        name = (organisation, module, given, nonce)
        known = cursor.execute(SQL["conversation_row"], name).fetchone()
        if known is None:
            cursor.execute(SQL["add_conversation"], (*name, place, created_at))
        own, place = known or (cursor.lastrowid, place)
        cursor.execute("INSERT INTO temp.place VALUES (?, ?, ?)", (number, place, own))
        return known is None

    def _place(self, cursor: sqlite3.Cursor, number: object) -> int | None:
        row = cursor.execute("SELECT new FROM temp.place WHERE id = ?", (number,)).fetchone()
        return None if row is None else int(row[0])

    # --- records -----------------------------------------------------------------------------------------------------

    def _adopt(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        """A record whose conversation can't be read: signed references to it are lost, the record isn't."""
        old, (organisation, module, number) = row[2], row[3:6]
        if self._place(cursor, old) is None:
            made_at = _int(row[11])
            place = restored(cursor, _transaction_of(organisation, module, number, fresh_nonce()), made_at)
            cursor.execute("INSERT INTO temp.place (id, new) VALUES (?, ?)", (old, place))
        return False

    def _record(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        query = "SELECT coalesce(own, new) FROM temp.place WHERE id = ?"
        (place,) = cursor.execute(query, (row[2],)).fetchone()
        cursor.execute(SQL["bring_record"], {"old": row[_NUMBER], "place": place})
        return cursor.rowcount > 0

    def _note(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        """Under its own number, where that is free; else all of the record are numbered anew, by time."""
        number, _, old, given, *said = row
        place = self._place(cursor, old)
        if place is None:
            self.left_out += 1
            return False
        note = cursor.execute(SQL["same_note"], (place, *said)).fetchone()
        if note is None:
            taken = cursor.execute(
                "SELECT 1 FROM note WHERE conversation = ? AND number = ?", (place, given)
            ).fetchone()
            if taken:
                cursor.execute("INSERT OR IGNORE INTO temp.mixed VALUES (?)", (place,))
            cursor.execute(SQL["add_note"] if taken else SQL["add_numbered_note"], _named(place, given, said))
            added = int(cursor.lastrowid or 0)
            self._attachments(cursor, number, added)
        cursor.execute("INSERT INTO temp.matched VALUES (?)", note or (added,))
        return note is None

    def _attachments(self, cursor: sqlite3.Cursor, old: object, note: int) -> None:
        rows = cursor.execute(
            "SELECT name, content_type, octets FROM old.attachment WHERE note = ? ORDER BY id", (old,)
        )
        for name, content_type, octets in rows.fetchall():
            place = self._octets(cursor, octets)
            if place is None:
                self.left_out += 1
            else:
                cursor.execute(SQL["add_attachment"], (note, name, content_type, place))
                self.brought["attachment"] += 1

    def _octets(self, cursor: sqlite3.Cursor, old: object) -> int | None:
        """None where the content can't be had."""
        row = cursor.execute("SELECT sha256, size, file, data FROM old.octets WHERE id = ?", (old,)).fetchone()
        if row is None:
            return None
        name, size, file, data = row
        known = cursor.execute(SQL["octets_of"], (name,)).fetchone()
        if known is not None:
            return int(known[0])
        if file is not None:
            source = self.aside / "bodies" / file
            if source.parent.parent != self.aside / "bodies" or not _has_size(source, size):
                return None
            bring_body(self.folder / "bodies" / file, source)
        cursor.execute(SQL["add_octets"], (name, size, file, data))
        return int(cursor.lastrowid or 0)

    # --- tasks -------------------------------------------------------------------------------------------------------

    def _task(self, cursor: sqlite3.Cursor, row: Row) -> bool:
        """What waits or died without its payload can't be carried out any more: it is dead."""
        (_, mark, key, kind, organisation, target, state, created_at, begun_at, due_at, ended_at, attempts, reason,
         detail, recipients, conversation, octets, _) = row  # fmt: skip
        if cursor.execute(SQL["task_exists"], (key,)).fetchone():
            return False
        payload = None if octets is None else self._octets(cursor, octets)
        if state != "done" and payload is None:
            state, reason, due_at, ended_at = "dead", "payload-missing", None, ended_at or created_at
            self.left_out += 1
        values = (mark, key, kind, organisation, target, state, created_at, begun_at, due_at, ended_at, attempts,
                  reason, detail, recipients, self._place(cursor, conversation), payload)  # fmt: skip
        cursor.execute(SQL["bring_task"], values)
        return True

    def _tidy(self) -> None:
        """Notes of before and since in the order of time; and how many there are."""
        for (place,) in self.live.execute("SELECT id FROM temp.mixed").fetchall():
            with self.turn, _transaction(self.live) as cursor:
                order = "SELECT id FROM note WHERE conversation = ? ORDER BY at, id"
                notes = [note for (note,) in cursor.execute(order, (place,)).fetchall()]
                for sign in (-1, 1):  # no two have one number at any moment
                    places = [(sign * number, note) for number, note in enumerate(notes, 1)]
                    cursor.executemany("UPDATE note SET number = ? WHERE id = ?", places)
        places = [place for (place,) in self.live.execute("SELECT DISTINCT new FROM temp.place").fetchall()]
        for start in range(0, len(places), CHUNK):
            with self.turn, _transaction(self.live) as cursor:
                some = [(place, place) for place in places[start : start + CHUNK]]
                cursor.executemany(SQL["count_notes"], some)


class _transaction:  # noqa: N801 - a context manager
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Cursor:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        return cursor

    def __exit__(self, kind: object, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _transaction_of(organisation: Any, module: Any, number: Any, nonce: Any) -> Transaction:
    return Transaction(organisation, module, number, nonce)


def _int(value: Any) -> int:
    return int(value)


def _has_size(path: Path, size: int) -> bool:
    with suppress(OSError):
        return path.stat().st_size == size
    return False


def _named(place: int, number: Any, said: Sequence[Any]) -> dict[str, Any]:
    names = ("author", "author_name", "kind", "text", "at", "message_id", "is_public")
    return {"conversation": place, "number": number, **dict(zip(names, said, strict=True))}


_JOINED = (
    "conversation_message", "participant", "tracked_entry", "tracked_bounce", "counted_message", "record_rule",
    "monitored_mailbox", "tracking_run",
)  # fmt: skip
"""Tables whose rows need nothing but their conversation."""
