"""The stage that authenticates: what goes wrong in it keeps no mail out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mta.model.envelope import Client, ListenerRole
from tests.servers.relay import Relay
from tests.unit.authenticate.zones import Zones
from tests.unit.relay.test_pipeline import open_world

STRANGER = Client("192.0.2.7", 25, "mx.example.org", "internet", ListenerRole.INBOUND)
MESSAGE = b"From: ann@example.org\r\nTo: jane@example.com\r\nSubject: x\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n"
RULES = """\
rules:
  - name: unknown
    when: {authentication: {dmarc: temperror}}
    actions: [{tag-subject: {text: '[unknown]'}}]
"""


class Broken(Zones):
    """A resolver with a fault of its own."""

    async def txt(self, name: str) -> Any:
        raise RuntimeError("a fault")


def _relay(folder: Path) -> Relay:
    relay = Relay(folder, 1)
    relay.settings["listeners"][1]["authentication"] = {"mode": "verify", "authserv_id": "MX.example.com"}
    relay.write_settings()
    relay.write_rules(RULES)
    return relay


async def test_results_stand_on_top_by_the_configured_name(tmp_path: Path) -> None:
    async with open_world(tmp_path, _relay(tmp_path / "relay")) as world:
        world.equipment.resolver = Zones({})
        await world.submit(MESSAGE, "jane@example.com", client=STRANGER)
        await world.finish()
        copy = world.copy_for("jane@example.com")
        assert copy.index(b"Authentication-Results: mx.example.com;") < copy.index(b"Received: ")
        assert b"Subject: x\r\n" in copy


async def test_a_fault_of_ours_is_a_temporary_error(tmp_path: Path) -> None:
    async with open_world(tmp_path, _relay(tmp_path / "relay")) as world:
        world.equipment.resolver = Broken({})
        assert (await world.submit(MESSAGE, "jane@example.com", client=STRANGER)).code == 250
        await world.finish()
        copy = world.copy_for("jane@example.com")
        assert b"Subject: [unknown] x\r\n" in copy
        assert b"dmarc=temperror" in copy


async def test_without_a_resolver_nothing_is_said(tmp_path: Path) -> None:
    async with open_world(tmp_path, _relay(tmp_path / "relay")) as world:
        await world.submit(MESSAGE, "jane@example.com", client=STRANGER)
        await world.finish()
        assert b"Authentication-Results" not in world.copy_for("jane@example.com")
