"""Senders are told in time of mail for a next hop that nobody tries at present."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.queue import FrozenHop, QueueFilter
from mta.model.reply import Reply
from mta.ports.transport import Stopped
from mta.relay.deliver.next_hops import NextHops
from tests.servers.relay import Relay
from tests.unit.relay.test_pipeline import MESSAGE, OK, RecordingTransport, World, open_world


@dataclass
class Down(RecordingTransport):
    """A next hop that is left alone for this reason, as long as there is one."""

    reason: str = "451 4.4.1 Can't connect"
    is_left_alone: bool = False
    """Whether new mail is queued without an attempt, as it is as soon as the circuit is open."""

    def is_blocked(self, domain: str) -> bool:
        return self.is_left_alone

    def blocked(self) -> Collection[str]:
        return [""] if self.reason else []

    def stopped(self) -> Mapping[str, Stopped]:
        return {"": Stopped(60.0, self.reason)} if self.reason.startswith("451") else {}


RULES = """
rules:
  - name: no-secrets
    when: {all: [{subject: {phrase: secret}}, {recipient: {scope: external}}]}
    actions: [{reject: {text: Secrets stay inside}}]
  - name: silence
    when: {all: [{subject: {phrase: silence}}, {recipient: {scope: external}}]}
    actions: [{drop: {}}]
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Mail for the outside goes by a next hop that is down, mail for ourselves (reports) by one that is up."""
    relay = Relay(tmp_path / "relay", 25)
    relay.settings["next_hops"].append({**relay.settings["next_hops"][0], "name": "home"})
    relay.settings["routing"]["domains"] = {"example.com": "home"}
    relay.write_settings()
    relay.write_rules(RULES)
    async with open_world(tmp_path, relay) as opened:
        up, down = opened.transport, Down(answer=lambda entry: Reply(451, "4.4.1", "Can't connect"))
        next_hops = NextHops(lambda hop: down if hop.name == "out" else up)
        next_hops.apply(opened.equipment.rulebook.snapshot.configuration.next_hops, "out")
        opened.equipment.next_hops = next_hops
        for _ in range(3):
            await opened.submit(MESSAGE, "bob@example.net")
        await opened.finish()
        down.copies.clear()
        yield opened


def down(world: World) -> Down:
    found = world.equipment.next_hops.transport("out")
    assert isinstance(found, Down)
    return found


async def look(world: World, hours: float) -> list[bytes]:
    """After so much time: what is overdue is looked for, and the reports that come of it are sent."""
    world.transport.copies.clear()
    world.clock.time += timedelta(hours=hours)
    await world.pipeline.queue_runner.overdue.look()
    await world.run_queue()
    return [data for data, _ in world.transport.copies]


async def test_late_mail_is_told_of_once_and_given_up_in_time(world: World) -> None:
    assert await look(world, 3) == []
    warnings = await look(world, 2)
    assert [b"Action: delayed" in data and b"Status: 4.4.1" in data for data in warnings] == [True] * 3
    assert await look(world, 10) == []
    failures = await look(world, 40)
    assert [b"Action: failed" in data and b"Status: 4.4.7" in data for data in failures] == [True] * 3
    assert await world.queue() == []
    assert down(world).copies == [], "it was left alone all the time"


async def test_what_only_waits_for_its_turn_is_told_as_that(world: World) -> None:
    down(world).reason = "pace"
    warnings = await look(world, 5)
    assert all(b"Status: 4.3.2" in data and b"puts us off at present" in data for data in warnings)
    assert len(warnings) == 3


async def test_what_is_frozen_waits_untold(world: World) -> None:
    await world.equipment.spool.freeze(FrozenHop("out", world.clock.time, "root", ""))
    await world.pipeline.queue_runner.note_orders()
    assert await look(world, 60) == []
    assert len(await world.equipment.spool.entries(QueueFilter())) == 3


async def test_what_is_up_again_is_tried_and_not_put_off(world: World) -> None:
    down(world).reason = ""
    down(world).answer = lambda entry: OK
    assert await look(world, 5) == []
    assert len(down(world).copies) == 3


async def test_whom_a_rule_has_decided_on_is_never_late(world: World) -> None:
    """What a rule drops is gone, and what it rejects is told as that: neither has to do with the next hop."""
    down(world).is_left_alone = True
    await world.submit(MESSAGE.replace(b"Offer", b"silence"), "bob@example.net", "john@example.com")
    await world.submit(MESSAGE.replace(b"Offer", b"secret"), "bob@example.net", "john@example.com")
    await world.finish()
    told = await look(world, 5)
    assert [data for data in told if b"silence" in data and b"delivery-status" in data] == []
    [rejected] = [data for data in told if b"secret" in data and b"delivery-status" in data]
    assert b"Action: failed" in rejected
    assert b"Secrets stay inside" in rejected
    assert len(await world.queue()) == 3, "those of whom nothing is decided"
