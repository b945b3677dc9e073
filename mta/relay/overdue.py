"""Mail for next hops that are left alone, because they are down or get no more for now: nobody tries it meanwhile.

A probe now and then is all that such a next hop gets, so of thousands of messages only some would ever be tried, be
found late or expired, and be told of. So those that are overdue are put off, or given up, without an attempt. What an
administrator has frozen waits untold.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from datetime import timedelta

from mta import events
from mta.model.delivery import LeasedDelivery
from mta.model.queue import is_frozen
from mta.model.reply import MailError, Reply
from mta.ports.spool import LEASE
from mta.relay.departure import put_off
from mta.relay.equipment import Equipment

LOOK_EVERY_S = 60.0
AT_ONCE = 100
"""Of one next hop's; as long as there are so many the next look follows soon."""
STOPPED = Reply(451, "4.4.1", "The next hop does not answer, and is left alone but for probes")
WAITING = Reply(451, "4.3.2", "The next hop gets no more for now")


class Overdue:
    """Belongs to the queue runner of each worker."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._next_look = 0.0

    async def look_in_time(self) -> None:
        """Look if it is time to."""
        now = asyncio.get_running_loop().time()
        if now >= self._next_look and not self._equipment.clock_watch.is_in_doubt:
            self._next_look = now + (0.0 if await self.look() >= AT_ONCE else LOOK_EVERY_S)

    async def look(self) -> int:
        """Settle what is overdue and can't be tried; return how many deliveries of the next hop that had most."""
        equipment = self._equipment
        stopped, most = equipment.next_hops.stopped(), 0
        for next_hop in equipment.next_hops.blocked():
            if is_frozen(next_hop, equipment.frozen):
                continue
            try:
                leased = await self._overdue(next_hop)
            except MailError as exc:
                events.internal_error("overdue", error=str(exc))
                return 0
            most = max(most, len(leased))
            reply = STOPPED if next_hop in stopped else WAITING
            await asyncio.gather(*(self._put_off(delivery, reply) for delivery in leased))
        return most

    async def _put_off(self, delivery: LeasedDelivery, reply: Reply) -> None:
        equipment = self._equipment
        try:
            await put_off(equipment, equipment.rulebook.settler, delivery, reply)
        except Exception as exc:  # noqa: BLE001 - the edge of what runs beside the relay: the message stays in the queue
            trace, queue_id = traceback.format_exc(), delivery.message.queue_id
            events.internal_error("overdue", error=repr(exc), queue_id=queue_id, traceback=trace)
            with suppress(MailError):
                await equipment.spool.give_back(queue_id, delivery.next_hop, equipment.clock.now() + LEASE)

    async def _overdue(self, next_hop: str) -> list[LeasedDelivery]:
        equipment = self._equipment
        now, retry = equipment.clock.now(), equipment.rulebook.settler.retries.of(next_hop)
        is_warning = retry.warn_after > timedelta(0)
        return list(
            await equipment.spool.lease_overdue(
                next_hop,
                now,
                late_since=now - (min(retry.warn_after, retry.expire_after) if is_warning else retry.expire_after),
                expired_since=now - retry.expire_after,
                limit=AT_ONCE,
            )
        )
