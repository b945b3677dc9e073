"""What the writer carries out for tracking: messages taken with all that follows, and what administrators change."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mta.adapters.store.rows import microseconds
from mta.adapters.store.statements import SQL, json_answer, json_list
from mta.adapters.store.tracking_conversations import add_participants, restored, see
from mta.adapters.store.tracking_rows import MINUTE, StoredOctets, entry_row, fields_json, storable
from mta.adapters.store.writer import Operation
from mta.model.record import AddNote, Change, CreateRecord, DeleteRecord, NoteRule, UpdateRecord
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.model.tracking import UNSETTLED, EntryState, Intake, NewTask

HELD_MAX = 10_000
"""Answers that wait for what they answer; of more nobody keeps the octets. Half of them are for what ours sent alone:
strangers can send any number of answers to nothing."""
_UNSETTLED = frozenset(state.value for state in UNSETTLED)
CHUNK = 200
"""Rows that one transaction of an administrator's work changes, so that mail is not held up."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether it was new, and the files that nothing names."""

    is_new: bool
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Take(Operation[Taken]):
    """Write down what follows from one message, or (with `once`) what somebody else wants done once for that key."""

    crash_before: ClassVar[str] = "before-take"
    crash_after: ClassVar[str] = "after-take"
    intake: Intake
    folder: Path
    """Where body files are."""
    attachments: tuple[tuple[StoredOctets, ...], ...]
    """Of each change."""
    payloads: tuple[StoredOctets, ...]
    """Of each task."""
    held: StoredOctets | None = None
    """The whole message, for one that is awaiting another."""
    once: str = ""
    octets: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        contents = [*(each for some in self.attachments for each in some), *self.payloads]
        contents += [self.held] if self.held is not None else []
        return tuple({each.file: None for each in contents if each.file is not None})

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Take]) -> Sequence[Taken | Exception]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Taken | Exception:
        if not all((self.folder / file).exists() for file in self.files):
            return TemporaryError(INTERNAL_ERROR)  # the sweep took one, for it waited so long for this commit
        is_new, freed = self._begin(cursor)
        if not is_new:
            return Taken(False, self.files)
        entry, at = self.intake.entry, microseconds(self.intake.entry.at)
        conversation = None if entry.transaction is None else restored(cursor, entry.transaction, at)
        if not self.once:
            cursor.execute(SQL["add_entry"], entry_row(entry, conversation))
        if conversation is not None:
            add_participants(cursor, conversation, self.intake.participants)
            if entry.state is EntryState.JOINED and not self.once:
                _know(cursor, self.intake, conversation)
        _change(cursor, self.intake.changes, self.attachments, self.folder, at, is_quiet=self.intake.is_quiet)
        _add_tasks(cursor, self.intake.tasks, self.payloads, self.folder, at)
        _count(cursor, self.intake, at)
        self._hold(cursor, at)
        return Taken(True, unnamed(cursor, (*self.files, *freed)))

    def _begin(self, cursor: sqlite3.Cursor) -> tuple[bool, tuple[str, ...]]:
        """Whether it is new; and files of what it takes the place of."""
        entry = self.intake.entry
        if self.once:
            ran = cursor.execute(SQL["run_once"], (storable(self.once), microseconds(entry.at)))
            return ran.rowcount > 0, ()
        row = cursor.execute(SQL["taken_entry"], (entry.organisation, storable(entry.key))).fetchone()
        if row is None:
            return True, ()
        number, state, reason, direction, conversation = row
        if conversation is not None or state not in _UNSETTLED:
            return False, ()
        if entry.is_settled:
            cursor.execute(SQL["replace_entry"], (number,))
            return True, let_go(cursor, entry.organisation, entry.key)
        # What ours sent doesn't give way to what somebody wrote under its Message-ID, who can read that.
        is_weaker = direction == "sent" != entry.direction
        if is_weaker or (state, reason, direction) == (entry.state.value, entry.reason, entry.direction):
            return False, ()
        cursor.execute(SQL["replace_entry"], (number,))
        return True, let_go(cursor, entry.organisation, entry.key) if entry.direction == "sent" else ()

    def _hold(self, cursor: sqlite3.Cursor, at: int) -> None:
        entry, awaiting = self.intake.entry, self.intake.awaiting
        if awaiting is None or self.held is None:
            return
        message_ids = json_list(storable(each) for each in awaiting.message_ids if each)
        values = {
            "organisation": entry.organisation, "key": storable(entry.key), "mailbox": entry.mailbox,
            "is_ours": int(entry.direction == "sent"), "at": at, "file": self.held.file, "data": self.held.data,
            "message_ids": message_ids,
            "most": HELD_MAX if entry.direction == "sent" else HELD_MAX // 2,
        }  # fmt: skip
        cursor.execute(SQL["hold_answer"], values)
        if cursor.rowcount > 0:
            cursor.execute(SQL["await_messages"], (cursor.lastrowid, entry.organisation, message_ids))


