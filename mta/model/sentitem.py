"""Jobs in mailboxes: what they are to put where, how they stand, and what is remembered of mailboxes and servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from hashlib import sha256

from mta.model.delivery import Body, StoredVariant
from mta.model.writeback import FiledMark


def job_id(mailbox: str, message_id: str, date: datetime | None) -> str:
    """The name of the one job for these three: 32 hexadecimal digits, the same wherever it is made again."""
    moment = "" if date is None else str(int(date.timestamp()))
    return sha256("\0".join((mailbox, message_id, moment)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class JobKind(Enum):
    """What a job does in its mailbox."""

    COPY = "copy"
    """Puts into Sent Items what was really sent."""
    MARK = "mark"
    """Marks the copies of a filed message."""


class JobState(Enum):
    """Of a job."""

    WAITING = "waiting"
    """To be worked on when due."""
    DONE = "done"
    SKIPPED = "skipped"
    """Nothing is to be done, for a reason: a guard, the scope, an administrator."""
    GIVEN_UP = "given-up"
    """It could not be done; the original is as it was."""

    @property
    def is_final(self) -> bool:
        return self is not JobState.WAITING


@dataclass(frozen=True, slots=True)
class JobCopy:
    """One of the copies that a job may put into Sent Items."""

    queue_id: str
    group: int
    sent_at: datetime
    """When it was settled, so the order of the copies."""
    external: bool
    recipients: int
    body: Body
    """The message as it was received. Without octets in lists, and in copies that the job needs no more: those that it
    had when it was done or skipped."""
    variant: StoredVariant
    """The edits that make it what was sent: content, and on top mark, trace and signature."""

    @property
    def key(self) -> str:
        """Names the copy within its job; short, ASCII without spaces."""
        return f"{self.queue_id}.{self.group}"


@dataclass(frozen=True, slots=True)
class SentItemJob:
    """The durable intent to replace one sent item by what was really sent, or to mark the copies of a filed message."""

    id: str
    mailbox: str
    """Address key, as the message named it; not always the mailbox's primary address."""
    organisation: str
    message_id: str
    """With its angle brackets."""
    date: datetime | None
    state: JobState
    created_at: datetime
    due_at: datetime | None
    """When it is tried next; leased: when the lease runs out; None for one that has ended."""
    attempts: int = 0
    """Of the kind that `reason` names: it begins anew when the reason is another one."""
    reason: str = ""
    """Why it waits, or how it ended: one of a fixed set of words, e.g. `not-found`, `edited`, `server-busy`."""
    detail: str = ""
    """What the server said, on one line; no content of the message."""
    endpoint: str = ""
    """Name of the mailbox server, once it is known."""
    placed: str = ""
    """Keys of the copies that it has put into the mailbox, separated by spaces."""
    copies: tuple[JobCopy, ...] = ()
    """In the order in which they were sent."""
    is_leased: bool = False
    is_id_ours: bool = False
    """The message came without a Message-ID and got this one from us, so the sender's own item has another."""
    mark: FiledMark | None = None
    """What the message's copies are to be marked with; such a job has no copies to put there itself."""

    @property
    def kind(self) -> JobKind:
        return JobKind.COPY if self.mark is None else JobKind.MARK


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of one attempt at a leased job; one transaction, with what is remembered of mailbox and endpoint."""

    job: SentItemJob
    """As it was leased: where a copy was added since, an end is no end, and it is due again."""
    state: JobState
    reason: str = ""
    detail: str = ""
    due_at: datetime | None = None
    """When it is tried again, for one that waits."""
    endpoint: str = ""
    placed: str = ""
    """Of both, "" leaves what is known."""
    mailbox_notes: MailboxNotes | None = None
    endpoint_notes: EndpointNotes | None = None


@dataclass(frozen=True, slots=True)
class MailboxNotes:
    """What is remembered of a mailbox over restarts."""

    mailbox: str
    """Address key as in jobs."""
    primary: str = ""
    """Its primary address, where the server told."""
    endpoint: str = ""
    resolved_at: datetime | None = None
    missing_in_a_row: int = 0
    """Messages in a row whose item was not found: printers and programs keep none."""
    seldom_until: datetime | None = None
    """As it keeps none: until then each message is looked for once only."""
    absent_until: datetime | None = None
    """There is no such mailbox; nobody asks again before."""
    denied_since: datetime | None = None
    """We may not act for it; told of once."""
    resume_at: datetime | None = None
    """It is left alone until then: being moved, throttled, over its quota."""


@dataclass(frozen=True, slots=True)
class EndpointNotes:
    """What is remembered of a mailbox server over restarts."""

    name: str
    resume_at: datetime | None = None
    """It is left alone until then."""
    is_stopped: bool = False
    """Until an administrator resumes it, or its configuration changes: sign-in or certificate."""
    reason: str = ""
    detail: str = ""
    failures: int = 0
    """Of this reason, in a row."""
    connections: int | None = None
    """How many it stood last, where that is less than configured."""
    settings: str = ""
    """A digest of the configuration under which it was stopped."""


class Switch(Enum):
    """What administrators have ordered for the whole of Sent Items; kept by the store."""

    ON = "on"
    PAUSED = "paused"
    """Jobs are made and wait."""
    OFF = "off"
    """No jobs are made, and those there are wait."""


@dataclass(frozen=True, slots=True)
class SentItemsLook:
    """How Sent Items stand, for who watches."""

    switch: Switch
    switched_at: datetime | None
    """When it was paused or switched off; None while it is on."""
    late: int
    """Jobs that wait for a server or the directory for longer than they should."""
    oldest_at: datetime | None
    """When the first of these was made."""
    stopped: tuple[EndpointNotes, ...]
    """Servers that wait for an administrator."""
    denied: tuple[MailboxNotes, ...]
    """Mailboxes that we may not act for, those of whom it is known longest first; at most as many as asked for."""
    denied_in_all: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs an administrator means; empty fields match all. `*` in texts stands for anything, case is nothing."""

    id: str = ""
    """Whole, or its beginning."""
    mailbox: str = ""
    message_id: str = ""
    queue_id: str = ""
    """One of whose copies came from this message."""
    endpoint: str = ""
    organisation: str = ""
    state: JobState | None = None
    reason: str = ""
    kind: JobKind | None = None
    older_than_s: float | None = None
    younger_than_s: float | None = None
