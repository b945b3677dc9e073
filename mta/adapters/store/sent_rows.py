"""Sent Items jobs as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mta.adapters.store.rows import microseconds, moment, storable, unpack_edits
from mta.model.delivery import Body, SentCopy
from mta.model.sentitem import EndpointNotes, JobCopy, JobState, MailboxNotes, SentItemJob, job_id
from mta.model.writeback import FiledMark, NewMark

NO_BODY = Body.of(b"")
UNDECODABLE = (ValueError, OverflowError, KeyError, TypeError)
"""Rows that a damage or another hand has left: times, edits and marks that are none."""


@dataclass(frozen=True, slots=True)
class CopyRows:
    """A copy that went out, as its settlement writes it; made on the caller's side."""

    group: int
    jobs: tuple[tuple[object, ...], ...]
    """Of each mailbox: a row of `make_jobs`."""
    copy: tuple[int, int, int]
    """sent_at, external, recipients."""

    @property
    def job_ids(self) -> list[str]:
        return [str(job[0]) for job in self.jobs]


def copy_rows(sent: Iterable[SentCopy]) -> tuple[CopyRows, ...]:
    """The jobs that copies make or join."""
    return tuple(
        CopyRows(
            copy.group,
            tuple(_job_row(mailbox, copy) for mailbox in map(storable, copy.mailboxes)),
            (microseconds(copy.sent_at), int(copy.external), copy.recipients),
        )
        for copy in sent
    )


def _job_row(mailbox: str, copy: SentCopy) -> tuple[object, ...]:
    message_id = storable(copy.message_id)
    return (
        job_id(mailbox, message_id, copy.date),
        mailbox,
        copy.organisation,
        message_id,
        None if copy.date is None else int(copy.date.timestamp()),
        int(copy.is_id_ours),
        microseconds(copy.sent_at),
        microseconds(copy.due_at),
    )


def as_json(mark: FiledMark | None) -> object:
    """Plain JSON values; None for a job for Sent Items."""
    return None if mark is None else mark.to_json()


def mark_row(new: NewMark) -> tuple[object, ...]:
    """A row of `make_marks`."""
    mark = storable(json.dumps(new.mark.to_json(), sort_keys=True))
    return (
        new.id, storable(new.mailbox), new.organisation, storable(new.message_id), microseconds(new.at),
        microseconds(new.due_at), mark,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CopyBytes:
    """What copies consist of, by the message's number."""

    bodies: Mapping[int, Body]
    edits: Mapping[tuple[int, int], tuple[bytes, bool]]
    """By number and group: packed, and whether they change what is read."""


NO_BYTES = CopyBytes({}, {})


def copy_bytes(bodies: Sequence[Sequence[Any]], edits: Sequence[Sequence[Any]], folder: Path) -> CopyBytes:
    """From rows of `load_copy_bodies` and `load_copy_edits`; `folder` is where body files are."""
    return CopyBytes(
        {number: Body(data, None if file is None else folder / file, size) for number, size, file, data in bodies},
        {(message, group): (packed, bool(is_changed)) for message, group, packed, is_changed in edits},
    )


def sent_item_job(row: Sequence[Any], copies: Sequence[Sequence[Any]], octets: CopyBytes) -> SentItemJob:
    """From a row of `load_jobs` and its rows of `load_copies`. Raises UNDECODABLE."""
    (_, name, mailbox, organisation, message_id, date, is_id_ours, state, created_at, due_at, attempts, reason, detail,
     endpoint, placed, is_leased, mark) = row  # fmt: skip
    return SentItemJob(
        id=name,
        mailbox=mailbox,
        organisation=organisation,
        message_id=message_id,
        date=None if date is None else datetime.fromtimestamp(date, UTC),
        state=JobState(state),
        created_at=moment(created_at),
        due_at=_moment(due_at),
        attempts=attempts,
        reason=reason,
        detail=detail,
        endpoint=endpoint,
        placed=placed,
        copies=tuple(_job_copy(copy, octets) for copy in copies),
        is_leased=bool(is_leased),
        is_id_ours=bool(is_id_ours),
        mark=None if mark is None else FiledMark.from_json(json.loads(mark)),
    )


def _job_copy(row: Sequence[Any], octets: CopyBytes) -> JobCopy:
    _, queue_id, group, sent_at, external, recipients, message = row
    packed, is_changed = octets.edits.get((message, group), (b"", False))
    return JobCopy(
        queue_id,
        group,
        moment(sent_at),
        bool(external),
        recipients,
        octets.bodies.get(message, NO_BODY),
        unpack_edits(group, packed, is_changed=is_changed),
    )


def mailbox_row(notes: MailboxNotes) -> tuple[object, ...]:
    """For `note_mailbox`."""
    return (
        notes.mailbox,
        storable(notes.primary),
        notes.endpoint,
        _microseconds(notes.resolved_at),
        notes.missing_in_a_row,
        _microseconds(notes.seldom_until),
        _microseconds(notes.absent_until),
        _microseconds(notes.denied_since),
        _microseconds(notes.resume_at),
    )


def mailbox_notes(row: Sequence[Any]) -> MailboxNotes:
    """The reverse."""
    mailbox, primary, endpoint, resolved_at, missing, *moments = row
    return MailboxNotes(mailbox, primary, endpoint, _moment(resolved_at), missing, *map(_moment, moments))


def endpoint_row(notes: EndpointNotes) -> tuple[object, ...]:
    """For `note_endpoint`."""
    return (
        notes.name,
        _microseconds(notes.resume_at),
        int(notes.is_stopped),
        notes.reason,
        storable(notes.detail),
        notes.failures,
        notes.connections,
        notes.settings,
    )


def endpoint_notes(row: Sequence[Any]) -> EndpointNotes:
    """The reverse."""
    name, resume_at, is_stopped, *rest = row
    return EndpointNotes(name, _moment(resume_at), bool(is_stopped), *rest)


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)
