"""Taking deliveries out of the queue with a DSN: leased as a worker would, settled in one transaction each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from mta.config.schema import Configuration
from mta.model.delivery import LeasedDelivery, RecipientResult, Settlement, State
from mta.model.queue import QueueFilter
from mta.ports.spool import LeaseLostError, Spool, Tell
from mta.relay.deliver.settle import DELETED, Settler
from mta.relay.outcome_log import log_settlement

AT_ONCE = 100
"""Deliveries that are leased together; their settlements share few commits."""


async def bounce(spool: Spool, which: QueueFilter, configuration: Configuration, tell: Tell) -> int:
    """Give up what matches; each sender is told where the rules of DSNs say so. Returns how many deliveries.

    Stopped in the midst, what is leased is finished first; killed, its leases run out and it is tried as before.
    """
    from mta.app.relay import build_settler

    settler = build_settler(configuration)
    total = 0
    while leased := await spool.lease(which, limit=AT_ONCE):
        settling = asyncio.ensure_future(_settle_all(spool, leased, settler))
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await settling
            raise
        total += len(leased)
        tell(tuple(dict.fromkeys(delivery.message.queue_id for delivery in leased)))
    return total


async def _settle_all(spool: Spool, leased: Sequence[LeasedDelivery], settler: Settler) -> None:
    await asyncio.gather(*(_settle(spool, delivery, settler) for delivery in leased))


async def _settle(spool: Spool, delivery: LeasedDelivery, settler: Settler) -> None:
    now = datetime.now(UTC)
    settlement = Settlement(
        queue_id=delivery.message.queue_id,
        next_hop=delivery.next_hop,
        results=tuple(RecipientResult(entry.index, entry.address, DELETED) for entry in delivery.recipients),
        final={entry.index: State.FAILED for entry in delivery.recipients},
        spawned=settler.deleted(delivery.message, delivery.recipients, now),
    )
    try:
        await spool.settle(settlement)
    except LeaseLostError:
        return  # another has it since our lease ran out, and it is theirs to settle
    log_settlement(delivery, settlement, now, attempt_s=0)