def let_go(cursor: sqlite3.Cursor, organisation: str, key: str) -> tuple[str, ...]:
    """Keep the answer of this entry no longer; its file, if it has one."""
    gone = cursor.execute(SQL["let_answer_go"], (organisation, storable(key))).fetchall()
    return tuple(file for (file,) in gone if file is not None)


def unnamed(cursor: sqlite3.Cursor, files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that no row names."""
    if not files:
        return ()
    return tuple(set(files).difference(json_answer(cursor, "named_files", (json_list(files),))))


def _know(cursor: sqlite3.Cursor, intake: Intake, conversation: int) -> None:
    organisation = intake.entry.organisation
    if intake.entry.message_id:
        see(cursor, organisation, storable(intake.entry.message_id), conversation)
    if intake.known_ids:
        names = json_list(storable(each) for each in intake.known_ids if each)
        cursor.execute(SQL["name_messages"], (organisation, conversation, names))


def _count(cursor: sqlite3.Cursor, intake: Intake, at: int) -> None:
    organisation = intake.entry.organisation
    if intake.bounced:
        bounces = json_list((storable(name), storable(status)) for name, status in intake.bounced.items())
        cursor.execute(SQL["add_bounces"], {"organisation": organisation, "bounces": bounces, "at": at})
    if intake.counted:
        addresses = json_list({storable(each) for each in intake.counted})
        values = {"organisation": organisation, "addresses": addresses, "minute": at // MINUTE * MINUTE}
        cursor.execute(SQL["count_messages"], values)


# --- changes of records ----------------------------------------------------------------------------------------------


def _change(
    cursor: sqlite3.Cursor, changes: Sequence[Change], attachments: Sequence[Sequence[StoredOctets]], folder: Path,
    at: int, *, is_quiet: bool,
) -> None:  # fmt: skip
    """In order; that rules were carried out, is noted for the record as it stands after all of them.

    What a time-triggered rule itself changes doesn't make it, or another one, due again: two would go on for ever. Nor
    does what is quiet.
    """
    conversations = {change.transaction: restored(cursor, change.transaction, at) for change in changes}
    by_rules = {conversations[change.transaction] for change in changes if isinstance(change, NoteRule)}
    for place, change in enumerate(changes):
        conversation = conversations[change.transaction]
        match change:
            case CreateRecord():
                _create(cursor, conversation, change, at)
            case UpdateRecord():
                _update(cursor, conversation, change, at)
            case DeleteRecord():
                cursor.execute(SQL["delete_record"], {"conversation": conversation, "at": at})
            case AddNote():
                _add_note(cursor, conversation, change, attachments[place], folder, at)
    for conversation in () if is_quiet else set(conversations.values()) - by_rules:
        cursor.execute(SQL["touch_record"], {"conversation": conversation, "at": at})
    for change in changes:
        if isinstance(change, NoteRule):
            values = {"conversation": conversations[change.transaction], "rule": change.rule}
            cursor.execute(SQL["note_rule"], values)


def _create(cursor: sqlite3.Cursor, conversation: int, change: CreateRecord, at: int) -> None:
    cursor.execute(
        SQL["create_record"],
        {
            "conversation": conversation,
            "state": storable(change.state),
            "title": storable(change.title),
            "requester": storable(change.requester),
            "owner": storable(change.owner),
            "source": storable(change.source),
            "fields": fields_json(change.fields),
            "at": at,
        },
    )


def _update(cursor: sqlite3.Cursor, conversation: int, change: UpdateRecord, at: int) -> None:
    cursor.execute(
        SQL["update_record"],
        {
            "conversation": conversation,
            "state": None if change.state is None else storable(change.state),
            "title": None if change.title is None else storable(change.title),
            "owner": None if change.owner is None else storable(change.owner),
            "requester": None if change.requester is None else storable(change.requester),
            "fields": fields_json(change.fields),
            "at": at,
        },
    )


def _add_note(
    cursor: sqlite3.Cursor, conversation: int, change: AddNote, contents: Sequence[StoredOctets], folder: Path, at: int
) -> None:
    """Whether or not there is a record: one that is made later has the notes from before."""
    cursor.execute(
        SQL["add_note"],
        {
            "conversation": conversation,
            "author": storable(change.author),
            "author_name": storable(change.author_name),
            "kind": storable(change.kind),
            "text": storable(change.text),
            "at": at,
            "message_id": storable(change.message_id),
            "is_public": int(change.is_public),
        },
    )
    note = cursor.lastrowid
    for attachment, content in zip(change.attachments, contents, strict=True):
        number = keep_octets(cursor, content, folder)
        values = (note, storable(attachment.name), storable(attachment.content_type), number)
        cursor.execute(SQL["add_attachment"], values)
    cursor.execute(SQL["note_added"], {"conversation": conversation, "at": at})


def keep_octets(cursor: sqlite3.Cursor, content: StoredOctets, folder: Path) -> int:
    """The number of a content, kept once; one whose file is gone gets the one that is at hand."""
    row = cursor.execute(SQL["octets_of"], (content.sha256,)).fetchone()
    if row is None:
        cursor.execute(SQL["add_octets"], (content.sha256, content.size, content.file, content.data))
        return int(cursor.lastrowid or 0)
    number, file = row
    if file is not None and not (folder / file).exists():
        cursor.execute(SQL["replace_octets"], (content.file, content.data, number))
    return int(number)


def _add_tasks(
    cursor: sqlite3.Cursor, tasks: Sequence[NewTask], payloads: Sequence[StoredOctets], folder: Path, at: int
) -> int:
    """How many of them were new."""
    added = 0
    for task, payload in zip(tasks, payloads, strict=True):
        key = storable(task.key)
        if cursor.execute(SQL["task_exists"], (key,)).fetchone():
            continue
        conversation = None if task.transaction is None else restored(cursor, task.transaction, at)
        octets = keep_octets(cursor, payload, folder)
        recipients = json_list(map(storable, task.recipients))
        values = (key, task.kind.value, task.organisation, storable(task.target), at, at, microseconds(task.due_at),
                  recipients, conversation, octets)  # fmt: skip
        cursor.execute(SQL["add_task"], values)
        added += 1
    return added


@dataclass(frozen=True, slots=True)
class Added:
    """How many tasks were new, and the files that nothing names."""

    found: int
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddTasks(Operation[Added]):
    """Tasks that follow from no message."""

    tasks: tuple[NewTask, ...]
    payloads: tuple[StoredOctets, ...]
    folder: Path
    at: int
    octets: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[AddTasks]) -> Sequence[Added | Exception]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Added | Exception:
        files = tuple({each.file: None for each in self.payloads if each.file is not None})
        if not all((self.folder / file).exists() for file in files):
            return TemporaryError(INTERNAL_ERROR)
        added = _add_tasks(cursor, self.tasks, self.payloads, self.folder, self.at)
        return Added(added, unnamed(cursor, files))


@dataclass(frozen=True, slots=True)
class DecidePending(Operation[bool]):
    """The owner lets a stranger's message in, or (joins False) doesn't; False where no such one is pending."""

    organisation: str
    key: str
    joins: bool
    reason: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[DecidePending]) -> Sequence[bool]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> bool:
        row = cursor.execute(SQL["pending_entry"], (self.organisation, storable(self.key))).fetchone()
        if row is None:
            return False
        number, message_id, sender, conversation, at = row
        state = EntryState.JOINED if self.joins else EntryState.FILTERED
        cursor.execute(SQL["settle_entry"], (state.value, self.reason, number))
        if self.joins and conversation is not None:
            add_participants(cursor, conversation, (sender,))
            note = {"conversation": conversation, "message_id": message_id, "sender": sender, "at": at}
            cursor.execute(SQL["note_let_in"], note)
            if message_id:
                see(cursor, self.organisation, message_id, conversation)
        return True
