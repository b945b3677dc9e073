"""Leaps of the wall clock are noticed, and for a while nothing expires by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mta.relay.clock_watch import IN_DOUBT_S, LEAP_MIN, ClockWatch

ZERO = timedelta(0)


class Clocks:
    """A wall clock that can be set, and a steady one."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 22, tzinfo=UTC)
        self.steady_s = 1000.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.steady_s)

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady_s += seconds


def test_time_that_passes_is_no_leap() -> None:
    clocks = Clocks()
    for seconds in (1.0, 3600.0, 86_400.0 * 30):
        clocks.pass_by(seconds)
        assert clocks.watch.look() == ZERO
    assert not clocks.watch.is_in_doubt


def test_forwards_nothing_expires_for_a_while() -> None:
    clocks = Clocks()
    clocks.wall += timedelta(days=3)
    assert clocks.watch.look() == timedelta(days=3)
    assert clocks.watch.is_in_doubt
    assert clocks.watch.look() == ZERO, "it is said once"
    clocks.pass_by(IN_DOUBT_S - 1)
    assert clocks.watch.is_in_doubt
    clocks.pass_by(2)
    assert not clocks.watch.is_in_doubt


def test_set_right_again_there_is_no_doubt() -> None:
    clocks = Clocks()
    clocks.wall += timedelta(days=3)
    clocks.watch.look()
    clocks.wall -= timedelta(days=3)
    assert clocks.watch.look() == -timedelta(days=3)
    assert not clocks.watch.is_in_doubt


@pytest.mark.parametrize("drift", [LEAP_MIN - timedelta(seconds=1), timedelta(seconds=1) - LEAP_MIN])
def test_what_ntp_corrects_daily_is_no_leap(drift: timedelta) -> None:
    clocks = Clocks()
    clocks.wall += drift
    assert clocks.watch.look() == ZERO
    assert not clocks.watch.is_in_doubt
