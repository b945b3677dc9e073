"""What an administrator does at night: sees why mail stands still, and gets it moving, by another way or back."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, greets, wait_until

SENDER = "jane@example.com"


@contextmanager
def _relay_to(folder: Path, ports: dict[str, int], **overrides: Any) -> Iterator[Relay]:
    """A relay with these next hops; `home` gets our own domain's mail, DSNs for instance."""
    hops = [
        {"name": name, "kind": "smtp", "hosts": [{"host": "127.0.0.1", "port": port}], "tls": {"mode": "none"}}
        for name, port in ports.items()
    ]
    routing = {"default": "out", "domains": {"example.com": "home"} if "home" in ports else {}}
    with running_relay(folder, ports["out"], next_hops=hops, routing=routing, **overrides) as relay:
        yield relay


def _send(relay: Relay, name: str, *to: str) -> str:
    return send(relay.port, SENDER, list(to or ["r@customer.example"]), simple_message(name)).queue_id


def _json(relay: Relay, *arguments: str) -> Any:
    return json.loads(relay.cli(*arguments, "--json").stdout)


# --- freezing ---


def test_a_frozen_next_hop_gets_nothing_until_it_is_thawed_not_even_after_a_restart(tmp_path: Path) -> None:
    with Sink() as sink, Sink() as other, _relay_to(tmp_path / "r", {"out": sink.port, "home": other.port}) as relay:
        relay.cli("queue", "freeze", "out", "--reason", "maintenance")
        relay.wait_for_event("next-hop-frozen", next_hop="out", reason="maintenance")
        waiting = _send(relay, "waits", "r@customer.example", "john@example.com")
        relay.wait_for_event("left-alone", queue_id=waiting, next_hop="out")
        assert other.wait_for(1)[0].rcpt_to == ("john@example.com",)
        (entry,) = _json(relay, "queue", "list")
        assert [(r["address"], r["state"]) for r in entry["recipients"]] == [("r@customer.example", "queued")]
        wait_until(lambda: "FROZEN next hops: 1" in relay.cli("status").stdout, 20, "a status that tells of it")
        assert "out (frozen)" in relay.cli("queue", "summary").stdout
        relay.stop()
        relay.start()
        relay.cli("queue", "retry", waiting)
        late = _send(relay, "waits too")
        relay.wait_for_event("left-alone", queue_id=late)
        assert sink.connections == 0
        assert _json(relay, "queue", "frozen")[0]["waiting"] == 2
        assert relay.events("deferred") == []
        relay.cli("queue", "thaw", "out")
        sink.wait_for(2)
        relay.wait_until_settled()
    assert {event["attempts"] for event in relay.events("delivered") if event["next_hop"] == "out"} == {1}


# --- another way, or back ---


@dataclass(frozen=True)
class Stuck:
    """A relay whose way out is dead."""

    relay: Relay
    home: Sink
    backup: Sink

    def send(self, name: str, *to: str) -> str:
        queue_id = _send(self.relay, name, *to)
        self.relay.wait_for_event("deferred", queue_id=queue_id)
        return queue_id


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stuck]:
    folder = tmp_path_factory.mktemp("stuck") / "r"
    with Sink() as home, Sink() as backup:
        ports = {"out": free_port(), "home": home.port, "backup": backup.port}
        with _relay_to(folder, ports) as relay:
            yield Stuck(relay, home, backup)


def test_mail_for_a_dead_next_hop_is_sent_by_another(stuck: Stuck) -> None:
    queue_id = stuck.send("rerouted")
    would = stuck.relay.cli("queue", "reroute", "--to", "backup", "--next-hop", "out", "--dry-run").stdout
    assert "would be rerouted: 1 message" in would
    assert stuck.backup.connections == 0
    stuck.relay.cli("queue", "reroute", "--to", "backup", "--next-hop", "out")
    assert stuck.backup.wait_for_message(b"<rerouted@").rcpt_to == ("r@customer.example",)
    stuck.relay.wait_until_settled(queue_id)
    changed = stuck.relay.wait_for_event("queue-changed", what="reroute")
    assert (changed["queue_ids"], changed["to"]) == (queue_id, "backup")


def test_a_bounced_recipient_is_reported_to_the_sender_and_the_others_stay(stuck: Stuck) -> None:
    queue_id = stuck.send("parted", "a@customer.example", "b@customer.example")
    stuck.relay.cli("queue", "bounce", "--recipient", "b@customer.example")
    dsn = stuck.home.wait_for_message(queue_id.encode())
    assert (dsn.mail_from, dsn.rcpt_to) == ("", (SENDER,))
    blocks = [part for part in email.message_from_bytes(dsn.data).walk() if "Final-Recipient" in part]
    assert [(b["Final-Recipient"], b["Action"]) for b in blocks] == [("rfc822; b@customer.example", "failed")]
    (left,) = _json(stuck.relay, "queue", "list", "--id", queue_id)
    assert [r["address"] for r in left["recipients"]] == ["a@customer.example"]
    stuck.relay.cli("queue", "delete", queue_id)


