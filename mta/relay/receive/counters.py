"""What all sessions of a listener share: connections and rates over all workers, and this one's memory for messages."""

from __future__ import annotations

from mta.config.types import Frequency
from mta.shared_counts import SharedCounts

SPILL_ABOVE_OCTETS = 2_000_000
"""A message larger than this goes to a file while it is received."""
SPILL_UNDER_PRESSURE_OCTETS = 128_000
"""The same, while messages being received hold more than MEMORY_OCTETS together."""
MEMORY_OCTETS = 32_000_000

_SAID_EVERY_S = 60.0


class Counters:
    """One listener's. Clients are named as `access.counting_key` does, or by account."""

    __slots__ = ("_everybody", "_listener", "connections", "failed_handshakes", "held_octets", "shared")

    def __init__(self, shared: SharedCounts, listener: str) -> None:
        self.shared = shared
        self._listener = listener
        self._everybody = shared.key(listener, "connections")
        self.connections = 0
        """Of this process."""
        self.held_octets = 0
        self.failed_handshakes = 0

    @property
    def all_connections(self) -> int:
        """Of all workers."""
        return self.shared.total(self._everybody)

    def enter(self, client: str, *, connections: int, per_client: int | None) -> str:
        """Count a connection in; "" or, where it would be over a limit, which one (and nothing is counted)."""
        shared, key = self.shared, self._key_of(client)
        if shared.total(self._everybody) >= connections:
            return "too many connections"
        if per_client is not None and shared.total(key) >= per_client:
            return "too many connections from this client"
        self.connections += 1
        shared.enter(self._everybody)
        shared.enter(key)
        return ""

    def leave(self, client: str) -> None:
        """Count a connection out."""
        self.connections -= 1
        self.shared.leave(self._everybody)
        self.shared.leave(self._key_of(client))

    def _key_of(self, client: str) -> int:
        return self.shared.key(self._listener, "connections", client)

    def take(self, what: str, who: str, limit: Frequency) -> bool:
        """Count one more of these, unless that would be over the limit; whether it was counted."""
        return self.shared.take(self.shared.key(self._listener, what, who), limit.most, limit.period.total_seconds())

    def is_news(self, what: str, who: str) -> bool:
        """Whether this has not been said within the last minute, by whichever worker."""
        return self.shared.take(self.shared.key(self._listener, "said", what, who), 1, _SAID_EVERY_S)

    def spill_above(self) -> int:
        """How many octets one message may hold in memory at present."""
        return SPILL_ABOVE_OCTETS if self.held_octets < MEMORY_OCTETS else SPILL_UNDER_PRESSURE_OCTETS
