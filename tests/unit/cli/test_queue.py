"""`stampline queue` on a real spool."""

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
next_hops: [{name: out, kind: smtp, hosts: [{host: 127.0.0.1}]}]
routing: {default: out}
spool: {folder: spool, reserve: 1kB}
logs: {folder: log, format: json}
control: {socket: control.sock}
"""
CONTENT = b"Subject: Offer \x1b[2J\r\nMessage-ID: <1@example.com>\r\n\r\nThe body is nobody's business.\r\n"


class Queue:
    """A configuration with a spool, and the command on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "stampline.yaml"
        self.config.write_text(CONFIGURATION)
        self.folder = folder
        (folder / "spool").mkdir()
        self._capsys = capsys

    def fill(self, *messages: AcceptedMessage) -> None:
        async def accept() -> None:
            spool = await SqliteSpool.open(self.folder / "spool", slot=0, reserve=1000)
            for message in messages:
                await spool.accept(message)
            await spool.close()

        asyncio.run(accept())

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it printed."""
        assert main(["queue", *arguments, "--config", str(self.config)]) == code
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def ids(self, *arguments: str) -> list[str]:
        return [entry["queue_id"] for entry in self.json("list", *arguments)]


@pytest.fixture
def queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Queue:
    return Queue(tmp_path, capsys)


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


def test_an_empty_queue(queue: Queue) -> None:
    assert queue.run("list") == "0 messages\n"
    assert queue.json("list") == []


def test_a_spool_that_is_not_there_is_not_made(queue: Queue) -> None:
    (queue.folder / "spool").rmdir()
    queue.run("list", code=1)
    assert not (queue.folder / "spool").exists()


def test_list_for_people(queue: Queue) -> None:
    queue.fill(message("Q1", recipients=["a@example.net", "b@example.net"]), message("Q2", state=State.HELD))
    heading, first, second, sums = queue.run("list").splitlines()
    assert heading.split()[:3] == ["QUEUE", "ID", "AGE"]
    assert first.split()[:4] == ["Q1", "5m", str(len(CONTENT)), "B"]
    assert "queued" in first
    assert "in 59m" in first
    assert "a@example.net +1" in first
    assert "held" in second
    assert sums == f"2 messages to 3 recipients, {2 * len(CONTENT)} B"


def test_list_for_programs(queue: Queue) -> None:
    queue.fill(message("Q1"))
    (entry,) = queue.json("list")
    assert entry["sender"] == "jane@example.com"
    assert entry["is_being_delivered"] is False
    assert [(r["address"], r["state"], r["next_hop"]) for r in entry["recipients"]] == [
        ("a@example.net", "queued", "out")
    ]


def test_filters(queue: Queue) -> None:
    queue.fill(
        message("Q1"),
        message("Q2", sender="john@example.com", age=timedelta(hours=5)),
        message("Q3", recipients=["b@example.org"], state=State.HELD),
        message("Q4", next_hop="other"),
    )
    assert queue.ids("--id", "Q2") == ["Q2"]
    assert queue.ids("--sender", "john@example.com") == ["Q2"]
    assert queue.ids("--recipient", "b@example.org") == ["Q3"]
    assert queue.ids("--next-hop", "other") == ["Q4"]
    assert queue.ids("--state", "held") == ["Q3"]
    assert queue.ids("--older-than", "4h") == ["Q2"]
    assert queue.ids("--state", "held", "--sender", "john@example.com") == []
    assert len(queue.ids()) == 4
    assert len(queue.ids("--limit", "2")) == 2


def test_wildcards(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", sender="jane@example.org"), message("Q3", recipients=["x_y@example.org"]))
    assert queue.ids("--sender", "*@example.org") == ["Q2"]
    assert queue.ids("--recipient", "x*@example.org") == ["Q3"]
    assert queue.ids("--recipient", "%") == []


def test_show_has_everything_but_the_body(queue: Queue) -> None:
    queue.fill(message("Q1"))
    shown = queue.run("show", "Q1")
    for part in (
        "mail.example.com [192.0.2.1] by listener exchange", "<jane@example.com>", "a@example.net", "snapshot abc",
        "stamp template=sales", "formats=html,plain", "(rule sales-external)", "group 0 (outbound: a@example.net)",
        "Subject: Offer \N{REPLACEMENT CHARACTER}[2J",
    ):  # fmt: skip
        assert part in shown
    assert "nobody's business" not in shown
    as_json = queue.json("show", "Q1")
    assert as_json["header"] == CONTENT.partition(b"\r\n\r\n")[0].decode()
    assert [a["kind"] for a in as_json["decision"]["recipients"][0]["actions"]] == ["stamp", "tag-subject"]


def test_show_of_what_is_not_there_fails(queue: Queue) -> None:
    queue.run("show", "Q9", code=1)


def test_hold_release_retry_delete(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2"))
    assert queue.run("hold", "Q1") == "held: 1\n"
    assert queue.ids("--state", "held") == ["Q1"]
    assert queue.json("release", "--state", "held") == {"released": 1, "busy": 0}
    assert queue.ids("--state", "held") == []
    assert queue.run("retry", "Q2") == "retried: 1\n"
    entry = queue.json("list", "--id", "Q2")[0]
    assert datetime.fromisoformat(entry["due_at"]) <= datetime.now(UTC)
    assert queue.run("delete", "Q1", "Q2") == "deleted: 2\n"
    assert queue.ids() == []
    queue.run("delete", "Q1", code=1)


@pytest.mark.parametrize("operation", ["retry", "hold", "release", "delete"])
def test_everything_is_only_meant_when_it_is_said(queue: Queue, operation: str) -> None:
    queue.fill(message("Q1"))
    queue.run(operation, code=2)
    queue.run(operation, "Q1", "--all", code=2)
    assert queue.ids("--state", "queued") == ["Q1"]
    queue.run(operation, "--all")


def test_who_changed_what_stands_in_the_log(queue: Queue) -> None:
    queue.fill(message("Q1"))
    queue.run("hold", "--sender", "jane@example.com", "--older-than", "1m")
    (path,) = (queue.folder / "log").iterdir()
    event = json.loads(path.read_text())
    assert (event["action"], event["what"], event["messages"]) == ("queue-changed", "hold", 1)
    assert event["which"] == "sender=jane@example.com older_than_s=60.0"
    assert event["by"]
    assert event["queue_ids"] == "Q1"


def test_a_message_that_a_filter_caught_is_found_in_the_log_by_its_queue_id(queue: Queue) -> None:
    queue.fill(message("Q1"), message("Q2", sender="john@example.com"), message("Q3", state=State.HELD))
    queue.run("delete", "--sender", "john@example.com")
    queue.run("release", "--all")
    (path,) = (queue.folder / "log").iterdir()
    deleted, released = map(json.loads, path.read_text().splitlines())
    assert (deleted["what"], deleted["queue_ids"]) == ("delete", "Q2")
    assert (released["what"], released["queue_ids"]) == ("release", "Q3")


def test_a_bad_configuration_is_2(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    queue.config.write_text("hostname: [\n")
    assert main(["queue", "list", "--config", str(queue.config)]) == 2
    assert f"{queue.config}:" in capsys.readouterr().err


def test_a_spool_that_cannot_be_opened_is_1(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    (queue.folder / "spool").rmdir()
    (queue.folder / "spool").write_text("not a folder")
    assert main(["queue", "list", "--config", str(queue.config)]) == 1
    assert capsys.readouterr().err.startswith("stampline: ")
