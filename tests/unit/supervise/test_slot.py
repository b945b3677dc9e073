"""When a worker is started again."""

from __future__ import annotations

from mta.supervise.slot import restart_delay_s


def test_the_first_restart_is_at_once_and_later_ones_wait_up_to_half_a_minute() -> None:
    delays = [restart_delay_s(deaths) for deaths in range(1, 20)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] == 30
    assert restart_delay_s(0) == 0
