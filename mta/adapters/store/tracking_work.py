"""What the writer carries out for tasks and messages in work, and what is forgotten or purged."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_conversations import restored
from mta.adapters.store.tracking_operations import let_go, unnamed
from mta.adapters.store.tracking_rows import microseconds_or_none, storable
from mta.adapters.store.writer import Operation
from mta.model.task_reasons import BY_ADMINISTRATOR
from mta.model.tracking import MailboxNotes, TaskOutcome, TaskState
from mta.ports.tracking_store import HELD_FOR

_HELD_FOR = HELD_FOR // timedelta(microseconds=1)
_COUNTS_FOR = 2 * 86_400_000_000
"""Microseconds that counts of messages are of use; they are asked for 24 hours back."""


@dataclass(frozen=True, slots=True)
class SettleTask(Operation[tuple[str, ...]]):
    """Write down what became of an attempt; gives the files that nothing names now."""

    crash_before: ClassVar[str] = "before-task-settle"
    crash_after: ClassVar[str] = "after-task-settle"
    outcome: TaskOutcome
    now: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[SettleTask]) -> Sequence[tuple[str, ...]]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> tuple[str, ...]:
        outcome = self.outcome
        files = _files(cursor, "files_of_tasks", [outcome.number]) if outcome.state is TaskState.DONE else ()
        waits = outcome.state is TaskState.WAITING
        settled = {
            "number": outcome.number,
            "state": outcome.state.value,
            "reason": outcome.reason,
            "detail": storable(outcome.detail),
            "due_at": (microseconds_or_none(outcome.due_at) or self.now) if waits else None,
            "ended_at": None if waits else self.now,
        }
        cursor.execute(SQL["settle_task"], settled)
        return unnamed(cursor, files)


@dataclass(frozen=True, slots=True)
class Worked:
    """What one transaction did: how many rows, the last of them, the files that nothing names now."""

    found: int
    last: int = 0
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayTasks(Operation[Worked]):
    """Make the next matching tasks due, those after `after`."""

    find: str
    """The whole statement that finds them."""
    values: dict[str, object]
    now: int
    limit: int
    after: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[ReplayTasks]) -> Sequence[Worked]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Worked:
        values = {**self.values, "after": self.after, "limit": self.limit}
        numbers = [number for (number,) in cursor.execute(self.find, values).fetchall()]
        if not numbers:
            return Worked(0)
        which = json_list(numbers)
        cursor.execute(SQL["replay_tasks"], {"numbers": which, "now": self.now})
        lines = json_list({line for (line,) in cursor.execute(SQL["lines_of_tasks"], (which,)).fetchall()})
        cursor.execute(SQL["align_tasks"], {"numbers": which, "conversations": lines})
        return Worked(len(numbers), numbers[-1])


@dataclass(frozen=True, slots=True)
class DropTasks(Operation[Worked]):
    """End the next matching tasks, those after `after`, without doing them."""

    find: str
    values: dict[str, object]
    now: int
    limit: int
    after: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[DropTasks]) -> Sequence[Worked]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Worked:
        values = {**self.values, "after": self.after, "limit": self.limit}
        numbers = [number for (number,) in cursor.execute(self.find, values).fetchall()]
        if not numbers:
            return Worked(0)
        files = _files(cursor, "files_of_tasks", numbers)
        dropped = {"numbers": json_list(numbers), "now": self.now, "reason": BY_ADMINISTRATOR}
        cursor.execute(SQL["drop_tasks"], dropped)
        return Worked(len(numbers), numbers[-1], unnamed(cursor, files))


@dataclass(frozen=True, slots=True)
class ForgetTracking(Operation[Worked]):
    """Forget what ended or happened before then, at most `limit` rows of each kind."""

    before: int
    now: int
    limit: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[ForgetTracking]) -> Sequence[Worked]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Worked:
        bound = (self.before, self.limit)
        tasks = [number for (number,) in cursor.execute(SQL["tasks_to_forget"], bound).fetchall()]
        files = _files(cursor, "files_of_tasks", tasks)
        cursor.execute(SQL["forget_tasks"], (json_list(tasks),))
        found = len(tasks)
        for name in ("forget_entries", "forget_bounces", "forget_runs", "forget_attempts"):
            found += cursor.execute(SQL[name], bound).rowcount
        found += cursor.execute(SQL["forget_counts"], (self.now - _COUNTS_FOR, self.limit)).rowcount
        held = cursor.execute(SQL["forget_answers"], (self.now - _HELD_FOR, self.limit)).fetchall()
        files = (*files, *(file for (file,) in held if file is not None))
        return Worked(found + len(held), files=unnamed(cursor, files))


@dataclass(frozen=True, slots=True)
class LetAnswerGo(Operation[tuple[str, ...]]):
    """Keep an answer no longer; gives the files that nothing names now."""

    organisation: str
    key: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[LetAnswerGo]) -> Sequence[tuple[str, ...]]:
        return [unnamed(cursor, let_go(cursor, op.organisation, op.key)) for op in batch]


@dataclass(frozen=True, slots=True)
class PurgeRecords(Operation[Worked]):
    """Remove the next matching records, those after `after`, with notes and attachments; their numbers stay given."""

    find: str
    values: dict[str, object]
    limit: int
    after: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[PurgeRecords]) -> Sequence[Worked]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Worked:
        values = {**self.values, "after": self.after, "limit": self.limit}
        rows = cursor.execute(self.find, values).fetchall()
        if not rows:
            return Worked(0)
        which = [conversation for _, conversation in rows]
        files = _files(cursor, "files_of_notes", which)
        for name in ("purge_notes", "purge_rules", "purge_records"):
            cursor.execute(SQL[name], (json_list(which),))
        return Worked(len(rows), rows[-1][0], unnamed(cursor, files))


def _files(cursor: sqlite3.Cursor, name: str, numbers: Sequence[int]) -> tuple[str, ...]:
    if not numbers:
        return ()
    return tuple(file for (file,) in cursor.execute(SQL[name], (json_list(numbers),)).fetchall())


@dataclass(frozen=True, slots=True)
class BeginMessage(Operation[int]):
    """Count an attempt at a message; gives how many there are."""

    mailbox: str
    ref: str
    at: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[BeginMessage]) -> Sequence[int]:
        attempts = []
        for op in batch:
            values = {"mailbox": op.mailbox, "ref": storable(op.ref), "at": op.at}
            ((count,),) = cursor.execute(SQL["begin_message"], values).fetchall()
            attempts.append(int(count))
        return attempts


@dataclass(frozen=True, slots=True)
class NoteMailbox(Operation[None]):
    """What is remembered of a monitored mailbox, but for what administrators say."""

    notes: MailboxNotes
    now: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[NoteMailbox]) -> Sequence[None]:
        for op in batch:
            notes = op.notes
            trouble = None if notes.trouble is None else restored(cursor, notes.trouble, op.now)
            values = (
                notes.name,
                notes.failures,
                trouble,
                microseconds_or_none(notes.polled_at),
                microseconds_or_none(notes.answered_at),
                notes.reason,
                storable(notes.detail),
                notes.taken,
                notes.set_aside,
                microseconds_or_none(notes.resume_at),
            )
            cursor.execute(SQL["note_monitored_mailbox"], values)
        return [None] * len(batch)
