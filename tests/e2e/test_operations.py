"""What an administrator does to the running relay: reload, bypass, and work on the queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.client import SmtpClient, send
from tests.servers.load import CONNECTIONS, Load, simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until


def _rules(word: str) -> str:
    return f"rules:\n  - name: {word}\n    actions: [{{tag-subject: {{text: '[{word}]'}}}}]\n"


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Sink() as sink, running_relay(tmp_path / "relay", sink.port, rules=_rules("one"), workers=2) as relay:
        yield Running(relay, sink)


SHARED_RULES = """\
rules:
  - name: one
    when: {recipient: {domain: customer.example}}
    actions: [{tag-subject: {text: '[one]'}}]
  - name: quarantine
    when: {recipient: {domain: held.example}}
    actions: [hold, {tag-subject: {text: '[released]'}}]
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that leave it as they found it: serving by these rules, without bypass."""
    folder = tmp_path_factory.mktemp("operations") / "relay"
    with Sink() as sink, running_relay(folder, sink.port, rules=SHARED_RULES, workers=2) as relay:
        yield Running(relay, sink)


def _send(relay: Relay, name: int | str, to: str = "r@customer.example") -> str:
    return send(relay.port, "jane@example.com", [to], simple_message(name)).queue_id


def _number(data: bytes) -> int:
    return int(data.partition(b"Message-ID: <")[2].partition(b"@")[0])


# --- reload ---


def test_a_reload_under_load_loses_nothing_and_takes_effect_whole(running: Running) -> None:
    load = Load(running.relay.port, simple_message)
    thread = threading.Thread(target=load.run, args=(range(100_000),))
    thread.start()
    try:
        wait_until(lambda: len(load.acknowledged) > 100, 60, "some load")
        running.relay.write_rules(_rules("two"))
        running.relay.reload()
        running.relay.wait_for_event("reloaded")
        begun = load.attempts
        wait_until(lambda: load.attempts > begun + 100, 60, "more load")
    finally:
        load.stop()
        thread.join(60)
    assert load.attempts == len(load.acknowledged), "no connection was cut, no message refused"
    arrived = running.sink.wait_for(load.attempts)
    subjects = {_number(a.data): next(w for w in (b"[one] Hello", b"[two] Hello") if w in a.data) for a in arrived}
    assert subjects.keys() == load.acknowledged
    assert subjects[0] == b"[one] Hello"
    # Each connection may have been about to send one.
    assert {subject for number, subject in subjects.items() if number >= begun + CONNECTIONS} == {b"[two] Hello"}


def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(shared: Running) -> None:
    shared.relay.write_rules("rules:\n  - name: broken\n    actions: [{stamp: {template: nowhere}}]\n")
    try:
        shared.relay.reload()
        refused = shared.relay.wait_for_event("reload-refused")
        assert "10-test.yaml:3:" in refused["problem"]
        assert "nowhere" in refused["problem"]
        _send(shared.relay, "still")
        assert b"Subject: [one] Hello" in shared.sink.wait_for_message(b"<still@").data
    finally:
        shared.relay.write_rules(SHARED_RULES)


def test_a_waiting_message_keeps_the_decision_that_was_made(tmp_path: Path) -> None:
    port = free_port()
    retry = {"schedule": ["1s"], "expire_after": "2d"}
    with running_relay(tmp_path / "relay", port, rules=_rules("one"), retry=retry) as relay:
        queue_id = _send(relay, "waits")
        relay.wait_for_event("deferred", queue_id=queue_id)
        relay.write_rules(_rules("two"))
        relay.stop()
        relay.start()
        with Sink(port=port) as sink:
            assert b"Subject: [one] Hello" in sink.wait_for_message(b"<waits@").data


# --- bypass ---


def test_bypass_relays_everything_as_it_comes_until_switched_off(shared: Running) -> None:
    shared.relay.cli_here("bypass", "on", "--for", "1h")
    try:
        names = [f"bypassed-{number}" for number in range(6)]  # all workers
        for name in names:
            _send(shared.relay, name)
        for name in names:
            assert shared.sink.wait_for_message(f"<{name}@".encode()).data.endswith(simple_message(name))
    finally:
        shared.relay.cli("bypass", "off")
    _send(shared.relay, "normal")
    assert b"Subject: [one] Hello" in shared.sink.wait_for_message(b"<normal@").data
    assert [sum(f"<{name}@".encode() in each.data for each in shared.sink.arrived) for name in names] == [1] * 6


def test_bypass_survives_a_restart(shared: Running) -> None:
    shared.relay.cli_here("bypass", "on")
    try:
        shared.relay.stop()
        shared.relay.start()
        _send(shared.relay, "after")
        assert shared.sink.wait_for_message(b"<after@").data.endswith(simple_message("after"))
    finally:
        shared.relay.cli_here("bypass", "off")


# --- the queue ---


def _listed(relay: Relay, *arguments: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(relay.cli_here("queue", "list", "--json", *arguments).stdout)
    return listed


def test_the_queue_is_listed_shown_retried_and_emptied_by_hand(tmp_path: Path) -> None:
    port = free_port()
    with running_relay(tmp_path / "relay", port) as relay:
        ids = [_send(relay, number, f"r{number}@customer.example") for number in range(3)]
        wait_until(lambda: len(relay.events("deferred")) == 3, 60, "three deferrals")
        assert sorted(entry["queue_id"] for entry in _listed(relay)) == sorted(ids)
        assert [e["queue_id"] for e in _listed(relay, "--recipient", "r1@customer.example")] == [ids[1]]
        shown = relay.cli("queue", "show", ids[0]).stdout
        assert "r0@customer.example" in shown
        assert "jane@example.com" in shown
        relay.cli("queue", "delete", ids[2])
        assert sorted(entry["queue_id"] for entry in _listed(relay)) == sorted(ids[:2])
        with Sink(port=port) as sink:
            relay.cli_here("queue", "retry", ids[0])
            assert sink.wait_for_message(b"<0@", 60).rcpt_to == ("r0@customer.example",)
            wait_until(lambda: [e["queue_id"] for e in _listed(relay)] in ([], [ids[1]]), 60, "a shorter queue")
        assert all(b"<2@" not in a.data for a in sink.arrived)


def test_a_held_message_goes_out_as_decided_when_it_is_released(shared: Running) -> None:
    relay, sink = shared.relay, shared.sink
    recipients = ["r@held.example", "r@customer.example"]
    answer = send(relay.port, "jane@example.com", recipients, simple_message("hold"))
    assert sink.wait_for_message(b"<hold@").rcpt_to == ("r@customer.example",)
    relay.wait_for_event("held", queue_id=answer.queue_id)
    assert [e["queue_id"] for e in _listed(relay, "--state", "held")] == [answer.queue_id]
    relay.cli_here("queue", "release", answer.queue_id)
    assert sink.wait_for_message(b"Subject: [released] Hello").rcpt_to == ("r@held.example",)
    relay.wait_until_settled(answer.queue_id)


# --- draining ---


def test_sigterm_finishes_what_is_in_hand_and_keeps_the_rest(tmp_path: Path) -> None:
    with Sink() as sink, running_relay(tmp_path / "relay", sink.port, workers=2, drain="50s") as relay:
        load = Load(relay.port, simple_message)
        thread = threading.Thread(target=load.run, args=(range(2000),))
        thread.start()
        wait_until(lambda: len(load.acknowledged) > 100, 60, "some load")
        code = relay.stop()
        load.stop()
        thread.join(30)
        assert code == 0
        relay.start()
        sink.wait_for(len(load.acknowledged))
        numbers = {_number(a.data) for a in sink.arrived}
        assert load.acknowledged <= numbers
        assert len(sink.arrived) == len(numbers), "an orderly end makes no duplicates"


def test_an_open_session_is_told_that_the_relay_is_going(shared: Running) -> None:
    try:
        with SmtpClient(shared.relay.port) as client:
            client.command(b"MAIL FROM:<jane@example.com>")
            assert shared.relay.stop() == 0
            assert client.answer().code == 421
    finally:
        shared.relay.start()
