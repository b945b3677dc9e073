"""`stampline records list`, `show`, `pending`: what tracking keeps."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode, print_json, print_table, printable, short_age
from mta.cli.queue_spool import read_configuration, with_store
from mta.cli.records_filters import filter_of
from mta.cli.records_named import transaction_named
from mta.config.explain_errors import closest
from mta.config.schema import Configuration
from mta.model.printable import in_a_line
from mta.model.record import Note, Record, RecordAttachment
from mta.model.tracking import Entry, EntryState, Task, TaskFilter, TaskState
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore

_TITLE = 60
_TOLD = 1000
"""Entries, tasks and strangers that are shown at most."""


# --- list ------------------------------------------------------------------------------------------------------------


def run_list(arguments: argparse.Namespace) -> int:
    which, configuration = filter_of(arguments), read_configuration(arguments)

    async def use(store: TrackingStore) -> int:
        counts = await store.count_records(which)
        if not counts:
            _require_module(which.module, configuration)
        if arguments.count:
            print_json(counts_to_json(counts)) if arguments.json else print(counts_text(counts))
            return ExitCode.OK
        found = [record for _, record in await store.records(which, limit=arguments.limit, newest_first=True)]
        if arguments.json:
            print_json([record_to_json(record) for record in found])
            return ExitCode.OK
        if found:
            now = datetime.now(UTC)
            headings = ("RECORD", "STATE", "AGE", "UNCHANGED", "REQUESTER", "OWNER", "NOTES", "TITLE")
            print_table(headings, [_row(record, now) for record in found])
        if (more := sum(counts.values()) - len(found)) > 0:
            print(f"... and {more} more")
        print(counts_text(counts))
        return ExitCode.OK

    return with_store(configuration, use)


def _require_module(name: str, configuration: Configuration) -> None:
    """Records may be of a module that is gone; where there are none, a name that isn't known is a slip."""
    known = {
        module.name
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
        for module in organisation.tracking.modules
    }
    if known and name and name not in known:
        raise CommandFailedError(f"no module is called {name!r}; {closest(name, known)}", ExitCode.BAD_CONFIGURATION)


def _row(record: Record, now: datetime) -> list[str]:
    return [
        str(record.transaction),
        _in_a_cell("deleted" if record.is_deleted else record.state),
        short_age((now - record.created_at).total_seconds()),
        short_age((now - record.updated_at).total_seconds()),
        _in_a_cell(record.requester),
        _in_a_cell(record.owner),
        str(record.notes),
        _in_a_cell(record.title),
    ]


def _in_a_cell(text: str) -> str:
    return in_a_line(text, _TITLE) or "-"


def counts_text(counts: Mapping[tuple[str, str, str], int]) -> str:
    """Sums in words: `ticket: 12 open, 3 closed`."""
    organisations = {organisation for organisation, _, _ in counts}
    modules: dict[str, list[str]] = {}
    for (organisation, module, state), count in sorted(counts.items()):
        name = f"{module} of {organisation}" if len(organisations) > 1 else module
        modules.setdefault(name, []).append(f"{count} {in_a_line(state, _TITLE)}")
    return "\n".join(f"{module}: {', '.join(states)}" for module, states in modules.items()) or "0 records"


