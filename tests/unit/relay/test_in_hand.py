"""How much each next hop may have in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mta.relay.in_hand import FROM_QUEUE_MAX, Hold, InHand


@pytest.fixture
def loop_task() -> Iterator[asyncio.Task[None]]:
    """Something on its way, so that room is asked for."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(0))
    yield task
    loop.run_until_complete(task)
    loop.close()


@pytest.fixture
def in_hand(loop_task: asyncio.Task[None]) -> InHand:
    made = InHand(1000)
    made.tasks.add(loop_task)
    return made


def fill(in_hand: InHand, hop: str, size: int = 1) -> list[Hold]:
    """As much as one next hop may have."""
    holds = []
    while in_hand.has_room(size, [hop]):
        holds.append(in_hand.take(size, [hop], is_from_queue=False))
    return holds


def test_one_always_fits() -> None:
    assert InHand(10).has_room(1000, ["a"])


def test_hanging_next_hops_leave_room_for_one_that_works(in_hand: InHand) -> None:
    taken = [len(fill(in_hand, f"dead{number}")) for number in range(5)]
    assert taken[0] == 666
    assert taken == sorted(taken, reverse=True)
    assert in_hand.has_room(1, ["live"])
    assert not in_hand.has_room(1, ["live", "dead0"]), "for a message that goes by both it is the fuller that counts"


def test_what_is_done_makes_room(in_hand: InHand) -> None:
    holds = fill(in_hand, "a")
    for hold in holds:
        in_hand.done(hold, "a")
        in_hand.done(hold, "a")
        in_hand.end(hold)
    assert in_hand.octets == 0
    assert len(fill(in_hand, "a")) == len(holds)


def test_a_message_is_in_memory_until_its_last_next_hop_is_done(in_hand: InHand) -> None:
    hold = in_hand.take(100, ["quick", "slow"], is_from_queue=False)
    in_hand.done(hold, "quick")
    assert in_hand.octets == 100
    in_hand.end(hold)
    assert in_hand.octets == 0


def test_the_queue_passes_over_who_has_enough_and_is_rung_for(in_hand: InHand) -> None:
    rings: list[int] = []
    in_hand.ring = lambda: rings.append(1)
    in_hand.octets_max = 10**9
    holds = []
    while "hanging" not in in_hand.full():
        holds.append(in_hand.take(1, ["hanging"], is_from_queue=True))
    assert 0 < in_hand.room_for_queue() < FROM_QUEUE_MAX
    assert in_hand.full() == {"hanging"}
    for number, hold in enumerate(holds):
        in_hand.end(hold)
        assert bool(rings) == (number + 1 >= len(holds) / 2)
    assert len(rings) == 1
    assert (in_hand.full(), in_hand.room_for_queue()) == (frozenset(), FROM_QUEUE_MAX)


def test_many_next_hops_fill_the_queues_share_and_are_rung_for(in_hand: InHand) -> None:
    rings: list[int] = []
    in_hand.ring = lambda: rings.append(1)
    in_hand.octets_max = 10**9
    holds = [in_hand.take(1, [f"hop{number}"], is_from_queue=True) for number in range(FROM_QUEUE_MAX)]
    assert in_hand.room_for_queue() == 0
    in_hand.end(holds[0])
    assert rings == [1]
    assert in_hand.room_for_queue() == 1
