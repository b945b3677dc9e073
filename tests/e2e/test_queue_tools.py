"""What an administrator does at night: sees why mail stands still, and gets it moving, by another way or back.

One relay for all. Commands run within the test's process where a process of their own would add nothing.
"""

from __future__ import annotations

import email
import json
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest

from mta import events
from mta.cli import drain, main, queue_work
from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, greets, wait_until

SENDER = "jane@example.com"


@dataclass
class Mood:
    """What a next hop is like at the moment."""

    refusal: str | None = None
    """Its answer to RCPT."""
    goes_on: threading.Event = field(default_factory=threading.Event)
    """Cleared: it doesn't answer MAIL."""

    def script(self, verb: str, argument: str) -> str | None:
        if verb == "MAIL":
            self.goes_on.wait(60)
        return self.refusal if verb == "RCPT" and not argument.startswith("good") else None


@dataclass(frozen=True)
class World:
    """A relay whose default way is dead, with other next hops: `moody` gets moody.example, `home` our own domain."""

    relay: Relay
    home: Sink
    backup: Sink
    moody: Sink
    mood: Mood

    def send(self, name: str, *to: str) -> str:
        return send(self.relay.port, SENDER, list(to or ["r@customer.example"]), simple_message(name)).queue_id

    def stick(self, name: str, *to: str) -> str:
        """The same, and wait until a next hop has been tried in vain."""
        queue_id = self.send(name, *to)
        self.relay.wait_for_event("deferred", queue_id=queue_id)
        return queue_id

    def command(self, *arguments: str, code: int = 0) -> str:
        """What `stampline ARGUMENTS` prints."""
        printed = StringIO()
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                given = main([*arguments, "--config", str(self.relay.configuration)])
        finally:
            events.configure(())
        assert given == code, printed.getvalue()
        return printed.getvalue()

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.command(*arguments, "--json", code=code))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    mood = Mood()
    with Sink() as home, Sink() as backup, Sink(mood.script) as moody:
        ports = {"out": free_port(), "home": home.port, "backup": backup.port, "moody": moody.port}
        hops = [
            {"name": name, "kind": "smtp", "hosts": [{"host": "127.0.0.1", "port": port}], "tls": {"mode": "none"}}
            for name, port in ports.items()
        ]
        routing = {"default": "out", "domains": {"example.com": "home", "moody.example": "moody"}}
        folder = tmp_path_factory.mktemp("queue") / "r"
        with running_relay(folder, ports["out"], next_hops=hops, routing=routing, drain="1s") as relay:
            yield World(relay, home, backup, moody, mood)


@pytest.fixture
def world(shared: World) -> World:
    """With an empty queue, and `moody` in its best mood."""
    shared.mood.refusal = None
    shared.mood.goes_on.set()
    shared.command("queue", "delete", "--all", "--yes")
    return shared


# --- freezing ---


def test_a_frozen_next_hop_gets_nothing_until_it_is_thawed_not_even_after_a_restart(world: World) -> None:
    relay = world.relay
    before = world.moody.connections
    relay.cli("queue", "freeze", "moody", "--reason", "maintenance")
    relay.wait_for_event("next-hop-frozen", next_hop="moody", reason="maintenance")
    waiting = world.send("waits", "r@moody.example", "john@example.com")
    relay.wait_for_event("left-alone", queue_id=waiting, next_hop="moody")
    assert world.home.wait_for_message(b"<waits@").rcpt_to == ("john@example.com",)
    (entry,) = world.json("queue", "list")
    assert [(r["address"], r["state"]) for r in entry["recipients"]] == [("r@moody.example", "queued")]
    wait_until(lambda: "FROZEN next hops: 1" in world.command("status"), 60, "a status that tells of it")
    assert "moody (frozen)" in world.command("queue", "summary")
    relay.stop()
    (life,) = json.loads(relay.cli("trace", waiting, "--json").stdout)["messages"]
    assert {each["address"]: each["outcome"] for each in life["recipients"]} == {
        "r@moody.example": "queued",
        "john@example.com": "delivered",
    }
    relay.start()
    world.command("queue", "retry", waiting)
    late = world.send("waits too", "r@moody.example")
    relay.wait_for_event("left-alone", queue_id=late)
    assert world.moody.connections == before
    assert world.json("queue", "frozen")[0]["waiting"] == 2
    world.command("queue", "thaw", "moody")
    for queue_id in (waiting, late):
        relay.wait_until_settled(queue_id)
        assert relay.wait_for_event("delivered", queue_id=queue_id, next_hop="moody")["attempts"] == 1


# --- another way, or back ---


def test_mail_for_a_dead_next_hop_is_sent_by_another(world: World) -> None:
    queue_id = world.stick("rerouted")
    would = world.command("queue", "reroute", "--to", "backup", "--next-hop", "out", "--dry-run")
    assert "would be rerouted: 1 message" in would
    assert world.backup.connections == 0
    world.command("queue", "reroute", "--to", "backup", "--next-hop", "out")
    assert world.backup.wait_for_message(b"<rerouted@").rcpt_to == ("r@customer.example",)
    world.relay.wait_until_settled(queue_id)
    changed = world.relay.wait_for_event("queue-changed", what="reroute")
    assert (changed["queue_ids"], changed["to"]) == (queue_id, "backup")


