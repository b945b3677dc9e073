"""The spool against a model that is a few dictionaries: whatever is done in whatever order, both agree."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.address import Address
from mta.model.delivery import OnceKey, RecipientResult, Settlement, State, StoredVariant
from mta.model.queue import QueueFilter
from mta.model.reply import Reply
from mta.ports.spool import LEASE, LeaseLostError
from tests.spool_samples import MEMORY, sample_message

T = TypeVar("T")
HOPS = ("a", "b", "c")
WORKERS = (0, 1)
EVERYTHING = QueueFilter()
SOMEBODY = Address("somebody", "example.net")
_MOSTLY = st.sampled_from((True, True, True, False))
BUSY = Reply(451, "4.3.2", "Try later")


@dataclass
class ModelDelivery:
    """What the spool should know of one message's delivery for one next hop."""

    queue_id: str
    next_hop: str
    recipients: set[int]
    state: State
    due_at: datetime
    attempts: int = 0
    owner: int | None = None
    lease_until: datetime | None = None
    groups_stored: set[int] = field(default_factory=set)

    def is_leased(self, now: datetime) -> bool:
        return self.owner is not None and self.lease_until is not None and self.lease_until > now

    def is_due(self, now: datetime) -> bool:
        if self.owner is not None:
            return not self.is_leased(now)
        return self.due_at <= now


@dataclass
class ModelClock:
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.time


