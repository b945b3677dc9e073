"""Messages for tests of the spool."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mta.model.actions import Stamp
from mta.model.address import parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, OnceKey, RecipientEntry, Spawned, State
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.model.queue_id import new_queue_id

CLIENT = Client("192.0.2.1", 2525, "exchange.example.com", "internal", ListenerRole.TRUSTED)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where a store may lie that a test has commit thousands of times: no disk, however busy, has to sync it."""
TRACE = b"Received: from exchange.example.com by relay.example.com; Sun, 22 Nov 2026 10:00:00 +0000\r\n" * 3


def sample_message(
    data: bytes = b"Subject: x\r\n\r\nbody\r\n",
    *,
    hops: Sequence[str] = ("default",),
    states: Sequence[State] = (),
    path: Path | None = None,
    accepted_at: datetime | None = None,
    due_at: datetime | None = None,
    claims: tuple[OnceKey, ...] = (),
    spawned: tuple[Spawned, ...] = (),
    sender: str | None = "jane@example.com",
) -> AcceptedMessage:
    """One recipient for each of `hops`, in `states` (default: queued), each in a group of its own."""
    addresses = tuple(parse_address(f"r{index}@{hop}.example.net") for index, hop in enumerate(hops))
    decided = tuple(
        RecipientDecision(
            address, Direction.OUTBOUND, Role.TO, (Stamp(template=f"t{index}", rule="sales-external"),), index, hop
        )
        for index, (address, hop) in enumerate(zip(addresses, hops, strict=True))
    )
    wanted = tuple(states) or (State.QUEUED,) * len(hops)
    recipients = tuple(
        RecipientEntry(index, address, index, hop, state)
        for index, (address, hop, state) in enumerate(zip(addresses, hops, wanted, strict=True))
    )
    return AcceptedMessage(
        queue_id=new_queue_id(),
        accepted_at=accepted_at or datetime.now(UTC),
        envelope=Envelope(None if sender is None else parse_address(sender), addresses),
        client=CLIENT,
        body=Body.of(data) if path is None else Body(None, path, path.stat().st_size),
        decision=Decision(decided, sender=sender or ""),
        recipients=recipients,
        message_id="<a1@example.com>",
        trace=TRACE,
        snapshot="2026-11-22-1",
        claims=claims,
        due_at=due_at,
        spawned=spawned,
    )
