"""Messages that are on their way after the reply: bounded in memory, and divided fairly between next hops.

A next hop may have in hand at most twice what is left for all others (dynamic thresholds, as switches divide their
buffers). So one alone gets two thirds, and however many of them hang, there is always room for one that works. Of what
is taken from the queue, next hops that could not be reached the last time get no more than half all together: where
each domain is a next hop of its own, thousands of dead ones have one message each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

SHARE = 2
"""How many times what is left."""
FROM_QUEUE_MAX = 400
"""Deliveries that a worker has taken from the queue."""
DOUBTFUL_KNOWN = 10_000
"""So many next hops are known for not having been reached."""


@dataclass(slots=True)
class Hold:
    """What one message takes up."""

    octets: int
    next_hops: set[str]
    """Those for which it is still under way."""
    is_from_queue: bool


@dataclass(slots=True)
class InHand:
    """What one worker has in hand."""

    octets_max: int
    octets: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ring: Callable[[], None] = lambda: None
    """Called when the queue runner, having passed over what there was no room for, may look again."""
    _octets_of: Counter[str] = field(default_factory=Counter)
    _from_queue: Counter[str] = field(default_factory=Counter)
    _taken: int = 0
    _ring_at: dict[str, int] = field(default_factory=dict)
    _doubtful: dict[str, None] = field(default_factory=dict)
    """Next hops that could not be reached the last time; the one known longest comes first."""

    def has_room(self, size_octets: int, next_hops: Collection[str] = ()) -> bool:
        """Whether another message for these next hops fits; one always does, however large."""
        if not self.tasks:
            return True
        left = self.octets_max - self.octets
        return size_octets <= left and all(
            not (held := self._octets_of[hop]) or held + size_octets <= SHARE * (left - size_octets)
            for hop in next_hops
        )

    def take(self, size_octets: int, next_hops: Collection[str], *, is_from_queue: bool) -> Hold:
        """A message begins its way."""
        hold = Hold(size_octets, set(next_hops), is_from_queue)
        self.octets += size_octets
        for hop in hold.next_hops:
            self._octets_of[hop] += size_octets
            if is_from_queue:
                self._from_queue[hop] += 1
                self._taken += 1
        return hold

    def done(self, hold: Hold, next_hop: str) -> None:
        """A message is done with one of its next hops; called again, it changes nothing."""
        if next_hop not in hold.next_hops:
            return
        hold.next_hops.discard(next_hop)
        _subtract(self._octets_of, next_hop, hold.octets)
        if hold.is_from_queue:
            _subtract(self._from_queue, next_hop, 1)
            self._taken -= 1
            if self._from_queue[next_hop] <= self._ring_at.get(next_hop, -1):
                self._ring_at.clear()
                self.ring()

    def end(self, hold: Hold) -> None:
        """A message has come to the end of its way."""
        for next_hop in tuple(hold.next_hops):
            self.done(hold, next_hop)
        self.octets -= hold.octets

    def room_for_queue(self) -> int:
        """How many more deliveries may be taken from the queue; asks to be rung for if there are none."""
        if self.octets > self.octets_max and self.tasks:
            return 0
        room = FROM_QUEUE_MAX - self._taken
        if room <= 0:
            self._ring_at = {hop: count // 2 for hop, count in self._from_queue.items()}
        return max(0, room)

    def note_reached(self, next_hop: str, *, is_reached: bool) -> None:
        """Whether a delivery got as far as to a server of its next hop."""
        self._doubtful.pop(next_hop, None)
        if not is_reached:
            self._doubtful[next_hop] = None
            if len(self._doubtful) > DOUBTFUL_KNOWN:
                del self._doubtful[next(iter(self._doubtful))]

    @property
    def doubtful(self) -> Collection[str]:
        """Next hops that could not be reached the last time."""
        return self._doubtful.keys()

    def room_for_doubtful(self) -> int:
        """How many more deliveries for such next hops may be taken from the queue."""
        taken = sum(count for hop, count in self._from_queue.items() if hop in self._doubtful)
        return max(0, FROM_QUEUE_MAX // 2 - taken)

    def full(self) -> frozenset[str]:
        """Next hops that have their share of what is taken from the queue; asks to be rung for."""
        room, left = FROM_QUEUE_MAX - self._taken, self.octets_max - self.octets
        full = {hop for hop, count in self._from_queue.items() if count >= SHARE * room}
        self._ring_at = {hop: self._from_queue[hop] // 2 for hop in full}
        return frozenset(full | {hop for hop, held in self._octets_of.items() if held > SHARE * left})


def _subtract(counts: Counter[str], key: str, number: int) -> None:
    """Names of domains come and go: none is kept with nothing."""
    counts[key] -= number
    if counts[key] <= 0:
        del counts[key]
