"""Records: what transactions are about, and how they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mta.model.transaction import Transaction

MONITOR_SOURCE = "System - Email Monitor"
"""Source of the records that tell of a mailbox which can't be read."""


@dataclass(frozen=True, slots=True)
class RecordAttachment:
    """A file of a note."""

    name: str
    content_type: str
    size_octets: int
    sha256: str
    """Hexadecimal; the store keeps the octets once for each."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was said about a record."""

    number: int
    """From 1 upwards in each record."""
    author: str
    """Address key of the person, or of the record's owner where the person isn't known; "" is the system."""
    author_name: str
    kind: str
    """`received`, `sent`, `system`; or whatever a rule says."""
    text: str
    """Plain text, LF line ends."""
    at: datetime
    message_id: str = ""
    is_public: bool = True
    """Whether the requester may see it."""
    attachments: tuple[RecordAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it stands."""

    transaction: Transaction
    state: str
    """`open`, `closed`, or any other word that rules use."""
    title: str
    requester: str
    """Address key of the person it is about."""
    owner: str
    """Address key; "" for nobody."""
    source: str
    """The mailbox's name, or MONITOR_SOURCE, or what a rule says."""
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Names are lower case letters, digits, `_` and `-`."""
    notes: int = 0
    """How many there are."""
    is_deleted: bool = False
    """Deleted by a rule; its row stays until it is purged."""


@dataclass(frozen=True, slots=True)
class Change:
    """Base of what a business rule does to one record; carried out in order, in one transaction of the store."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class CreateRecord(Change):
    """A record that is there already stays as it is."""

    state: str
    title: str
    requester: str
    owner: str
    source: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpdateRecord(Change):
    """None and missing fields leave what is there. A state `closed` sets `closed_at`, any other takes it away."""

    state: str | None = None
    title: str | None = None
    owner: str | None = None
    requester: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeleteRecord(Change):
    pass


@dataclass(frozen=True, slots=True)
class NewAttachment:
    name: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddNote(Change):
    author: str
    author_name: str
    kind: str
    text: str
    message_id: str = ""
    is_public: bool = True
    attachments: tuple[NewAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteRule(Change):
    """That a time-triggered rule was carried out for the record as it stands: not again until it changes."""

    rule: str


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are meant; empty fields match all. `*` in texts stands for anything, case is nothing."""

    organisation: str = ""
    module: str = ""
    number: int | None = None
    state: str = ""
    requester: str = ""
    owner: str = ""
    source: str = ""
    title: str = ""
    older_than_s: float | None = None
    """Since it was created."""
    unchanged_for_s: float | None = None
    with_deleted: bool = False