def counts_to_json(counts: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Records by organisation, module and state."""
    return [
        {"organisation": organisation, "module": module, "state": state, "records": count}
        for (organisation, module, state), count in counts.items()
    ]


# --- show ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A transaction with all that belongs to it."""

    transaction: Transaction
    record: Record | None
    participants: Sequence[str]
    notes: Sequence[Note]
    entries: Sequence[Entry]
    tasks: Sequence[Task]

    @property
    def attachments(self) -> list[RecordAttachment]:
        return [attachment for note in self.notes for attachment in note.attachments]


def run_show(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)

    async def use(store: TrackingStore) -> int:
        shown = await _shown(store, configuration, arguments)
        if arguments.attachment is not None:
            sys.stdout.buffer.write(await _attachment(store, shown, arguments.attachment))
            sys.stdout.buffer.flush()
        elif arguments.json:
            print_json(_shown_to_json(shown))
        else:
            print("\n".join(map(printable, _lines(shown))))
        return ExitCode.OK

    return with_store(configuration, use)


async def _shown(store: TrackingStore, configuration: Configuration, arguments: argparse.Namespace) -> Shown:
    transaction = await transaction_named(store, configuration, arguments.which, arguments.organisation)
    which = TaskFilter(organisation=transaction.organisation, module=transaction.module, record=transaction.number)
    return Shown(
        transaction,
        await store.record(transaction),
        sorted(await store.participants(transaction)),
        await store.notes(transaction),
        (await store.entries(transaction=transaction, limit=_TOLD))[::-1],
        (await store.tasks(which, limit=_TOLD))[::-1],
    )


async def _attachment(store: TrackingStore, shown: Shown, number: int) -> bytes:
    """Raises CommandFailedError."""
    if number > len(shown.attachments):
        text = f"{shown.transaction} has {len(shown.attachments)} attachments: `stampline records show` numbers them"
        raise CommandFailedError(text)
    if sys.stdout.isatty():
        raise CommandFailedError("an attachment is not for a terminal: write `> FILE` behind the command")
    return await store.attachment(shown.attachments[number - 1])


def _lines(shown: Shown) -> list[str]:
    lines = [f"record      {shown.transaction} of {shown.transaction.organisation}"]
    if shown.record is None:
        lines.append("state       no rule has made a record of this conversation")
    else:
        lines += _record_lines(shown.record)
    lines += [f"takes part  {in_a_line(each, 200)}" for each in shown.participants]
    numbers = iter(range(1, len(shown.attachments) + 1))
    for note in shown.notes:
        lines += ["", *_note_lines(note, numbers)]
    if shown.entries:
        lines += ["", "messages:", *map(_entry_line, shown.entries)]
    if shown.tasks:
        lines += ["", "tasks:", *map(_task_line, shown.tasks)]
    return lines


def _record_lines(record: Record) -> list[str]:
    closed = f", closed {_time(record.closed_at)}" if record.closed_at else ""
    deleted = ", DELETED by a rule; `stampline records purge` removes it for good" if record.is_deleted else ""
    return [
        f"state       {_in_a_cell(record.state)}{closed}{deleted}",
        f"title       {in_a_line(record.title, 1000) or '-'}",
        f"requester   {_in_a_cell(record.requester)}",
        f"owner       {_in_a_cell(record.owner)}",
        f"source      {_in_a_cell(record.source)}",
        f"made        {_time(record.created_at)}, changed {_time(record.updated_at)}",
        *(f"field       {name}: {in_a_line(value, 1000)}" for name, value in sorted(record.fields.items())),
    ]


def _note_lines(note: Note, numbers: Iterator[int]) -> list[str]:
    who = in_a_line(note.author_name or note.author, 400) or "the system"
    address = f" <{in_a_line(note.author, 100)}>" if note.author and note.author_name else ""
    if address and note.author_name.endswith(">"):  # somebody whom nobody knows; until he is let in it is the owner's
        is_his = note.author_name.lower().endswith(f"<{note.author}>")
        address = "" if is_his else f", for {in_a_line(note.author, 100)}"
    head = f"note {note.number}: {in_a_line(note.kind, 40)}, {_time(note.at)}, {who}{address}"
    return [
        head if note.is_public else f"{head}, not for the requester",
        *(f"  {line}" for line in note.text.split("\n")),
        *(
            f"  attachment {next(numbers)}: {in_a_line(each.name, 100) or '-'}, {in_a_line(each.content_type, 60)}, "
            f"{each.size_octets} octets"
            for each in note.attachments
        ),
    ]


def _entry_line(entry: Entry) -> str:
    failed = f", FAILED {in_a_line(entry.failed, 20)}" if entry.failed else ""
    about = f"{entry.state.value} ({entry.reason}){failed}, {entry.direction}, by {entry.mailbox}"
    return f"  {_time(entry.at)}  {in_a_line(entry.message_id, 200) or '-'}  {about}"


def _task_line(task: Task) -> str:
    why = f", {task.reason}: {in_a_line(task.detail, 200)}" if task.reason else ""
    due = f", due {_time(task.due_at)}" if task.state is TaskState.WAITING and task.due_at else ""
    tries = f"{task.attempts} tr{'y' if task.attempts == 1 else 'ies'}"
    return f"  {task.number}  {task.kind.value} to {in_a_line(task.target, 100)}: {task.state.value}{due}, {tries}{why}"


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


# --- pending ---------------------------------------------------------------------------------------------------------


def run_pending(arguments: argparse.Namespace) -> int:
    async def use(store: TrackingStore) -> int:
        found = await store.entries(arguments.organisation, states=[EntryState.PENDING], limit=_TOLD)
        names = _named_once(found)
        if arguments.json:
            print_json([{**entry_to_json(entry), "entry": names[entry.key]} for entry in found])
            return ExitCode.OK
        if found:
            now = datetime.now(UTC)
            headings = ("RECORD", "AGE", "SENDER", "WHY", "MAILBOX", "ENTRY")
            print_table(headings, [_pending_row(each, names[each.key], now) for each in found])
        print(f"{len(found)} wait{'s' if len(found) == 1 else ''} for `stampline records accept|decline ENTRY`")
        return ExitCode.OK

    return with_store(read_configuration(arguments), use)


def _named_once(entries: Sequence[Entry]) -> Mapping[str, str]:
    """By their keys what names them: the Message-ID, unless several have it, as anybody can use one again."""
    uses = Counter((entry.organisation, entry.message_id) for entry in entries)
    return {
        entry.key: entry.message_id
        if uses[entry.organisation, entry.message_id] == 1 and entry.message_id
        else entry.key
        for entry in entries
    }


def _pending_row(entry: Entry, name: str, now: datetime) -> list[str]:
    age = short_age((now - entry.at).total_seconds())
    who, why = _in_a_cell(entry.sender), _in_a_cell(entry.reason)
    return [str(entry.transaction or "-"), age, who, why, entry.mailbox, in_a_line(name, 2000)]


# --- as JSON ---------------------------------------------------------------------------------------------------------


def record_to_json(record: Record) -> dict[str, Any]:
    """One record as JSON values."""
    return {
        "record": str(record.transaction),
        "organisation": record.transaction.organisation,
        "module": record.transaction.module,
        "number": record.transaction.number,
        "state": record.state,
        "is_deleted": record.is_deleted,
        "title": record.title,
        "requester": record.requester,
        "owner": record.owner,
        "source": record.source,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "closed_at": record.closed_at.isoformat() if record.closed_at else None,
        "fields": dict(record.fields),
        "notes": record.notes,
    }


def note_to_json(note: Note) -> dict[str, Any]:
    """One note as JSON values."""
    return {
        "number": note.number,
        "kind": note.kind,
        "author": note.author,
        "author_name": note.author_name,
        "at": note.at.isoformat(),
        "message_id": note.message_id,
        "is_public": note.is_public,
        "text": note.text,
        "attachments": [asdict(each) for each in note.attachments],
    }


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """What became of one message, as JSON values."""
    return {
        "entry": entry.message_id or entry.key,
        "message_id": entry.message_id,
        "organisation": entry.organisation,
        "record": str(entry.transaction) if entry.transaction else None,
        "mailbox": entry.mailbox,
        "state": entry.state.value,
        "reason": entry.reason,
        "sender": entry.sender,
        "direction": entry.direction,
        "failed": entry.failed,
        "at": entry.at.isoformat(),
    }


def _shown_to_json(shown: Shown) -> dict[str, Any]:
    return {
        "transaction": str(shown.transaction),
        "organisation": shown.transaction.organisation,
        "record": None if shown.record is None else record_to_json(shown.record),
        "participants": list(shown.participants),
        "notes": [note_to_json(note) for note in shown.notes],
        "messages": [entry_to_json(entry) for entry in shown.entries],
        "tasks": [_task_to_json(task) for task in shown.tasks],
    }


def _task_to_json(task: Task) -> dict[str, Any]:
    return {
        "number": task.number,
        "kind": task.kind.value,
        "target": task.target,
        "state": task.state.value,
        "attempts": task.attempts,
        "reason": task.reason,
        "detail": task.detail,
        "created_at": task.created_at.isoformat(),
        "due_at": task.due_at.isoformat() if task.due_at else None,
    }