class SpoolMachine(RuleBasedStateMachine):
    """Two workers on one store; the model's deliveries are one per message and next hop."""

    messages: Bundle[str] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.clock = ModelClock()
        self.spools = {slot: self.open(slot) for slot in WORKERS}
        self.model: dict[tuple[str, str], ModelDelivery] = {}
        self.large: dict[str, bool] = {}
        self.keys: set[str] = set()

    def open(self, slot: int) -> SqliteSpool:
        return self.run(
            SqliteSpool.open(self.folder, slot=slot, reserve=0, inline_up_to=100, clock=self.clock, hold_for=None)
        )

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        for spool in self.spools.values():
            self.run(spool.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(
        target=messages,
        slot=st.sampled_from(WORKERS),
        hops=st.lists(st.sampled_from(HOPS), min_size=1, max_size=4),
        held=st.booleans(),
        wait=st.none() | st.integers(-5, 30),
        large=st.booleans(),
        keys=st.sets(st.sampled_from(("k1", "k2", "k3"))),
    )
    def accept(self, slot: int, hops: list[str], held: bool, wait: int | None, large: bool, keys: set[str]) -> str:
        now = self.clock.now()
        due_at = None if wait is None else now + timedelta(minutes=wait)
        states = (State.HELD,) * len(hops) if held else ()
        body = b"x" * (1000 if large else 10)
        message = sample_message(
            body, hops=hops, states=states, due_at=due_at, claims=tuple(map(OnceKey, keys)), accepted_at=now
        )
        accepted = self.run(self.spools[slot].accept(message))
        assert accepted.claimed == keys - self.keys
        self.keys |= keys
        self.large[message.queue_id] = large
        for hop in set(hops):
            recipients = {index for index, name in enumerate(hops) if name == hop}
            delivery = ModelDelivery(
                message.queue_id, hop, recipients, State.HELD if held else State.QUEUED, due_at or now
            )
            if due_at is None and not held:
                delivery.owner, delivery.lease_until = slot, now + LEASE
            self.model[message.queue_id, hop] = delivery
        return message.queue_id

    @rule(slot=st.sampled_from(WORKERS), blocked=st.sets(st.sampled_from(HOPS)), limit=st.integers(1, 10))
    def lease(self, slot: int, blocked: set[str], limit: int) -> None:
        now = self.clock.now()
        due = {
            key: delivery
            for key, delivery in self.model.items()
            if delivery.state is State.QUEUED and delivery.next_hop not in blocked and delivery.is_due(now)
        }
        taken = self.run(self.spools[slot].lease_due(now, limit=limit, blocked=blocked))
        keys = [(delivery.message.queue_id, delivery.next_hop) for delivery in taken]
        assert len(keys) == len(set(keys)) == min(limit, len(due))
        assert set(keys) <= due.keys()
        for found in taken:
            expected = self.model[found.message.queue_id, found.next_hop]
            assert {entry.index for entry in found.recipients} == expected.recipients
            assert found.attempts == expected.attempts
            assert {variant.group for variant in found.variants} == expected.groups_stored & expected.recipients
            expected.owner, expected.lease_until = slot, now + LEASE

    @precondition(lambda self: any(delivery.owner is not None for delivery in self.model.values()))
    @rule(which=st.integers(0, 100), done=st.sets(st.integers(0, 3)), wait=st.integers(0, 30), mine=_MOSTLY)
    def settle(self, which: int, done: set[int], wait: int, mine: bool) -> None:
        """By who leased it last, or (not `mine`) by the other, who must not."""
        owned = [delivery for delivery in self.model.values() if delivery.owner is not None]
        delivery = owned[which % len(owned)]
        assert delivery.owner is not None
        left = delivery.recipients - done
        due_at = self.clock.now() + timedelta(minutes=wait)
        results = [RecipientResult(index, SOMEBODY, BUSY) for index in left]
        variants = tuple(StoredVariant(group, ((0, 0, b"x"),)) for group in range(4))
        final = dict.fromkeys(done, State.DELIVERED)
        settlement = Settlement(delivery.queue_id, delivery.next_hop, results, final, due_at, variants)
        if not mine:
            with pytest.raises(LeaseLostError):
                self.run(self.spools[1 - delivery.owner].settle(settlement))
            return
        self.run(self.spools[delivery.owner].settle(settlement))
        delivery.recipients = left
        delivery.owner = delivery.lease_until = None
        delivery.due_at = due_at
        delivery.attempts += 1
        delivery.groups_stored |= left
        if not left:
            del self.model[delivery.queue_id, delivery.next_hop]

    @rule(message=messages, hop=st.sampled_from(HOPS), slot=st.sampled_from(WORKERS))
    def settle_what_is_not_leased(self, message: str, hop: str, slot: int) -> None:
        delivery = self.model.get((message, hop))
        if delivery is None or delivery.owner != slot:
            with pytest.raises(LeaseLostError):
                self.run(self.spools[slot].settle(Settlement(message, hop, (), {0: State.DELIVERED})))

    @rule(message=messages, hop=st.sampled_from(HOPS), slot=st.sampled_from(WORKERS))
    def give_back(self, message: str, hop: str, slot: int) -> None:
        now = self.clock.now()
        self.run(self.spools[slot].give_back(message, hop, now))
        delivery = self.model.get((message, hop))
        if delivery is not None and delivery.owner == slot:
            delivery.owner = delivery.lease_until = None
            delivery.due_at = now

    @rule(slot=st.sampled_from(WORKERS))
    def renew(self, slot: int) -> None:
        self.run(self.spools[slot].renew())
        for delivery in self.model.values():
            if delivery.owner == slot:
                delivery.lease_until = self.clock.now() + LEASE

    @rule(minutes=st.integers(1, 15))
    def wait(self, minutes: int) -> None:
        self.clock.time += timedelta(minutes=minutes)

    @rule(slot=st.sampled_from(WORKERS))
    def restart(self, slot: int) -> None:
        self.run(self.spools[slot].close())
        self.spools[slot] = self.open(slot)
        for delivery in self.model.values():
            if delivery.owner == slot:
                delivery.owner = delivery.lease_until = None
                delivery.due_at = self.clock.now()

    def matching(self, hop: str, state: State | None) -> list[ModelDelivery]:
        now = self.clock.now()
        return [
            delivery
            for delivery in self.model.values()
            if delivery.next_hop == hop and not delivery.is_leased(now) and state in (None, delivery.state)
        ]

    @rule(hop=st.sampled_from(HOPS))
    def hold(self, hop: str) -> None:
        meant = self.matching(hop, State.QUEUED)
        assert self.run(self.spools[0].hold(QueueFilter(next_hop=hop))) == len(meant)
        for delivery in meant:
            delivery.state = State.HELD
            delivery.owner = delivery.lease_until = None

    @rule(hop=st.sampled_from(HOPS))
    def release(self, hop: str) -> None:
        meant = self.matching(hop, State.HELD)
        assert self.run(self.spools[0].release(QueueFilter(next_hop=hop))) == len(meant)
        for delivery in meant:
            delivery.state = State.QUEUED
            delivery.due_at = self.clock.now()

    @rule(hop=st.sampled_from(HOPS))
    def retry(self, hop: str) -> None:
        meant = self.matching(hop, State.QUEUED)
        assert self.run(self.spools[1].retry_now(QueueFilter(next_hop=hop))) == len(meant)
        for delivery in meant:
            delivery.due_at = self.clock.now()
            delivery.owner = delivery.lease_until = None

    @rule(target=messages, message=consumes(messages))
    def delete(self, message: str) -> MultipleResults[str] | str:
        now = self.clock.now()
        meant = [key for key, d in self.model.items() if key[0] == message and not d.is_leased(now)]
        assert self.run(self.spools[1].delete(QueueFilter(queue_id=message))) == len(meant)
        for key in meant:
            del self.model[key]
        return message if any(key[0] == message for key in self.model) else multiple()

    @invariant()
    def both_agree(self) -> None:
        entries = self.run(self.spools[0].entries(EVERYTHING))
        found = {
            (entry.queue_id, recipient.next_hop, recipient.index, recipient.state)
            for entry in entries
            for recipient in entry.recipients
        }
        expected = {
            (delivery.queue_id, delivery.next_hop, index, delivery.state)
            for delivery in self.model.values()
            for index in delivery.recipients
        }
        assert found == expected
        now = self.clock.now()
        for entry in entries:
            deliveries = [delivery for delivery in self.model.values() if delivery.queue_id == entry.queue_id]
            assert entry.attempts == max(delivery.attempts for delivery in deliveries)
            assert entry.leased == any(delivery.is_leased(now) for delivery in deliveries)
        files = [path for path in (self.folder / "bodies").rglob("*") if path.is_file()]
        assert len(files) == len({queue_id for queue_id, _ in self.model if self.large[queue_id]})


SpoolMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSpoolAgainstItsModel = SpoolMachine.TestCase
