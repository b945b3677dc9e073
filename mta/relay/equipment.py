"""What the stages of one worker work with. The composition root fills it; a reload swaps `rulebook` whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from mta.message.parse import Limits
from mta.model.bypass import Bypass
from mta.ports.clock import Clock
from mta.ports.resolver import Resolver
from mta.ports.spool import Spool
from mta.relay.deliver.next_hops import NextHops
from mta.relay.deliver.settle import Settler
from mta.relay.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Rulebook:
    """One configuration snapshot and what is worked out from it once."""

    snapshot: Snapshot
    settler: Settler
    limits: Limits


@dataclass(slots=True)
class InHand:
    """Messages that are on their way after the reply, so that memory stays bounded and stopping can wait for them."""

    octets_max: int
    octets: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def has_room(self, size_octets: int) -> bool:
        """Whether another message fits; one always does, however large."""
        return not self.tasks or self.octets + size_octets <= self.octets_max


@dataclass(slots=True)
class Equipment:
    """The worker's tools and its present state."""

    hostname: str
    rulebook: Rulebook
    spool: Spool
    next_hops: NextHops
    clock: Clock
    in_hand: InHand
    bypass: Bypass = field(default_factory=Bypass)
    resolver: Resolver | None = None
    """Where a listener authenticates mail."""
    frozen: frozenset[str] = frozenset()
    """Names of next hops that an administrator wants left alone, as the queue runner read them last."""
    queue_changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something due in the queue."""
