"""The spool on SQLite: see mta/ports/spool.py."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from mta.model.delivery import AcceptedMessage, Body, LeasedDelivery, QueueEntry, QueueFilter, Settlement
from mta.ports.clock import Clock, SystemClock
from mta.ports.spool import LEASE


class SqliteSpool:
    """The port `Spool`; open it with `await SqliteSpool.open(...)`, end it with `await spool.close()`."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        slot: int | None = None,
        reserve: int = 100_000_000,
        inline_up_to: int = 64_000,
        lease: timedelta = LEASE,
        hold_for: timedelta | None = timedelta(days=7),
        once_for: timedelta = timedelta(days=7),
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
    ) -> SqliteSpool:
        """Open (making or migrating it where needed) the spool in `folder`.

        `slot` is the worker's number: at most one live process may have it, and what its predecessor had leased is due
        at once. None is for administrators: such a process leases nothing. Raises StoreError with a text for the
        administrator when the store is damaged, foreign, newer than this program, or the slot is taken.
        """
        raise NotImplementedError

    async def accept(self, message: AcceptedMessage) -> frozenset[str]: raise NotImplementedError
    async def lease_due(
        self, now: datetime, *, limit: int, blocked: Collection[str] = (), per_next_hop: int = 50
    ) -> Sequence[LeasedDelivery]: raise NotImplementedError
    async def settle(self, settlement: Settlement) -> None: raise NotImplementedError
    async def give_back(self, queue_id: str, next_hop: str, due_at: datetime) -> None: raise NotImplementedError
    async def renew(self) -> None: raise NotImplementedError
    async def read_body(self, queue_id: str) -> Body: raise NotImplementedError
    def spill_path(self) -> Path: raise NotImplementedError
    def has_room(self, size_octets: int) -> bool: raise NotImplementedError
    async def entries(self, which: QueueFilter, *, limit: int = 1000) -> Sequence[QueueEntry]: raise NotImplementedError
    async def load(self, queue_id: str) -> LeasedDelivery | None: raise NotImplementedError
    async def retry_now(self, which: QueueFilter) -> int: raise NotImplementedError
    async def hold(self, which: QueueFilter, until: datetime | None = None) -> int: raise NotImplementedError
    async def release(self, which: QueueFilter) -> int: raise NotImplementedError
    async def delete(self, which: QueueFilter) -> int: raise NotImplementedError
    async def close(self) -> None: raise NotImplementedError
