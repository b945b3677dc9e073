"""Takes what is due from the queue: after a deferral, a restart, a release, or when memory was short at acceptance."""

from __future__ import annotations

import asyncio
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from mta import events
from mta.model.delivery import LeasedDelivery
from mta.model.queue import QueueFilter
from mta.model.reply import MailError
from mta.ports.spool import LEASE
from mta.relay.clock_watch import IN_DOUBT_S
from mta.relay.equipment import Equipment
from mta.relay.overdue import Overdue

LOOK_EVERY_S = 1.0
"""How long something due may wait if nobody rings; a look costs one read."""
PER_NEXT_HOP = 50
"""Deliveries that one look takes for one next hop."""
RENEW_EVERY_S = LEASE.total_seconds() / 4


class QueueRunner:
    """Runs beside the listeners, in every worker. `send` starts the departure of one message's deliveries."""

    def __init__(self, equipment: Equipment, send: Callable[[Sequence[LeasedDelivery]], None]) -> None:
        self._equipment = equipment
        self._send = send
        self.overdue = Overdue(equipment)
        equipment.in_hand.ring = equipment.queue_changed.set

    async def run(self) -> None:
        """Until cancelled."""
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                taken = await self.look()
                if not taken:
                    await self._wait()
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._equipment.queue_changed.wait()
        self._equipment.queue_changed.clear()

    async def note_orders(self) -> None:
        """Learn what administrators want left alone, and whether to take mail; called before any is taken, too."""
        equipment = self._equipment
        try:
            equipment.frozen = frozenset(hop.next_hop for hop in await equipment.spool.frozen())
            equipment.is_draining = await equipment.spool.draining() is not None
            equipment.makes_sent_items = self._fills_sent_items() and await equipment.spool.makes_sent_items()
        except MailError as exc:
            events.internal_error("queue", error=str(exc))

    def _fills_sent_items(self) -> bool:
        return any(book.settings.sent_items is not None for book in self._equipment.rulebook.snapshot.books)

    async def look(self) -> int:
        """Lease and send what is due and fits; return how many deliveries."""
        equipment = self._equipment
        if not equipment.spool.is_usable:
            return 0  # its log lines tell of it
        await self._heed_clock()
        await self.note_orders()
        await self.overdue.look_in_time()
        room = equipment.in_hand.room_for_queue()
        if not room:
            return 0
        try:
            leased = await self._lease(room)
        except MailError as exc:
            events.internal_error("queue", error=str(exc))
            return 0
        messages: defaultdict[str, list[LeasedDelivery]] = defaultdict(list)
        for delivery in leased:
            messages[delivery.message.queue_id].append(delivery)
        for deliveries in messages.values():
            self._send(deliveries)
        return len(leased)

    async def _lease(self, room: int) -> Sequence[LeasedDelivery]:
        """Take what is due; next hops that could not be reached the last time come after all others."""
        equipment, in_hand = self._equipment, self._equipment.in_hand
        blocked, doubtful = equipment.next_hops.blocked() | in_hand.full(), in_hand.doubtful
        now = equipment.clock.now()
        leased = await equipment.spool.lease_due(
            now, limit=room, blocked=blocked.union(doubtful), per_next_hop=min(PER_NEXT_HOP, room)
        )
        left = min(room - len(leased), in_hand.room_for_doubtful()) if doubtful else 0
        if left <= 0:
            return leased
        more = await equipment.spool.lease_due(now, limit=left, blocked=blocked, per_next_hop=min(PER_NEXT_HOP, left))
        return [*leased, *more]

    async def _heed_clock(self) -> None:
        leap = self._equipment.clock_watch.look()
        if not leap:
            return
        in_doubt_s = IN_DOUBT_S if leap > timedelta(0) else 0.0
        events.clock_leapt(leap.total_seconds(), nothing_expires_for_s=in_doubt_s)
        if leap < timedelta(0):
            try:
                await self._equipment.spool.retry_now(QueueFilter())
            except MailError as exc:
                events.internal_error("clock", error=str(exc))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await self._equipment.spool.renew()
            except MailError as exc:
                events.internal_error("renew", error=str(exc), traceback=traceback.format_exc())
