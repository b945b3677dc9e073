"""What every adapter of the port `Spool` does when it has no room, and when it ends."""

from __future__ import annotations

import asyncio

from mta.model.delivery import LeasedDelivery
from mta.ports.spool import Spool
from tests.contract.spools import Open, SettableClock, lease, queue_ids
from tests.spool_samples import sample_message


async def test_there_is_room_for_a_message_but_not_for_more_than_the_disk(spool: Spool) -> None:
    assert spool.has_room(10_000)
    assert not spool.has_room(1 << 60)


async def test_closing_commits_what_waits(open_spool: Open) -> None:
    spool = await open_spool(0)
    messages = [sample_message() for _ in range(50)]
    accepting = [asyncio.ensure_future(spool.accept(message)) for message in messages]
    await asyncio.sleep(0)
    await spool.close()
    await asyncio.gather(*accepting)
    assert len(await queue_ids(await open_spool(1))) == 50


async def test_who_gives_up_waiting_leaves_no_message_that_nobody_delivers(spool: Spool, clock: SettableClock) -> None:
    message = sample_message()
    accepting = asyncio.ensure_future(spool.accept(message))
    await asyncio.sleep(0)
    accepting.cancel()
    taken: list[LeasedDelivery] = []
    async with asyncio.timeout(60):
        while not taken:
            taken = await lease(spool, clock.now())
    assert taken[0].message.queue_id == message.queue_id
