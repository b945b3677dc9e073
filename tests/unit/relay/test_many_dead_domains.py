"""Mail for many domains that nobody can reach, each a next hop of its own, keeps no other mail waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import Reply
from mta.ports.transport import Segments
from mta.relay import in_hand
from mta.relay.deliver.next_hops import NextHops
from tests.servers.relay import Relay
from tests.unit.relay.test_pipeline import MESSAGE, OK, RecordingTransport, World, open_world

IN_HAND = 40
DEAD = 60


@dataclass
class Internet(RecordingTransport):
    """Servers of dead domains can't be reached, or don't even say so; those of live ones put us off, or don't."""

    hangs: bool = False
    defers: bool = True

    async def deliver(
        self, envelope: Envelope, recipients: Sequence[RecipientEntry], content: Segments, *, deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:  # fmt: skip
        if not recipients[0].address.domain.startswith("dead"):
            self.answer = lambda entry: Reply(451, "4.7.1", "Greylisted") if self.defers else OK
            results = await super().deliver(envelope, recipients, content, deadline_s=deadline_s)
            return [replace(result, remote_reply=str(result.reply)) for result in results]
        if self.hangs:
            await asyncio.Event().wait()
        return [RecipientResult(e.index, e.address, Reply(451, "4.4.1", "Can't connect")) for e in recipients]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(in_hand, "FROM_QUEUE_MAX", IN_HAND)
    relay = Relay(tmp_path / "relay", 25)
    relay.settings["next_hops"] = [{"name": "out", "kind": "mx"}]
    relay.write_settings()
    relay.write_rules("rules: []\n")
    async with open_world(tmp_path, relay) as opened:
        opened.transport = internet = Internet()
        opened.equipment.next_hops = NextHops(lambda hop: internet)
        opened.equipment.next_hops.apply(opened.equipment.rulebook.snapshot.configuration.next_hops, "out")
        yield opened
        tasks = list(opened.equipment.in_hand.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_that_could_be_reached_go_first_and_have_half_for_themselves(world: World) -> None:
    assert isinstance(world.transport, Internet)
    for number in range(DEAD):
        await world.submit(MESSAGE, f"bob@dead{number}.example")
    await world.submit(MESSAGE, "bob@live.example")
    await world.finish()
    world.transport.copies.clear()
    world.transport.hangs, world.transport.defers = True, False
    world.clock.time += timedelta(minutes=5)
    assert await world.pipeline.queue_runner.look() == 1 + IN_HAND // 2
    while not world.transport.copies:
        await asyncio.sleep(0)
    assert world.transport.copies[0][1] == ("bob@live.example",)
    await world.submit(MESSAGE, "bob@elsewhere.example")
    assert await world.pipeline.queue_runner.look() == 0, "the others wait for those that hang"


async def test_those_that_can_be_reached_again_are_like_all_others(world: World) -> None:
    assert isinstance(world.transport, Internet)
    for number in range(DEAD):
        await world.submit(MESSAGE, f"bob@dead{number}.example")
    await world.finish()
    for number in range(DEAD):
        world.equipment.in_hand.note_reached(f"out/dead{number}.example", is_reached=True)
    world.clock.time += timedelta(minutes=5)
    assert await world.pipeline.queue_runner.look() == IN_HAND
