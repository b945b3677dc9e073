"""The queue as administrators see it and work it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from mta.model.delivery import OF_DOMAIN, VERIFIED_TLS, RecipientEntry, State


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which queue entries an administrator means; empty fields match all.

    Addresses match without regard to case, and `*` in them stands for anything.
    """

    queue_id: str = ""
    sender: str = ""
    """A reverse-path; `<>` is the null reverse-path."""
    recipient: str = ""
    next_hop: str = ""
    """With all that is queued behind its name: by domain, over verified TLS only."""
    state: State | None = None
    older_than_s: float | None = None
    younger_than_s: float | None = None
    larger_than: int | None = None
    """Octets, as the next one."""
    smaller_than: int | None = None
    message_id: str = ""
    """With its angle brackets; `*` stands for anything."""
    reply: str = ""
    """A part of a recipient's last reply, in any case."""
    accepted_by: datetime | None = None
    """Accepted by then: what came since somebody gave an order is not meant by it."""


@dataclass(frozen=True, slots=True)
class QueuedDelivery:
    """The open recipients of one message for one next hop."""

    next_hop: str
    state: State
    attempts: int
    due_at: datetime | None
    """When it is tried next; leased: when the lease runs out; held: when it is given up, or None."""
    leased_by: str
    """The worker that is delivering it: its slot, or `admin`; "" for none."""
    recipients: tuple[RecipientEntry, ...]


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One message as `queue list` shows it."""

    queue_id: str
    accepted_at: datetime
    size_octets: int
    reverse_path: str
    message_id: str
    recipients: tuple[RecipientEntry, ...]
    attempts: int
    due_at: datetime | None
    leased: bool
    deliveries: tuple[QueuedDelivery, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How much of the queue a filter matches."""

    messages: int = 0
    deliveries: int = 0
    recipients: int = 0
    octets: int = 0
    """Of the messages' bodies."""
    leased: int = 0
    """Deliveries that a worker has in hand at the moment."""


class Breakdown(Enum):
    """What a summary has a row for."""

    NEXT_HOP = "next-hop"
    DOMAIN = "domain"
    """Of the recipient."""
    SENDER = "sender"
    SENDER_DOMAIN = "sender-domain"
    STATE = "state"
    REPLY = "reply"
    """The enhanced status code, or the code, of the recipient's last reply."""


SUMMARY_AGES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 240, 720, 1440))
"""Upper ends of the ages that a summary tells apart; what is older has a column of its own."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What a summary says of one next hop, domain, sender …"""

    key: str
    recipients: int
    messages: int
    octets: int
    held: int
    """Recipients, as in `leased` and `ages`."""
    leased: int
    oldest_at: datetime
    """When the oldest of its messages was accepted."""
    ages: tuple[int, ...]
    """For each of SUMMARY_AGES, and for what is older."""


@dataclass(frozen=True, slots=True)
class FrozenHop:
    """A next hop that every worker leaves alone until it is thawed; mail for it is accepted and waits."""

    next_hop: str
    since: datetime
    by: str
    """Who said so."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Draining:
    """The order that this node takes no mail, and delivers what it has."""

    since: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LateMail:
    """Queued messages that wait for longer than they should."""

    messages: int
    oldest_at: datetime
    """When the oldest of them was accepted."""
    by_next_hop: tuple[tuple[str, int], ...]
    """Those next hops that most of them wait for, and how many."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What whoever watches the queue sees of it: what is late, and which orders stand."""

    late: LateMail | None
    frozen: tuple[FrozenHop, ...] = ()
    draining: Draining | None = None


def is_frozen(next_hop: str, frozen: Collection[str]) -> bool:
    """Whether a next hop of the queue is frozen: by its own name, or by that of the hop that it stands behind.

    Freezing `direct` freezes `direct/example.net` and `direct/example.net+tls`; freezing `direct/example.net` freezes
    that domain alone, with and without `+tls`.
    """
    name = next_hop.removesuffix(VERIFIED_TLS)
    return name in frozen or name.partition(OF_DOMAIN)[0] in frozen
