"""A message in the queue, and what became of each recipient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from mta.model.address import Address
from mta.model.decision import Decision
from mta.model.envelope import Client, Envelope
from mta.model.reply import Reply

VERIFIED_TLS = "+tls"
"""Behind a next hop's name: the same next hop, but over TLS with a verified certificate only."""

OF_DOMAIN = "/"
"""Between a next hop's name and a recipient's domain key, where it delivers by that domain's MX: `direct/example.net`.

Each such domain is a next hop of its own in the queue: with its own connections, circuit and turn. VERIFIED_TLS stands
behind the domain.
"""


class Misfit(Enum):
    """What about a copy a next hop can't take, so that another form of it may be tried at once."""

    SIZE = "size"
    """Over its SIZE, as offered or as refused with 552 5.3.4."""
    EIGHT_BIT = "8bit"
    """It does not offer 8BITMIME, and the content is not 7-bit."""
    UTF8_HEADER = "utf8-header"
    """It does not offer SMTPUTF8, and the header holds UTF-8; the addresses would do without."""
    LONG_LINE = "long-line"
    """It said that a line of the body is too long. Transports don't say so: the words of a refusal do."""


class State(Enum):
    """Of one recipient in the queue."""

    QUEUED = "queued"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: a DSN was queued where one is due."""
    DROPPED = "dropped"
    """A rule said `drop`, or an administrator deleted it."""

    @property
    def is_final(self) -> bool:
        return self in (State.DELIVERED, State.FAILED, State.DROPPED)


@dataclass(frozen=True, slots=True)
class Body:
    """A message's received bytes (CRLF line ends, not dot-stuffed): in memory, or in a file for large ones."""

    data: bytes | None
    path: Path | None
    size_octets: int

    @classmethod
    def of(cls, data: bytes) -> Body:
        return cls(data, None, len(data))


@dataclass(frozen=True, slots=True)
class RecipientEntry:
    """One recipient's row in the queue."""

    index: int
    """Position in the decision's recipients."""
    address: Address
    group: int
    next_hop: str
    state: State = State.QUEUED
    last_reply: str = ""


@dataclass(frozen=True, slots=True)
class OnceKey:
    """A claim on doing something at most `limit` times within any `period`; kept by the store, so it survives restarts.

    `limit` is 1 to 1000. The same key is claimed with the same limit always.
    """

    key: str
    limit: int = 1
    period: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """All that is committed before the 250."""

    queue_id: str
    accepted_at: datetime
    envelope: Envelope
    client: Client | None
    """None for messages that we made ourselves (DSNs, notices)."""
    body: Body
    decision: Decision
    recipients: tuple[RecipientEntry, ...]
    message_id: str = ""
    """Message-ID with its angle brackets, as the header has it."""
    trace: bytes = b""
    """Header lines that stand on top of every copy (Received, added Message-ID or Date, own mark); CRLF-terminated."""
    snapshot: str = ""
    """Name of the configuration snapshot that decided."""
    claims: tuple[OnceKey, ...] = ()
    """What is claimed with the message; it is stored whether or not it gets them, `Spool.accept` says which it got."""
    due_at: datetime | None = None
    """None: the accepting worker delivers at once and holds the lease."""
    spawned: tuple[Spawned, ...] = ()
    """Messages that follow from this one, queued in the same transaction: archive copies, notices, auto-responses."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A message that is queued with another one, if all its claims succeed; else none of them is taken."""

    message: AcceptedMessage
    """With a `due_at`. Its body may be the very file of the message that it follows from."""
    claims: tuple[OnceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of what a message claimed and spawned."""

    claimed: frozenset[str] = frozenset()
    """Of its own claims, the keys that it got."""
    spawned: frozenset[str] = frozenset()
    """Queue ids of what it spawned and is queued now; the rest had been done before."""


@dataclass(frozen=True, slots=True)
class StoredVariant:
    """The bytes of one group's copy as edits over the received bytes: (start, end, replacement) in rising order."""

    group: int
    edits: tuple[tuple[int, int, bytes], ...]
    is_changed: bool = False
    """Rules have changed its content: the sender's own copy differs from it."""


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """Work taken from the queue: the due recipients of one message for one next hop."""

    message: AcceptedMessage
    next_hop: str
    recipients: tuple[RecipientEntry, ...]
    attempts: int
    """Attempts made so far for this next hop."""
    variants: tuple[StoredVariant, ...] = ()
    """Variants stored by an earlier settle; empty: stamping has to run from the decision."""
    is_warned: bool = False
    """Its sender has been told that it is late."""


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """The outcome of one attempt for one recipient."""

    index: int
    address: Address
    reply: Reply
    """2yz delivered, 4yz deferred, 5yz failed. Ours or the remote's."""
    remote: str = ""
    """Remote MTA as name[ip]:port, "" if none was reached."""
    remote_reply: str = ""
    """The remote's own words, on one line."""
    tls: str = ""
    """Protocol and cipher towards the remote, e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" in clear text."""
    misfit: Misfit | None = None
    """Why this form of the copy can't go there; the reply is permanent then."""
    takes_dsn: bool = False
    """The remote offers DSN, so it was told what the sender asked for, and reports from here on (RFC 3461 §5.2)."""
    in_mailbox: bool = False
    """Delivered by ourselves into the recipient's mailbox, not handed on."""


@dataclass(frozen=True, slots=True)
class SentCopy:
    """A stamped copy that went out; committed with the settlement that says so, as jobs for its sender's mailboxes."""

    mailboxes: tuple[str, ...]
    """Address keys of our own: of From, and of Sender where that is another (a delegate has a copy, too)."""
    organisation: str
    message_id: str
    """With its angle brackets."""
    date: datetime | None
    """The Date field, whole seconds; None where it can't be read."""
    group: int
    """The variant, among those that the settlement or an earlier one stores."""
    external: bool
    """Whether somebody outside got it."""
    recipients: int
    sent_at: datetime
    due_at: datetime
    """When its job is to be worked on, if it is the job's first."""
    is_id_ours: bool = False
    """The message came without a Message-ID and got one from us, so the sender's own copy has another."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one attempt; committed as one transaction, together with what follows from it."""

    queue_id: str
    next_hop: str
    results: Sequence[RecipientResult]
    """Results whose state becomes final or whose last reply changes."""
    final: dict[int, State] = field(default_factory=dict)
    """Recipient index → final state; recipients not named here stay queued."""
    due_at: datetime | None = None
    """When the rest of this delivery is due again; needed where recipients stay queued."""
    variants: tuple[StoredVariant, ...] = ()
    spawned: tuple[AcceptedMessage, ...] = ()
    """Messages that follow from this (DSNs), queued in the same transaction."""
    warned: bool = False
    """The sender is told that what stays queued is late; once for each delivery."""
    sent: tuple[SentCopy, ...] = ()
    """Copies of this settlement that are to stand in their sender's Sent Items; their variants are among `variants`, or
    were stored by an earlier settlement."""
    copies: tuple[Spawned, ...] = ()
    """Copies for processing mailboxes, queued in the same transaction if all their claims succeed: once for an
    original, whichever of its recipients, siblings or attempts comes first."""