def test_bouncing_everything_does_not_bounce_the_reports_about_it(stuck: Stuck) -> None:
    ids = [_send(stuck.relay, name) for name in ("one", "two", "three")]
    assert _json(stuck.relay, "queue", "bounce", "--all") == {"bounced": 3, "busy": 0}
    for queue_id in ids:
        assert stuck.home.wait_for_message(queue_id.encode()).rcpt_to == (SENDER,)
    assert stuck.relay.events("own-message-lost") == []


def test_what_is_being_delivered_is_left_alone_and_said_to_be(tmp_path: Path) -> None:
    with Sink(silent=True) as sink, _relay_to(tmp_path / "r", {"out": sink.port}, drain="1s") as relay:
        queue_id = _send(relay, "slow")
        wait_until(lambda: sink.connections, 20, "an attempt")
        done = relay.cli("queue", "delete", queue_id, "--json", check=False)
        assert (done.returncode, json.loads(done.stdout)) == (1, {"deleted": 0, "busy": 1})
        shown = relay.cli("queue", "show", queue_id).stdout
        assert "in the hands of worker 0" in shown


# --- draining ---


def test_a_draining_node_takes_no_mail_and_delivers_what_it_has(tmp_path: Path) -> None:
    is_busy = True

    def script(verb: str, argument: str) -> str | None:
        return "450 4.3.2 not now" if is_busy and verb == "RCPT" else None

    with Sink(script) as sink, _relay_to(tmp_path / "r", {"out": sink.port}) as relay:
        relay.wait_for_event("deferred", queue_id=_send(relay, "left"))
        with SmtpClient(relay.port) as open_before:
            relay.cli("drain", "--reason", "new memory")
            wait_until(lambda: not greets(relay.port), 20, "the end of greetings")
            assert open_before.command(b"MAIL FROM:<jane@example.com>").code == 421
        wait_until(lambda: "DRAINING" in relay.cli("status").stdout, 20, "a status that tells of it")
        given_up = relay.cli("drain", "--wait", "--timeout", "1s", check=False)
        assert given_up.returncode == 1
        assert "1 message" in given_up.stdout
        is_busy = False
        assert relay.cli("drain", "--wait", "--timeout", "50s").stdout == "the queue is empty\n"
        assert len(sink.arrived) == 1
        relay.cli("undrain")
        wait_until(lambda: greets(relay.port), 20, "a greeting")


# --- a message's life ---


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, str]]:
    """A relay that has stopped, and a message to two: one delivered, one refused and reported to the sender."""

    def script(verb: str, argument: str) -> str | None:
        return "550 5.1.1 who is that?" if (verb, argument) == ("RCPT", "b@customer.example") else None

    with (
        Sink(script) as out,
        Sink() as home,
        _relay_to(tmp_path_factory.mktemp("traced") / "r", {"out": out.port, "home": home.port}) as relay,
    ):
        queue_id = _send(relay, "life", "a@customer.example", "b@customer.example")
        home.wait_for(1)
        relay.wait_until_settled()
        wait_until(lambda: len(relay.events("delivered")) == 2, 20, "the report's delivery in the log")
        relay.stop()
        yield relay, queue_id


def test_a_message_is_traced_with_the_report_that_followed(traced: tuple[Relay, str]) -> None:
    relay, queue_id = traced
    (life,) = _json(relay, "trace", queue_id)["messages"]
    outcomes = {fate["address"]: (fate["outcome"], fate["reply"]) for fate in life["recipients"]}
    assert outcomes["a@customer.example"] == ("delivered", "250 2.0.0 taken 1")
    assert outcomes["b@customer.example"] == ("failed", "550 5.1.1 who is that?")
    (dsn,) = life["derived"]
    assert [(fate["address"], fate["outcome"]) for fate in dsn["recipients"]] == [(SENDER, "delivered")]
    assert (dsn["follows_from"], dsn["is_queued"], life["is_queued"]) == (queue_id, False, False)
    text = relay.cli("trace", queue_id).stdout
    assert "received from 127.0.0.1" in text
    assert f"DSN {dsn['queue_id']}" in text


@pytest.mark.parametrize("what", ["<life@mail.example.com>", "life@mail.example.com"])
def test_a_message_is_traced_by_its_message_id(traced: tuple[Relay, str], what: str) -> None:
    relay, queue_id = traced
    assert [life["queue_id"] for life in _json(relay, "trace", what)["messages"]] == [queue_id]


@pytest.mark.parametrize("address", [SENDER, "B@Customer.Example"])
def test_an_addresss_messages_are_listed(traced: tuple[Relay, str], address: str) -> None:
    relay, queue_id = traced
    (row,) = _json(relay, "trace", address)["messages"]
    assert (row["queue_id"], row["outcome"]) == (queue_id, "delivered 1, failed 1")


def test_what_nobody_knows_is_said_to_be_unknown(traced: tuple[Relay, str]) -> None:
    relay, _ = traced
    done = relay.cli("trace", "nobody@nowhere.example", check=False)
    assert done.returncode == 1
    assert "nothing is known of nobody@nowhere.example" in done.stderr
    assert "and the queue" in done.stderr
