"""The durable queue. Each call is one transaction; when it returns, it is on disk and synced.

States of a delivery (the recipients of one message for one next hop): queued and leased, queued and due at some time,
held; gone once all its recipients are final. A message goes, with its body, when its last delivery goes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mta.model.delivery import Accepted, AcceptedMessage, Body, LeasedDelivery, Settlement
from mta.model.queue import QueueEntry, QueueFilter
from mta.model.reply import STORAGE_FULL, TemporaryError


class SpoolFullError(TemporaryError):
    """No room left: 452 4.3.1."""

    def __init__(self) -> None:
        super().__init__(STORAGE_FULL)


class LeaseLostError(Exception):
    """The lease ran out and another worker has the delivery; nothing was written."""


class Spool(Protocol):
    async def accept(self, message: AcceptedMessage) -> Accepted:
        """Store a message and, of what it spawned, what gets all its claims, together or not at all.

        Of messages that claim the same, as many get it as its limit allows, whichever workers take them and when.
        Without `due_at` the caller holds the lease of all its queued deliveries. Raises SpoolFullError, TemporaryError.
        """
        ...

    async def claimed(self, keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that somebody has claimed, and whose time isn't over. Raises TemporaryError."""
        ...

    async def lease_due(
        self, now: datetime, *, limit: int, blocked: Collection[str] = (), per_next_hop: int = 50
    ) -> Sequence[LeasedDelivery]:
        """Take due deliveries, oldest due first, at most `per_next_hop` for each next hop so that none starves another.

        `blocked` next hops are passed over. A delivery whose lease ran out is due. So is one whose hold ran out, its
        recipients still HELD: to be given up, not delivered. Bodies come along, large ones as paths. Of one message's
        deliveries for one next hop, at most one is leased at a time.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Commit what became of a leased delivery. Raises LeaseLostError if this worker has lost its lease.

        Recipients that stay without a `due_at` are due at once. Of `variants`, those are kept that the ones who stay
        get, and what an earlier settlement stored stays as it is.
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
        """Whether a message of that size fits above the reserve. Cheap enough for every MAIL FROM."""
        ...

    async def entries(self, which: QueueFilter, *, limit: int = 1000) -> Sequence[QueueEntry]:
        """For administrators: what is in the queue."""
        ...

    async def load(self, queue_id: str) -> LeasedDelivery | None:
        """For administrators: one message with its decision and recipients, not leased."""
        ...

    async def retry_now(self, which: QueueFilter) -> int:
        """Make queued deliveries due; return how many. Here and below, leased deliveries are left alone."""
        ...

    async def hold(self, which: QueueFilter, until: datetime | None = None) -> int:
        """Hold queued deliveries; return how many. A filter's recipient is held alone, not those beside them."""
        ...

    async def release(self, which: QueueFilter) -> int:
        """Release held deliveries, due now; return how many."""
        ...

    async def delete(self, which: QueueFilter) -> int:
        """Take deliveries out of the queue without a DSN; return how many. A filter's recipient goes alone."""
        ...

    async def close(self) -> None:
        """Commit what waits, and end the writer."""
        ...


LEASE = timedelta(minutes=10)
