"""A bound on the messages that are worked on at a time."""

from __future__ import annotations

import asyncio

from mta.sentitems.octets_in_hand import OctetsInHand


class Holder:
    """Takes its share when told, and lets it go when told."""

    def __init__(self, bound: OctetsInHand, octets: int) -> None:
        self.has = False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._hold(bound, octets))

    async def _hold(self, bound: OctetsInHand, octets: int) -> None:
        async with bound.some(octets):
            self.has = True
            await self._end.wait()
        self.has = False

    async def let_go(self) -> None:
        self._end.set()
        await self.task


async def settled() -> None:
    """Until whoever can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_first_comes_first_so_that_large_ones_are_not_overtaken() -> None:
    bound = OctetsInHand(100)
    first, large, small = Holder(bound, 60), Holder(bound, 90), Holder(bound, 10)
    await settled()
    assert (first.has, large.has, small.has) == (True, False, False)
    await first.let_go()
    await settled()
    assert (large.has, small.has) == (True, True)
    await large.let_go()
    await small.let_go()


async def test_one_that_is_larger_than_the_bound_goes_alone() -> None:
    bound = OctetsInHand(100)
    small, huge, empty = Holder(bound, 1), Holder(bound, 10**9), Holder(bound, 1)
    await settled()
    assert (small.has, huge.has) == (True, False)
    await small.let_go()
    await settled()
    assert (huge.has, empty.has) == (True, False)
    await huge.let_go()
    await empty.let_go()


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    bound = OctetsInHand(100)
    first, waiting, last = Holder(bound, 60), Holder(bound, 90), Holder(bound, 30)
    await settled()
    waiting.task.cancel()
    await settled()
    assert last.has
    first.task.cancel()
    last.task.cancel()
    await asyncio.gather(first.task, last.task, return_exceptions=True)
    everything = Holder(bound, 100)
    await settled()
    assert everything.has
    await everything.let_go()


async def test_who_gives_up_at_the_very_moment_of_their_turn_keeps_nothing() -> None:
    bound = OctetsInHand(100)
    first, second = Holder(bound, 100), Holder(bound, 100)
    await settled()
    first.task.cancel()
    await asyncio.sleep(0)  # its share is the second one's now, who doesn't know it yet
    second.task.cancel()
    await asyncio.gather(first.task, second.task, return_exceptions=True)
    third = Holder(bound, 100)
    await settled()
    assert third.has
    await third.let_go()
