"""Counts over all workers: sums, limits, bounds, and what a dead worker leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mta.shared_counts import SharedCounts

COUNT_AND_DIE = """
import os, sys
from mta.shared_counts import SharedCounts
counts = SharedCounts.attach(int(sys.argv[1]), 1)
key = counts.key("listener", "192.0.2.1")
for _ in range(5):
    counts.enter(key)
    counts.add(key, 60.0)
sys.stdout.write("counted\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def two() -> tuple[SharedCounts, SharedCounts]:
    table = SharedCounts.create(2)
    return SharedCounts.attach(table.fd, 0), SharedCounts.attach(table.fd, 1)


def test_what_is_open_is_summed_over_all_workers() -> None:
    one, other = two()
    key = one.key("listener", "192.0.2.1")
    assert key == other.key("listener", "192.0.2.1")
    for _ in range(3):
        one.enter(key)
    other.enter(key)
    assert (one.total(key), other.total(key)) == (4, 4)
    one.leave(key)
    other.leave(key)
    other.leave(key)  # one that was never counted
    assert one.total(key) == 2
    assert one.total(one.key("listener", "192.0.2.2")) == 0


def test_another_process_counts_in_the_same_table_and_is_forgotten_when_it_is_gone() -> None:
    table = SharedCounts.create(2)
    mine = SharedCounts.attach(table.fd, 0)
    key = mine.key("listener", "192.0.2.1")
    command = [sys.executable, "-c", COUNT_AND_DIE, str(table.fd)]
    with subprocess.Popen(
        command, pass_fds=[table.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        assert mine.total(key) == 5
        assert mine.rate(key, 60.0) > 0
        process.kill()
    assert mine.total(key) == 5
    table.clear(1)
    assert mine.total(key) == 0
    assert mine.rate(key, 60.0) == 0


def test_a_successor_begins_with_nothing() -> None:
    one, other = two()
    key = one.key("x")
    one.enter(key)
    other.enter(key)
    again = SharedCounts.attach(os.dup(other.fd), 1)
    assert again.total(key) == 1


def test_a_rate_is_granted_up_to_its_limit_by_all_together_and_comes_back_with_time() -> None:
    one, other = two()
    key, now = one.key("x"), 6000.0
    granted = [counts.take(key, 4, 60.0, now) for counts in (one, other, one, other, one, other)]
    assert granted == [True] * 4 + [False] * 2
    assert not one.take(key, 4, 60.0, now + 59)
    assert not other.take(key, 4, 60.0, now + 60)  # of the period before, all still counts
    assert one.take(key, 4, 60.0, now + 80)  # a third of it is over
    assert not one.take(key, 4, 60.0, now + 80)
    assert all(other.take(key, 4, 60.0, now + 300) for _ in range(4))


def test_who_tries_all_the_time_gets_about_the_limit_and_never_twice_as_much() -> None:
    counts = SharedCounts.private()
    key = counts.key("x")
    granted = [at for at in range(6000, 12_000) if counts.take(key, 10, 60.0, float(at))]
    assert 850 < len(granted) <= 1010
    for start in range(6000, 11_940, 7):
        assert sum(start <= at < start + 60 for at in granted) <= 20


def test_the_table_is_bounded_and_who_sends_most_is_not_forgotten() -> None:
    counts = SharedCounts.private()
    heavy = counts.key("heavy")
    counts.add(heavy, 3600.0, 100, 0.0)
    for number in range(50_000):
        counts.add(counts.key("light", str(number)), 3600.0, 1, 0.0)
    assert counts.rate(heavy, 3600.0, 0.0) >= 100


def test_a_full_table_of_connections_counts_no_less_than_it_can() -> None:
    counts = SharedCounts.private()
    keys = [counts.key(str(number)) for number in range(20_000)]
    for key in keys:
        counts.enter(key)
    assert all(counts.total(key) <= 1 for key in keys)
    for key in keys:
        counts.leave(key)
    assert not any(counts.total(key) for key in keys)


@pytest.mark.parametrize("section", [-1, 2])
def test_a_section_that_is_not_there_is_refused(section: int) -> None:
    with pytest.raises(ValueError, match="no table"):
        SharedCounts.attach(SharedCounts.create(2).fd, section)


def test_what_is_long_past_gives_way_to_who_sends_now() -> None:
    counts = SharedCounts.private()
    for number in range(100_000):  # all places are taken, by more than those of now have sent yet
        counts.add(counts.key("past", str(number)), 60.0, 50, 0.0)
    keys = [counts.key("now", str(number)) for number in range(2000)]
    for _ in range(5):
        for key in keys:
            counts.add(key, 60.0, 1, 6000.0)
    forgotten = sum(counts.rate(key, 60.0, 6000.0) < 5 for key in keys)
    assert forgotten == 0


def test_periods_of_many_lengths_stand_side_by_side() -> None:
    counts = SharedCounts.private()
    day = counts.key("day")
    counts.add(day, 86_400.0, 3, 100_000.0)
    for number in range(100_000):
        counts.add(counts.key("minute", str(number)), 60.0, 2, 100_000.0 + number / 10)
    assert counts.rate(day, 86_400.0, 110_000.0) >= 3
