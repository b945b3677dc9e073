"""What the tracking process keeps: messages that it took, tasks that follow from them, how mailboxes stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from mta.model.record import Change
from mta.model.transaction import Transaction


class EntryState(Enum):
    """What became of a message that the tracking process took."""

    JOINED = "joined"
    """It belongs to a transaction."""
    PENDING = "pending"
    """It carries a valid reference, but its sender does not take part: the record's owner decides."""
    FILTERED = "filtered"
    """Left out by a filter."""
    LOOP = "loop"
    """A notice of our own that came back."""
    UNMATCHED = "unmatched"
    """No transaction, and no rule opened one."""
    REPORT = "report"
    """A bounce or receipt; the entry it is about says so."""
    SET_ASIDE = "set-aside"
    """It could not be processed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that was taken, once for each `key`."""

    key: str
    """Names the message within the organisation, whichever mailbox it came by: of its Message-ID, without one of its
    content. See `mta.tracking.incoming`."""
    organisation: str
    mailbox: str
    """Name of the monitored mailbox that it was first taken from."""
    message_id: str
    content_hash: str
    """SHA-256 of the content, hexadecimal."""
    state: EntryState
    reason: str
    """Why: one of a fixed set of words, e.g. `signed-reference`, `stranger`, `preset-sender`."""
    at: datetime
    sender: str
    """Address key of From; "" for none."""
    direction: str
    """`received` or `sent`."""
    transaction: Transaction | None = None
    failed: str = ""
    """For what was sent: the enhanced status code of the bounce that came for it."""

    @property
    def is_settled(self) -> bool:
        """Not so what was left out, and is in no conversation: where it comes again, it is judged anew."""
        return self.state not in UNSETTLED or self.transaction is not None


UNSETTLED = frozenset({EntryState.FILTERED, EntryState.UNMATCHED})


@dataclass(frozen=True, slots=True)
class Awaiting:
    """An answer to what isn't known yet: kept, and taken once more when that has come."""

    message_ids: tuple[str, ...]
    """Its own, which others may name, and those that it answers."""
    data: bytes = field(repr=False)
    """As it was fetched."""


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """One of these, of which something has come."""

    organisation: str
    key: str
    """Of its entry."""
    mailbox: str
    data: bytes = field(repr=False)


class TaskKind(Enum):
    """Something to do elsewhere, after the store has committed."""

    CALL = "call"
    """A sink: webhook or plug-in, by its name."""
    NOTICE = "notice"
    """A mail, by an outgoing account's name."""
    WRITE_BACK = "write-back"
    """Category, link and columns into a mailbox, by the mailbox's address key."""


class TaskState(Enum):
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"
    """Tried for as long as is sensible, or refused for good; an administrator can replay it."""


@dataclass(frozen=True, slots=True)
class NewTask:
    key: str
    """Once for each key: the same message processed again makes no second one. It is the idempotency key of calls."""
    kind: TaskKind
    organisation: str
    target: str
    """Name of the sink or account, or a mailbox's address key."""
    payload: bytes = field(repr=False)
    """JSON of a call or write-back; of a notice the whole message, CRLF line ends."""
    due_at: datetime
    transaction: Transaction | None = None
    recipients: tuple[str, ...] = ()
    """Of a notice."""


@dataclass(frozen=True, slots=True)
class Task:
    """One that the store keeps."""

    number: int
    key: str
    kind: TaskKind
    organisation: str
    target: str
    payload: bytes = field(repr=False)
    """b"" in lists, and of those that are done."""
    state: TaskState
    created_at: datetime
    due_at: datetime | None
    attempts: int
    reason: str
    """Why it waits or died: one of a fixed set of words, e.g. `unreachable`, `status-500`, `refused`."""
    detail: str
    """What the other side said, on one line, without content."""
    transaction: Transaction | None = None
    recipients: tuple[str, ...] = ()
    begun_at: datetime | None = None
    """From when its age counts for giving it up: when it was made, or replayed last."""


@dataclass(frozen=True, slots=True)
class TaskTarget:
    """Where tasks go."""

    kind: TaskKind
    organisation: str
    target: str


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What became of one attempt."""

    number: int
    state: TaskState
    reason: str = ""
    detail: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Empty fields match all; `*` stands for anything."""

    number: int | None = None
    kind: TaskKind | None = None
    organisation: str = ""
    target: str = ""
    state: TaskState | None = None
    module: str = ""
    record: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetLook:
    """What went wrong with tasks for one target; of write-backs, for all mailboxes of an organisation."""

    at: TaskTarget
    dead: int
    late: int
    """That wait since the time asked for, or longer."""
    oldest_at: datetime | None
    """When the oldest late one was made, or replayed."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Everything that follows from one message, in one transaction of the store; idempotent by the entry's key."""

    entry: Entry
    participants: tuple[str, ...] = ()
    """Address keys that take part in the entry's transaction from now on."""
    known_ids: tuple[str, ...] = ()
    """Message-IDs that name the transaction from now on, beside the entry's own: of messages that it answers and that
    nobody has seen yet, so that siblings which overtook their original fold into one."""
    changes: tuple[Change, ...] = ()
    tasks: tuple[NewTask, ...] = ()
    bounced: Mapping[str, str] = field(default_factory=dict)
    """Message-ID of a sent entry → enhanced status code of the bounce that tells of it."""
    counted: tuple[str, ...] = ()
    """Address keys to which or from which this counts against the cap of a day."""
    is_quiet: bool = False
    """What programs wrote, and what is held, is no work: time-triggered rules don't begin anew by it."""
    awaiting: Awaiting | None = None


@dataclass(frozen=True, slots=True)
class MailboxNotes:
    """What is remembered of a monitored mailbox over restarts."""

    name: str
    paused_at: datetime | None = None
    paused_by: str = ""
    failures: int = 0
    """Polls in a row that could not sign in."""
    trouble: Transaction | None = None
    """The record that tells of it, while it lasts."""
    polled_at: datetime | None = None
    answered_at: datetime | None = None
    """The last poll that went well."""
    reason: str = ""
    """Of the last failure: the error's code."""
    detail: str = ""
    taken: int = 0
    """Messages taken in all."""
    set_aside: int = 0
    """Messages set aside in all."""
    resume_at: datetime | None = None
    """It is left alone until then, by the server's wish or for back-off."""