def test_a_bounced_recipient_is_reported_to_the_sender_and_the_others_stay(world: World) -> None:
    queue_id = world.stick("parted", "a@customer.example", "b@customer.example")
    world.command("queue", "bounce", "--recipient", "b@customer.example")
    dsn = world.home.wait_for_message(queue_id.encode())
    assert (dsn.mail_from, dsn.rcpt_to) == ("", (SENDER,))
    blocks = [part for part in email.message_from_bytes(dsn.data).walk() if "Final-Recipient" in part]
    assert [(b["Final-Recipient"], b["Action"]) for b in blocks] == [("rfc822; b@customer.example", "failed")]
    (left,) = world.json("queue", "list", "--id", queue_id)
    assert [r["address"] for r in left["recipients"]] == ["a@customer.example"]


def test_bouncing_everything_does_not_bounce_the_reports_about_it(world: World) -> None:
    ids = [world.stick(name) for name in ("one", "two", "three")]
    assert world.json("queue", "bounce", "--all") == {"bounced": 3, "busy": 0}
    for queue_id in ids:
        assert world.home.wait_for_message(queue_id.encode()).rcpt_to == (SENDER,)
    assert world.relay.events("own-message-lost") == []


def test_what_is_being_delivered_is_left_alone_and_said_to_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_work, "BUSY_S", 0.3)
    world.mood.goes_on.clear()
    queue_id = world.send("slow", "good@moody.example")
    assert world.json("queue", "delete", queue_id, code=1) == {"deleted": 0, "busy": 1}
    assert "in the hands of worker 0" in world.command("queue", "show", queue_id)
    world.mood.goes_on.set()
    world.relay.wait_until_settled(queue_id)


# --- draining ---


def test_a_draining_node_takes_no_mail_and_delivers_what_it_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_LOOK_S", 0.1)
    relay = world.relay
    world.mood.refusal = "450 4.3.2 not now"
    world.stick("left", "r@moody.example")
    with SmtpClient(relay.port) as open_before:
        world.command("drain", "--reason", "new memory")
        wait_until(lambda: not greets(relay.port), 60, "the end of greetings")
        assert open_before.command(b"MAIL FROM:<jane@example.com>").code == 421
    wait_until(lambda: "DRAINING" in world.command("status"), 60, "a status that tells of it")
    assert "1 message" in world.command("drain", "--wait", "--timeout", "1s", code=1)
    world.mood.refusal = None
    assert relay.cli("drain", "--wait", "--timeout", "50s").stdout == "the queue is empty\n"
    assert world.moody.wait_for_message(b"<left@")
    world.command("undrain")
    wait_until(lambda: greets(relay.port), 60, "a greeting")


# --- a message's life ---


@pytest.fixture(scope="module")
def traced(shared: World) -> str:
    """The queue id of a message to two: one delivered, one refused and reported to the sender."""
    shared.mood.goes_on.set()
    shared.mood.refusal = "550 5.1.1 who is that?"
    queue_id = shared.send("life", "good@moody.example", "b@moody.example")
    failed = shared.relay.wait_for_event("failed", queue_id=queue_id)
    shared.relay.wait_for_event("delivered", queue_id=failed["dsn"])
    return queue_id


def test_a_message_is_traced_with_the_report_that_followed(world: World, traced: str) -> None:
    (life,) = world.json("trace", traced)["messages"]
    outcomes = {fate["address"]: (fate["outcome"], fate["reply"]) for fate in life["recipients"]}
    assert outcomes["good@moody.example"][0] == "delivered"
    assert outcomes["b@moody.example"] == ("failed", "550 5.1.1 who is that?")
    (dsn,) = life["derived"]
    assert [(fate["address"], fate["outcome"]) for fate in dsn["recipients"]] == [(SENDER, "delivered")]
    assert (dsn["follows_from"], dsn["is_queued"], life["is_queued"]) == (traced, False, False)
    text = world.command("trace", traced)
    assert "received from 127.0.0.1" in text
    assert f"DSN {dsn['queue_id']}" in text


@pytest.mark.parametrize("what", ["<life@mail.example.com>", "life@mail.example.com"])
def test_a_message_is_traced_by_its_message_id(world: World, traced: str, what: str) -> None:
    assert [life["queue_id"] for life in world.json("trace", what)["messages"]] == [traced]


@pytest.mark.parametrize("address", [SENDER, "B@Moody.Example"])
def test_an_addresss_messages_are_listed(world: World, traced: str, address: str) -> None:
    rows = {row["queue_id"]: row["outcome"] for row in world.json("trace", address)["messages"]}
    assert rows[traced] == "delivered 1, failed 1"


def test_what_nobody_knows_is_said_to_be_unknown(world: World) -> None:
    said = world.command("trace", "nobody@nowhere.example", code=1)
    assert "nothing is known of nobody@nowhere.example" in said
    assert "and the queue" in said
