"""Reading what tracking keeps, each call in one state of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from mta import events
from mta.adapters.store.administration import can_be_stored, pattern
from mta.adapters.store.rows import microseconds, moment
from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_conversations import found
from mta.adapters.store.tracking_rows import (
    UNDECODABLE,
    entry_of,
    mailbox_notes_of,
    note_of,
    record_of,
    storable,
    task_of,
)
from mta.model.record import Note, Record, RecordAttachment, RecordFilter
from mta.model.tracking import Entry, MailboxNotes, TargetLook, Task, TaskFilter, TaskKind, TaskState, TaskTarget
from mta.model.transaction import Transaction

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Which:
    """A filter as SQL conditions and their values."""

    conditions: tuple[str, ...]
    values: dict[str, object]

    def statement(self, name: str) -> str:
        """The named statement with these conditions."""
        return statement(name).replace("{which}", " AND ".join(self.conditions) or "true")


_NONE = Which(("false",), {})
_EVER = 2**62
"""Later than all times."""


def statement(name: str) -> str:
    """A statement with its columns."""
    text = SQL[name].replace("{record}", SQL["record_columns"]).replace("{task}", SQL["task_columns"])
    return text.replace("{overdue}", SQL["overdue"])


def record_conditions(which: RecordFilter, now: datetime) -> Which:
    """Translate a filter."""
    texts = {name: getattr(which, name) for name in ("organisation", "module", "state", "requester", "owner", "source",
             "title")}  # fmt: skip
    if not all(map(can_be_stored, texts.values())):
        return _NONE
    wanted: dict[str, object] = {
        "number": which.number,
        "created_before": _before(now, which.older_than_s),
        "unchanged_since": _before(now, which.unchanged_for_s),
        **{name: pattern(text) for name, text in texts.items()},
        "not_deleted": None if which.with_deleted else True,
        **({"requester": None, "requester_is": which.requester or None} if "*" not in which.requester else {}),
    }
    return _asked("which_record_", wanted)


def task_conditions(which: TaskFilter) -> Which:
    """Translate a filter."""
    texts = {name: getattr(which, name) for name in ("organisation", "target", "module", "reason")}
    if not all(map(can_be_stored, texts.values())):
        return _NONE
    wanted: dict[str, object] = {
        "number": which.number,
        "kind": None if which.kind is None else which.kind.value,
        "state": None if which.state is None else which.state.value,
        "record": which.record,
        **{name: pattern(text) for name, text in texts.items()},
    }
    return _asked("which_task_", wanted)


def _asked(prefix: str, wanted: Mapping[str, object]) -> Which:
    asked = {name: value for name, value in wanted.items() if value is not None}
    return Which(tuple(SQL[prefix + name] for name in asked), asked)


def _before(now: datetime, seconds: float | None) -> int | None:
    return None if seconds is None else microseconds(now - timedelta(seconds=seconds))


def _decoded(what: str, rows: Sequence[Sequence[Any]], decode: Callable[[Sequence[Any]], Value]) -> list[Value]:
    """One that can't be decoded is told of and left out: it hides no other."""
    decoded = []
    for row in rows:
        try:
            decoded.append(decode(row))
        except UNDECODABLE as error:
            events.internal_error(f"{what} {row[0]}", error=repr(error))
    return decoded


# --- conversations and entries ---------------------------------------------------------------------------------------


def current(cursor: sqlite3.Cursor, transaction: Transaction) -> Transaction | None:
    """What this name, nonce included, means now."""
    return _transaction(cursor, found(cursor, transaction))


def numbered(cursor: sqlite3.Cursor, organisation: str, module: str, number: int) -> Transaction | None:
    """What this number means now."""
    if not -(2**63) <= number < 2**63:
        return None
    row = cursor.execute(SQL["conversation_numbered"], (organisation, storable(module), number)).fetchone()
    return _transaction(cursor, None if row is None else row[0])


def _transaction(cursor: sqlite3.Cursor, conversation: int | None) -> Transaction | None:
    row = cursor.execute(SQL["conversation"], (conversation,)).fetchone()
    return None if row is None else Transaction(*row)


def of_messages(cursor: sqlite3.Cursor, organisation: str, message_ids: Collection[str]) -> dict[str, Transaction]:
    """By Message-ID, those that are known."""
    stored = {storable(name): name for name in message_ids if name}
    values = {"organisation": organisation, "message_ids": json_list(stored)}
    rows = cursor.execute(SQL["conversations_of_messages"], values).fetchall()
    return {stored[name]: Transaction(*named) for name, *named in rows}


def participants(cursor: sqlite3.Cursor, transaction: Transaction) -> frozenset[str]:
    """Address keys."""
    rows = cursor.execute(SQL["participants"], (found(cursor, transaction),)).fetchall()
    return frozenset(address for (address,) in rows)


def entries(cursor: sqlite3.Cursor, limit: int, **wanted: object) -> list[Entry]:
    """Newest first; `wanted` are conditions, those that are None don't count."""
    which = _asked("which_entry_", wanted)
    rows = cursor.execute(which.statement("entries"), {**which.values, "limit": limit}).fetchall()
    return _decoded("tracked-entry", rows, entry_of)


def entries_of(cursor: sqlite3.Cursor, transaction: Transaction, limit: int, **wanted: object) -> list[Entry]:
    """The same, of one transaction."""
    conversation = found(cursor, transaction)
    return [] if conversation is None else entries(cursor, limit, conversation=conversation, **wanted)


# --- records ---------------------------------------------------------------------------------------------------------


