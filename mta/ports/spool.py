"""The durable queue. Each call is one transaction; when it returns, it is on disk and synced.

States of a delivery (the recipients of one message for one next hop): queued and leased, queued and due at some time,
held; gone once all its recipients are final. A message goes, with its body, when its last delivery goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mta.model.address import Address
from mta.model.delivery import Accepted, AcceptedMessage, Body, LeasedDelivery, Settlement
from mta.model.queue import Breakdown, Draining, FrozenHop, QueueCount, QueueEntry, QueueFilter, SummaryRow
from mta.model.reply import STORAGE_FULL, TemporaryError
from mta.model.transaction import Opening, Transaction


class SpoolFullError(TemporaryError):
    """No room left: 452 4.3.1."""

    def __init__(self) -> None:
        super().__init__(STORAGE_FULL)


class LeaseLostError(Exception):
    """The lease ran out and another worker has the delivery; nothing was written."""


Tell = Callable[[Sequence[str]], None]
"""Called after each transaction of an administrator's work, with the queue ids of the messages that it changed."""
NewHop = Callable[[Address], str]
"""The next hop of a recipient; one that delivers by domain has a name for each."""


class Spool(Protocol):
    @property
    def is_usable(self) -> bool:
        """Whether the store takes and gives mail; False while it can't be trusted, or its disk does not answer."""
        ...

    async def accept(self, message: AcceptedMessage) -> Accepted:
        """Store a message and, of what it spawned, what gets all its claims, together or not at all.

        Of messages that claim the same, as many get it as its limit allows, whichever workers take them and when.
        Without `due_at` the caller holds the lease of all its queued deliveries. Raises SpoolFullError, TemporaryError.
        """
        ...

    async def open_transaction(self, opening: Opening) -> Transaction:
        """The tracked conversation of a message; see `TrackingStore.open_transaction`. Raises TemporaryError."""
        ...

    async def transaction(self, organisation: str, module: str, number: int) -> Transaction | None:
        """The one that this number names now; see `Conversations.transaction`. Raises TemporaryError."""
        ...

    async def participants(self, transaction: Transaction) -> frozenset[str]:
        """Address keys of those who take part in it; see `Conversations.participants`. Raises TemporaryError."""
        ...

    async def transactions_of(self, organisation: str, message_ids: Collection[str]) -> Mapping[str, Transaction]:
        """By Message-ID, those that are known; see `Conversations.transactions_of`. Raises TemporaryError."""
        ...

    async def claimed(self, keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that somebody has claimed, and whose time isn't over. Raises TemporaryError."""
        ...

    async def lease_due(
        self, now: datetime, *, limit: int, blocked: Collection[str] = (), per_next_hop: int = 50
    ) -> Sequence[LeasedDelivery]:
        """Take due deliveries, oldest due first, at most `per_next_hop` for each next hop so that none starves another.

        Where more is due for one next hop than is taken, its senders take turns.
        `blocked` next hops are passed over, and frozen ones. A delivery whose lease ran out is due. So is one whose
        hold ran out, its recipients still HELD: to be given up, not delivered. Bodies come along, large ones as paths.
        Of one message's deliveries for one next hop, at most one is leased at a time.
        """
        ...

    async def lease_overdue(
        self, next_hop: str, now: datetime, *, late_since: datetime, expired_since: datetime, limit: int
    ) -> Sequence[LeasedDelivery]:
        """Take due deliveries that somebody has to be told of, though their next hop is left alone.

        Those of messages accepted up to `expired_since`, and up to `late_since` where the sender was not warned yet.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Commit what became of a leased delivery. Raises LeaseLostError if this worker has lost its lease.

        Recipients that stay without a `due_at` are due at once. Of `variants`, those are kept that the ones who stay
        get or a Sent Items job will need, and what an earlier settlement stored stays as it is. Copies in `sent` make
        jobs (see ports/sentitem_jobs), or join those of the same mailbox, Message-ID and Date; where room is getting
        short, they are left out, and the log tells of it.
        """
        ...

    async def give_back(self, queue_id: str, next_hop: str, due_at: datetime) -> None:
        """End a lease without a result (shutting down, too much in memory); attempts are not counted."""
        ...

    async def renew(self) -> None:
        """Prolong all leases of this worker."""
        ...

    async def read_body(self, queue_id: str) -> Body:
        """The received bytes. Raises KeyError if the message is gone, TemporaryError if they can't be read."""
        ...

    def spill_path(self) -> Path:
        """A fresh path in the spool for a large body while it is received.

        `accept` takes the file over: it stays at that path while the message is queued, and is removed if `accept`
        raises a MailError.
        """
        ...

    def has_room(self, size_octets: int) -> bool:
        """Whether a message of that size fits above the reserve. Cheap enough for every MAIL FROM.

        Raises TemporaryError while the store can't be used at all.
        """
        ...

    # Below: for administrators.

    async def entries(self, which: QueueFilter, *, limit: int = 1000) -> Sequence[QueueEntry]:
        """The messages of which a delivery matches, oldest first, each whole."""
        ...

    async def count(self, which: QueueFilter) -> QueueCount:
        """How much matches."""
        ...

    async def summary(self, which: QueueFilter, by: Breakdown) -> Sequence[SummaryRow]:
        """What matches, in rows; the one with the most recipients first."""
        ...

    async def load(self, queue_id: str) -> LeasedDelivery | None:
        """One message with its decision and recipients, not leased."""
        ...

    async def retry_now(self, which: QueueFilter, tell: Tell | None = None) -> int:
        """Make queued deliveries due, each as a whole; return how many.

        Here and below, leased deliveries are left alone, and the work is done in transactions of bounded size. Below, a
        filter's recipient or reply means those recipients alone, not those beside them in a delivery.
        """
        ...

    async def hold(self, which: QueueFilter, until: datetime | None = None, tell: Tell | None = None) -> int:
        """Hold queued deliveries; return how many."""
        ...

    async def release(self, which: QueueFilter, tell: Tell | None = None) -> int:
        """Release held deliveries, due now; return how many."""
        ...

    async def reroute(self, which: QueueFilter, next_hop: NewHop, tell: Tell | None = None) -> int:
        """Send by another next hop; return how many deliveries. Held ones stay held, others are due, as at the start.

        What a rule sends over verified TLS only stays so. What goes that way already is left alone.
        """
        ...

    async def delete(self, which: QueueFilter, tell: Tell | None = None) -> int:
        """Take deliveries out of the queue without a DSN; return how many."""
        ...

    async def lease(self, which: QueueFilter, *, limit: int) -> Sequence[LeasedDelivery]:
        """Take deliveries as an administrator, due or not, held or not, to settle them; oldest messages first.

        Of one message's deliveries for one next hop, one at a time; so ask until none is left.
        """
        ...

    async def freeze(self, hop: FrozenHop) -> bool:
        """Have every worker leave a next hop alone from now on; False where it is frozen already."""
        ...

    async def thaw(self, next_hop: str) -> bool:
        """End that; False where it was not frozen."""
        ...

    async def frozen(self) -> Sequence[FrozenHop]:
        """What is frozen, by name. One cheap read, as `draining`: workers ask often."""
        ...

    async def drain(self, order: Draining) -> bool:
        """Have this node take no mail from now on, also over a restart; False where it takes none already."""
        ...

    async def undrain(self) -> bool:
        """End that; False where it takes mail."""
        ...

    async def draining(self) -> Draining | None:
        """The order to take no mail, while it stands."""
        ...

    async def makes_sent_items(self) -> bool:
        """Whether settlements are to make Sent Items jobs: unless their switch is off."""
        ...

    async def close(self) -> None:
        """Commit what waits, and end the writer."""
        ...


LEASE = timedelta(minutes=10)
