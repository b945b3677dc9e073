"""Connections by client, and memory."""

from __future__ import annotations

from mta.relay.receive.counters import (
    MEMORY_OCTETS,
    SPILL_ABOVE_OCTETS,
    SPILL_UNDER_PRESSURE_OCTETS,
    Counters,
)
from mta.shared_counts import SharedCounts


def test_limits_hold_per_client_and_in_all() -> None:
    counters = Counters(SharedCounts.private(), "test")
    assert counters.enter("192.0.2.1", connections=3, per_client=2) == ""
    assert counters.enter("192.0.2.1", connections=3, per_client=2) == ""
    assert counters.enter("192.0.2.1", connections=3, per_client=2) == "too many connections from this client"
    assert counters.enter("192.0.2.2", connections=3, per_client=2) == ""
    assert counters.enter("192.0.2.3", connections=3, per_client=2) == "too many connections"
    assert counters.connections == 3
    counters.leave("192.0.2.1")
    assert counters.enter("192.0.2.1", connections=3, per_client=2) == ""


def test_many_clients_leave_nothing_behind() -> None:
    counters = Counters(SharedCounts.private(), "test")
    for number in range(1000):
        assert counters.enter(f"192.0.2.{number}", connections=1, per_client=1) == ""
        counters.leave(f"192.0.2.{number}")
    assert counters.connections == counters.all_connections == 0


def test_messages_spill_earlier_when_memory_is_short() -> None:
    counters = Counters(SharedCounts.private(), "test")
    assert counters.spill_above() == SPILL_ABOVE_OCTETS
    counters.held_octets = MEMORY_OCTETS
    assert counters.spill_above() == SPILL_UNDER_PRESSURE_OCTETS
