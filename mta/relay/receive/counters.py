"""What all sessions of one listener share in one process: connections by client, and memory for messages coming in."""

from __future__ import annotations

from collections import Counter

SPILL_ABOVE_OCTETS = 2_000_000
"""A message larger than this goes to a file while it is received."""
SPILL_UNDER_PRESSURE_OCTETS = 128_000
"""The same, while messages being received hold more than MEMORY_OCTETS together."""
MEMORY_OCTETS = 32_000_000


class Counters:
    """Counts by client (`access.counting_key`), and octets held."""

    __slots__ = ("_by_client", "connections", "held_octets")

    def __init__(self) -> None:
        self.connections = 0
        self._by_client: Counter[str] = Counter()
        self.held_octets = 0

    def enter(self, client: str, *, connections: int, per_client: int) -> str:
        """Count a connection in; "" or, where it would be over a limit, which one (and nothing is counted)."""
        if self.connections >= connections:
            return "too many connections"
        if self._by_client[client] >= per_client:
            return "too many connections from this client"
        self.connections += 1
        self._by_client[client] += 1
        return ""

    def leave(self, client: str) -> None:
        """Count a connection out."""
        self.connections -= 1
        self._by_client[client] -= 1
        if self._by_client[client] <= 0:
            del self._by_client[client]

    def spill_above(self) -> int:
        """How many octets one message may hold in memory at present."""
        return SPILL_ABOVE_OCTETS if self.held_octets < MEMORY_OCTETS else SPILL_UNDER_PRESSURE_OCTETS
