"""Conversations, entries, records and tasks as rows, and back."""

from __future__ import annotations

import json
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from mta.adapters.store import rows
from mta.adapters.store.rows import microseconds, moment
from mta.adapters.store.statements import to_json
from mta.model.record import Note, Record, RecordAttachment
from mta.model.tracking import Entry, EntryState, MailboxNotes, Task, TaskKind, TaskState
from mta.model.transaction import Transaction

UNDECODABLE = (ValueError, OverflowError, TypeError)
"""Rows that a damage or another hand has left."""
MINUTE = 60_000_000


def storable(text: str) -> str:
    """As of messages, and without NUL, at which SQLite's functions end a text."""
    return rows.storable(text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text)


def fresh_nonce() -> str:
    """8 random characters (a-z, 2-7)."""
    return b32encode(token_bytes(5)).decode().lower()


@dataclass(frozen=True, slots=True)
class StoredOctets:
    """A content as it is to be kept; made on the caller's side, a file of it durable."""

    sha256: str
    size: int
    file: str | None
    """Below bodies/; None keeps it in the database."""
    data: bytes | None = field(repr=False)

    @classmethod
    def of(cls, data: bytes, file: str | None = None) -> StoredOctets:
        return cls(sha256(data).hexdigest(), len(data), file, data if file is None else None)


def transaction_of(row: Sequence[Any]) -> Transaction | None:
    """From organisation, module, number, nonce; None where there is none."""
    return None if row[0] is None else Transaction(*row)


def entry_row(entry: Entry, conversation: int | None) -> tuple[object, ...]:
    """For `add_entry`."""
    return (
        entry.organisation,
        storable(entry.key),
        entry.mailbox,
        storable(entry.message_id),
        entry.content_hash,
        entry.state.value,
        entry.reason,
        microseconds(entry.at),
        storable(entry.sender),
        entry.direction,
        conversation,
    )


def entry_of(row: Sequence[Any]) -> Entry:
    """From a row of `entries`. Raises UNDECODABLE."""
    _, key, organisation, mailbox, message_id, content_hash, state, reason, at, sender, direction, *named, failed = row
    return Entry(
        key, organisation, mailbox, message_id, content_hash, EntryState(state), reason, moment(at), sender, direction,
        transaction_of(named), failed or "",
    )  # fmt: skip


def fields_json(fields: Mapping[str, str]) -> str:
    """The column `record.fields`."""
    return to_json({storable(name): storable(value) for name, value in fields.items()})


def record_of(row: Sequence[Any]) -> Record:
    """From a row with `record_columns`. Raises UNDECODABLE."""
    (_, organisation, module, number, nonce, state, title, requester, owner, source, created_at, updated_at, closed_at,
     fields, notes, is_deleted) = row  # fmt: skip
    return Record(
        Transaction(organisation, module, number, nonce),
        state,
        title,
        requester,
        owner,
        source,
        moment(created_at),
        moment(updated_at),
        moment_or_none(closed_at),
        json.loads(fields),
        notes,
        bool(is_deleted),
    )


def note_of(row: Sequence[Any], attachments: Sequence[RecordAttachment]) -> Note:
    """From a row of `notes`. Raises UNDECODABLE."""
    _, _, number, author, author_name, kind, text, at, message_id, is_public = row
    return Note(
        number, author, author_name, kind, text, moment(at), message_id, bool(is_public), tuple(attachments)
    )  # fmt: skip


def task_of(row: Sequence[Any], payload: bytes = b"") -> Task:
    """From a row with `task_columns`. Raises UNDECODABLE."""
    (number, key, kind, organisation, target, state, created_at, begun_at, due_at, attempts, reason, detail, recipients,
     *named) = row  # fmt: skip
    return Task(
        number,
        key,
        TaskKind(kind),
        organisation,
        target,
        payload,
        TaskState(state),
        moment(created_at),
        moment_or_none(due_at),
        attempts,
        reason,
        detail,
        transaction_of(named),
        tuple(json.loads(recipients)),
        moment(begun_at),
    )


def mailbox_notes_of(row: Sequence[Any]) -> MailboxNotes:
    """From a row of `monitored_mailboxes`. Raises UNDECODABLE."""
    (name, paused_at, paused_by, failures, organisation, module, number, nonce, polled_at, answered_at, reason, detail,
     taken, set_aside, resume_at) = row  # fmt: skip
    return MailboxNotes(
        name,
        moment_or_none(paused_at),
        paused_by,
        failures,
        transaction_of((organisation, module, number, nonce)),
        moment_or_none(polled_at),
        moment_or_none(answered_at),
        reason,
        detail,
        taken,
        set_aside,
        moment_or_none(resume_at),
    )


def moment_or_none(value: int | None) -> datetime | None:
    """As `moment`."""
    return None if value is None else moment(value)


def microseconds_or_none(at: datetime | None) -> int | None:
    """As `microseconds`."""
    return None if at is None else microseconds(at)