def record(cursor: sqlite3.Cursor, transaction: Transaction) -> Record | None:
    """The transaction's record, deleted or not."""
    rows = cursor.execute(statement("record"), {"conversation": found(cursor, transaction)}).fetchall()
    return next(iter(_decoded("record", rows, record_of)), None)


def records(cursor: sqlite3.Cursor, which: Which, name: str, after: int, limit: int) -> list[tuple[int, Record]]:
    """In the order of the named statement, with their places."""
    values = {**which.values, "after": after, "limit": limit}
    rows = cursor.execute(which.statement(name), values).fetchall()
    return _decoded("record", rows, lambda row: (int(row[0]), record_of(row)))


def count_records(cursor: sqlite3.Cursor, which: Which) -> dict[tuple[str, str, str], int]:
    """By organisation, module and state."""
    rows = cursor.execute(which.statement("count_records"), which.values).fetchall()
    return {(organisation, module, state): count for organisation, module, state, count in rows}


def notes_of(cursor: sqlite3.Cursor, transactions: Sequence[Transaction]) -> dict[Transaction, list[Note]]:
    """Notes of each of these, oldest first."""
    numbers = {found(cursor, each): each for each in transactions}
    which = {"conversations": json_list(number for number in numbers if number is not None)}
    files: dict[int, list[RecordAttachment]] = {}
    for note, *attachment in cursor.execute(SQL["attachments"], which).fetchall():
        files.setdefault(note, []).append(RecordAttachment(*attachment))
    notes: dict[Transaction, list[Note]] = {each: [] for each in transactions}
    rows = cursor.execute(SQL["notes"], which).fetchall()
    for transaction, note in _decoded(
        "note", rows, lambda row: (numbers[row[1]], note_of(row, files.get(row[0], ())))
    ):  # fmt: skip
        notes[transaction].append(note)
    return notes


def overdue(cursor: sqlite3.Cursor, values: Mapping[str, object]) -> list[Record]:
    """Records that a time-triggered rule is for, the oldest first."""
    by_rest = values["created_before"] is None and values["unchanged_since"] is not None
    name = "overdue_by_rest" if by_rest else "overdue_by_age"
    created_before = _EVER if values["created_before"] is None else values["created_before"]
    rows = cursor.execute(statement(name), {**values, "created_before": created_before}).fetchall()
    return _decoded("record", rows, record_of)


# --- tasks and mailboxes ---------------------------------------------------------------------------------------------


def due_tasks(
    cursor: sqlite3.Cursor, kinds: Collection[TaskKind], now: int, *, limit: int, busy: Collection[int],
    left_alone: Collection[TaskTarget],
) -> tuple[int, ...]:  # fmt: skip
    """Numbers, oldest due first. The `limit` oldest can only be for the `limit` targets whose first is oldest."""
    wanted = {kind.value for kind in kinds}
    passed_over = {(each.kind.value, each.organisation, each.target) for each in left_alone}
    targets = [
        (kind, organisation, target)
        for kind, organisation, target, _ in cursor.execute(SQL["due_targets"], (now,)).fetchall()
        if kind in wanted and (kind, organisation, target) not in passed_over
    ]
    due: list[tuple[int, int]] = []
    values = {"now": now, "limit": limit, "busy": json_list(busy)}
    for kind, organisation, target in targets[: limit + len(busy)]:
        where = {"kind": kind, "organisation": organisation, "target": target}
        due += cursor.execute(SQL["due_tasks"], {**values, **where}).fetchall()
    return tuple(number for _, number in sorted(due)[:limit])


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """A task's row, and where its payload is."""

    task: Task
    sha256: str | None
    file: str | None
    data: bytes | None


def load_tasks(cursor: sqlite3.Cursor, which: Sequence[int]) -> list[LoadedTask]:
    """In this order."""
    rows = cursor.execute(statement("load_tasks"), (json_list(which),)).fetchall()
    loaded = _decoded("task", rows, lambda row: LoadedTask(task_of(row[:-3]), *row[-3:]))
    by_number = {each.task.number: each for each in loaded}
    return [by_number[number] for number in which if number in by_number]


def tasks(cursor: sqlite3.Cursor, which: Which, limit: int) -> list[Task]:
    """Newest first."""
    rows = cursor.execute(which.statement("tasks"), {**which.values, "limit": limit}).fetchall()
    return _decoded("task", rows, task_of)


def count_tasks(cursor: sqlite3.Cursor, which: Which) -> dict[tuple[TaskTarget, TaskState], int]:
    """By target and state."""
    rows = cursor.execute(which.statement("count_tasks"), which.values).fetchall()
    return {
        (TaskTarget(TaskKind(kind), organisation, target), TaskState(state)): count
        for kind, organisation, target, state, count in rows
    }


def look_at_tasks(cursor: sqlite3.Cursor, late_since: int, limit: int) -> list[TargetLook]:
    """Of targets with dead tasks, or with some that wait since then or longer."""
    rows = cursor.execute(SQL["look_at_tasks"], {"late_since": late_since, "limit": limit}).fetchall()
    return [
        TargetLook(TaskTarget(TaskKind(kind), organisation, target), dead, late, None if at is None else moment(at))
        for kind, organisation, target, dead, late, at in rows
    ]


def mailboxes(cursor: sqlite3.Cursor) -> dict[str, MailboxNotes]:
    """By name."""
    rows = cursor.execute(SQL["monitored_mailboxes"]).fetchall()
    return {notes.name: notes for notes in _decoded("monitored-mailbox", rows, mailbox_notes_of)}
