"""A configuration with a spool in a folder, messages for it, and commands on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.store.sqlite import SqliteSpool
from mta.cli import main
from mta.model.actions import Stamp, TagSubject
from mta.model.address import Address, parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry, State
from mta.model.envelope import Client, Envelope, ListenerRole

CONFIGURATION = """\
hostname: relay.example.com
listeners: [{name: in, port: 0, role: inbound}]
organisation:
  accepted_domains: [example.com]
  rules: rules
  templates: templates
  directory: {kind: yaml, file: people.yaml}
  mark: {keys: [{env: NOT_IN_THIS_SHELL}]}
next_hops:
- {name: backup, kind: smtp, hosts: [{host: 127.0.0.1}]}
- {name: direct, kind: mx}
- {name: out, kind: smtp, hosts: [{host: 127.0.0.1}]}
routing: {default: out}
spool: {folder: spool, reserve: 1kB}
logs: {folder: log, format: json}
control: {socket: control.sock}
"""
CONTENT = b"Subject: Offer \x1b[2J\r\nMessage-ID: <1@example.com>\r\n\r\nThe body is nobody's business.\r\n"


class Queue:
    """A configuration with a spool, and the command on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[Any]) -> None:
        self.config = folder / "stampline.yaml"
        self.config.write_text(CONFIGURATION)
        self.folder = folder
        self.capsys = capsys
        self.fill()

    def fill(self, *messages: AcceptedMessage) -> None:
        async def accept() -> None:
            spool = await SqliteSpool.open(self.folder / "spool", slot=0, reserve=1000)
            for message in messages:
                await spool.accept(message)
            await spool.close()

        asyncio.run(accept())

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it printed."""
        return self.command("queue", *arguments, code=code)

    def command(self, *arguments: str, code: int = 0) -> str:
        """What a command printed; where it fails, on standard error."""
        assert main([*arguments, "--config", str(self.config)]) == code
        printed = self.capsys.readouterr()
        return str(printed.err if code else printed.out)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def ids(self, *arguments: str) -> list[str]:
        return [entry["queue_id"] for entry in self.json("list", *arguments)]


def message(
    queue_id: str, sender: str = "jane@example.com", recipients: Sequence[str] = ("a@example.net",), *,
    state: State = State.QUEUED, next_hop: str = "out", age: timedelta = timedelta(minutes=5),
) -> AcceptedMessage:  # fmt: skip
    now = datetime.now(UTC)
    addresses: tuple[Address, ...] = tuple(parse_address(recipient) for recipient in recipients)
    actions = (Stamp(template="sales", rule="sales-external"), TagSubject(text="[ext]", rule="tag"))
    decided = tuple(
        RecipientDecision(address, Direction.OUTBOUND, Role.TO, actions, 0, next_hop) for address in addresses
    )
    entries = tuple(
        RecipientEntry(i, address, 0, next_hop, state, "450 4.2.0 later") for i, address in enumerate(addresses)
    )
    return AcceptedMessage(
        queue_id, now - age, Envelope(parse_address(sender), addresses),
        Client("192.0.2.1", 4242, "mail.example.com", "exchange", ListenerRole.TRUSTED), Body.of(CONTENT),
        Decision(decided, sender=sender), entries, "<1@example.com>", snapshot="abc", due_at=now + timedelta(hours=1),
    )  # fmt: skip
