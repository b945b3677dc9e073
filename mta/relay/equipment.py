"""What the stages of one worker work with. The composition root fills it; a reload swaps `rulebook` whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from mta.message.parse import Limits
from mta.model.bypass import Bypass
from mta.ports.clock import Clock
from mta.ports.resolver import Resolver
from mta.ports.spool import Spool
from mta.relay.clock_watch import ClockWatch
from mta.relay.deliver.next_hops import NextHops
from mta.relay.deliver.settle import Settler
from mta.relay.in_hand import InHand as InHand
from mta.relay.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Rulebook:
    """One configuration snapshot and what is worked out from it once."""

    snapshot: Snapshot
    settler: Settler
    limits: Limits


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
    clock_watch: ClockWatch = field(default_factory=ClockWatch)
    resolver: Resolver | None = None
    """Where a listener authenticates mail."""
    frozen: frozenset[str] = frozenset()
    """Names of next hops that an administrator wants left alone, as the queue runner read them last."""
    is_draining: bool = False
    """An administrator wants this node to take no mail; read as the former."""
    makes_sent_items: bool = False
    """Some organisation fills Sent Items, and nobody has switched that off; read as the former."""
    queue_changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something due in the queue."""
