from __future__ import annotations

import pytest

from mta.adapters.transport.circuit import Circuit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def circuit(chance: float = 0.5) -> tuple[Circuit, Clock]:
    clock = Clock()
    return Circuit(clock, lambda: chance), clock


def test_it_opens_after_three_failures_in_a_row() -> None:
    made, _ = circuit()
    assert [made.failed(was_probe=False) for _ in range(2)] == [None, None]
    assert made.succeeded() is False
    assert [made.failed(was_probe=False) for _ in range(3)] == [None, None, 5.0]
    assert made.is_open


def test_a_probe_is_due_after_the_wait() -> None:
    made, clock = circuit()
    for _ in range(3):
        made.failed(was_probe=False)
    due = []
    for wait in (4.9, 0.2):
        clock.now += wait
        due.append(made.is_probe_due)
    assert due == [False, True]
    assert made.succeeded() is True
    assert not made.is_open


def test_failing_probes_double_the_wait_up_to_five_minutes() -> None:
    made, _ = circuit()
    for _ in range(2):
        made.failed(was_probe=False)
    waits = [made.failed(was_probe=made.is_open) for _ in range(9)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_success_makes_the_next_wait_short_again() -> None:
    made, _ = circuit()
    for _ in range(5):
        made.failed(was_probe=made.is_open)
    made.succeeded()
    assert [made.failed(was_probe=False) for _ in range(3)] == [None, None, 5.0]


def test_late_failures_of_earlier_attempts_change_nothing() -> None:
    made, clock = circuit()
    for _ in range(3):
        made.failed(was_probe=False)
    assert [made.failed(was_probe=False) for _ in range(20)] == [None] * 20
    clock.now += 5
    assert made.is_probe_due


def test_jitter_is_a_fifth_each_way() -> None:
    for chance, wait in ((0.0, 4.0), (1.0, 6.0)):
        made, _ = circuit(chance)
        assert [made.failed(was_probe=False) for _ in range(3)][-1] == pytest.approx(wait)
