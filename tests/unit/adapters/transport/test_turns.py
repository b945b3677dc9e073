from __future__ import annotations

from datetime import timedelta

import pytest

from mta.adapters.transport.pace import Pace
from mta.adapters.transport.turns import Turns
from mta.config.types import Frequency


def test_senders_take_turns_and_each_ones_own_keep_their_order() -> None:
    turns: Turns[int] = Turns()
    for number in range(6):
        turns.add("many", number)
    turns.add("one", 100)
    turns.add("two", 200)
    turns.add("two", 201)
    assert [turns.take() for _ in range(len(turns))] == [0, 100, 200, 1, 201, 2, 3, 4, 5]
    assert not turns


def test_who_leaves_is_not_waited_for() -> None:
    turns: Turns[int] = Turns()
    for number in range(3):
        turns.add("a", number)
    turns.add("b", 10)
    turns.leave("a", 1)
    turns.leave("b", 10)
    turns.leave("b", 10)
    turns.leave("nobody", 1)
    turns.add("a", 5, in_front=True)
    assert [turns.take() for _ in range(len(turns))] == [5, 0, 2]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("most", [1, 2, 9, 10, 100, 3600])
@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_never_more_than_so_many_within_any_period(most: int, seconds: int) -> None:
    clock = Clock()
    pace = Pace(Frequency(most, timedelta(seconds=seconds)), clock)
    sent: list[float] = []
    while len(sent) < 3 * most:
        if pace.take():
            sent.append(clock.now)
        else:
            assert pace.wait_s > 0
            clock.now += pace.wait_s + 1e-9
    for first, later in zip(sent, sent[most:], strict=False):
        assert later - first >= seconds * 0.999999
    assert sent[-1] - sent[0] <= 3 * seconds * 1.3, "nor much less"


def test_a_quiet_next_hop_may_get_some_at_once() -> None:
    pace = Pace(Frequency(100, timedelta(minutes=1)), Clock())
    assert [pace.take() for _ in range(11)] == [True] * 10 + [False]
    pace.give_back()
    assert pace.take()


def test_without_a_rate_there_is_no_bound() -> None:
    pace = Pace(None, Clock())
    assert all(pace.take() for _ in range(1000))
    assert (pace.wait_s, pace.is_enough(10_000)) == (0, False)


def test_what_can_not_be_sent_soon_had_better_wait_in_the_queue() -> None:
    clock = Clock()
    fast, slow = Pace(Frequency(60, timedelta(minutes=1)), clock), Pace(Frequency(2, timedelta(hours=1)), clock)
    assert not fast.is_enough(0)
    assert not slow.is_enough(0)
    while fast.take():
        pass
    while slow.take():
        pass
    assert (fast.is_enough(0), fast.is_enough(200)) == (False, True)
    assert slow.is_enough(0)
    clock.now += 3600
    assert not slow.is_enough(0)
