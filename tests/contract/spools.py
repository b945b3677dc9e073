"""What tests of the port `Spool` share: the same store opened by several, a clock that is set, settlements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import AcceptedMessage, LeasedDelivery, RecipientResult, Settlement, State
from mta.model.queue import QueueFilter
from mta.model.reply import Reply
from mta.ports.spool import Spool

BUSY = Reply(451, "4.3.2", "Try later")
EVERYTHING = QueueFilter()
LARGE = bytes(range(256)) * 600


@dataclass
class SettableClock:
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.time

    def pass_(self, delta: timedelta) -> datetime:
        self.time += delta
        return self.time


Open = Callable[[int | None], Awaitable[Spool]]


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(params=["sqlite"])
async def open_spool(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> AsyncIterator[Open]:
    """Opens the same store as one worker or another (None: as an administrator)."""
    assert request.param == "sqlite"
    opened: list[Spool] = []

    async def open_as(slot: int | None) -> Spool:
        spool = await SqliteSpool.open(tmp_path / "spool", slot=slot, reserve=0, clock=clock)
        opened.append(spool)
        return spool

    yield open_as
    for spool in opened:
        await spool.close()


@pytest.fixture
async def spool(open_spool: Open) -> Spool:
    return await open_spool(0)


def delivered(message: AcceptedMessage, next_hop: str = "default") -> Settlement:
    """Everybody of that next hop has it."""
    final = {entry.index: State.DELIVERED for entry in message.recipients if entry.next_hop == next_hop}
    return Settlement(message.queue_id, next_hop, (), final)


def deferred(message: AcceptedMessage, due_at: datetime, next_hop: str = "default") -> Settlement:
    """Nobody of that next hop has it."""
    results = [
        RecipientResult(entry.index, entry.address, BUSY) for entry in message.recipients if entry.next_hop == next_hop
    ]
    return Settlement(message.queue_id, next_hop, results, due_at=due_at)


async def lease(spool: Spool, now: datetime) -> list[LeasedDelivery]:
    return list(await spool.lease_due(now, limit=100))


async def queue_ids(spool: Spool, which: QueueFilter = EVERYTHING) -> list[str]:
    return [entry.queue_id for entry in await spool.entries(which)]
