"""Next hops that refuse, defer, hang or are not there; bounces go back, others aren't slowed."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.relay import running_relay
from tests.servers.sink import Arrived, Sink
from tests.servers.wait import free_port

SHORT_RETRY = {"schedule": ["1s"], "expire_after": "2d"}


def _hop(name: str, port: int, **settings: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "smtp",
        "hosts": [{"host": "127.0.0.1", "port": port}],
        "tls": {"mode": "none"},
        **settings,
    }


def _parts(bounce: Arrived) -> tuple[EmailMessage, list[EmailMessage]]:
    message = message_from_bytes(bounce.data, policy=policy.default)
    parts = message.get_payload()
    assert isinstance(parts, list)
    return message, [part for part in parts if isinstance(part, EmailMessage)]


def _refuse_gone(verb: str, argument: str) -> str | None:
    return "550 5.1.1 no such user" if verb == "RCPT" and argument.startswith("gone@") else None


def test_a_refused_recipient_is_reported_to_the_sender(tmp_path: Path) -> None:
    with Sink(_refuse_gone) as sink, running_relay(tmp_path / "relay", sink.port) as relay:
        recipients = ["gone@customer.example", "here@customer.example"]
        answer = send(relay.port, "jane@example.com", recipients, simple_message("half", subject="Für alle"))
        bounce = sink.wait_for_message(b"report-type=delivery-status")
        relay.wait_until_settled(answer.queue_id)
        copy = next(a for a in sink.arrived if a is not bounce)
    assert copy.rcpt_to == ("here@customer.example",)
    assert (bounce.mail_from, bounce.rcpt_to) == ("", ("jane@example.com",))
    message, (text, report, original) = _parts(bounce)
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_content_type() == "multipart/report"
    assert "gone@customer.example" in text.get_content()
    about_message, about_recipient = (part for part in report.iter_parts() if isinstance(part, EmailMessage))
    assert str(about_message["Reporting-MTA"]).endswith("relay.example.com")
    assert about_recipient["Final-Recipient"].replace(" ", "") == "rfc822;gone@customer.example"
    assert about_recipient["Action"] == "failed"
    assert about_recipient["Status"] == "5.1.1"
    assert "no such user" in about_recipient["Diagnostic-Code"]
    assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert b"<half@mail.example.com>" in bounce.data


def test_a_refused_bounce_makes_no_further_bounce(tmp_path: Path) -> None:
    with Sink(_refuse_gone) as sink, running_relay(tmp_path / "relay", sink.port) as relay:
        answer = send(relay.port, "", ["gone@customer.example"], simple_message("null"))
        relay.wait_for_event("failed", queue_id=answer.queue_id)
        relay.wait_until_settled(answer.queue_id)
        after = send(relay.port, "jane@example.com", ["here@customer.example"], simple_message("after"))
        relay.wait_until_settled(after.queue_id)
    assert [a.rcpt_to for a in sink.arrived] == [("here@customer.example",)]


def test_a_deferred_message_is_tried_again_with_the_same_bytes(tmp_path: Path) -> None:
    refusals = ["451 4.7.1 greylisted", "450 4.2.0 busy"]

    def script(verb: str, argument: str) -> str | None:
        return refusals.pop() if verb == "RCPT" and argument.startswith("slow@") and refusals else None

    rules = "rules:\n  - name: all\n    actions: [{stamp: {template: t, place: bottom}}]\n"
    templates = {"t": ("<p>ONCE {{ now }}</p>", "ONCE {{ now }}\n")}
    with (
        Sink(script) as sink,
        running_relay(tmp_path / "relay", sink.port, rules=rules, templates=templates, retry=SHORT_RETRY) as relay,
    ):
        recipients = ["fast@customer.example", "slow@customer.example"]
        answer = send(relay.port, "jane@example.com", recipients, simple_message("again"))
        relay.wait_until_settled(answer.queue_id)
        assert len(relay.events("deferred")) == 2
    first, second = sink.arrived
    assert (first.rcpt_to, second.rcpt_to) == (("fast@customer.example",), ("slow@customer.example",))
    assert first.data == second.data


def test_a_message_that_expires_is_reported(tmp_path: Path) -> None:
    def script(verb: str, argument: str) -> str | None:
        return "450 4.2.1 mailbox busy" if verb == "RCPT" and argument.startswith("busy@") else None

    retry = {"schedule": ["1s"], "expire_after": "2s"}
    with Sink(script) as sink, running_relay(tmp_path / "relay", sink.port, retry=retry) as relay:
        answer = send(relay.port, "jane@example.com", ["busy@customer.example"], simple_message("old"))
        bounce = sink.wait_for_message(b"report-type=delivery-status")
        relay.wait_until_settled(answer.queue_id)
    assert bounce.rcpt_to == ("jane@example.com",)
    assert b"busy@customer.example" in bounce.data


@pytest.mark.timeout(240)
def test_dead_and_silent_next_hops_slow_nobody(tmp_path: Path) -> None:
    """200 messages for each of two broken next hops lie before and between those for a good one."""
    with Sink() as good, Sink(silent=True) as silent:
        hops = [_hop("out", good.port), _hop("dead", free_port()), _hop("silent", silent.port, connections=5)]
        routing = {"default": "out", "domains": {"dead.example": "dead", "silent.example": "silent"}}
        with running_relay(tmp_path / "relay", good.port, next_hops=hops, routing=routing) as relay:
            with SmtpClient(relay.port) as client:
                for number in range(200):
                    for domain in ("dead.example", "silent.example"):
                        answer = client.send("jane@example.com", [f"r@{domain}"], simple_message(f"{domain}{number}"))
                        assert answer.code == 250
                    client.send("jane@example.com", ["r@customer.example"], simple_message(f"good{number}"))
                    good.wait_for(number + 1, 60)  # before the next: it does not wait behind what is stuck
            entries = json.loads(relay.cli_here("queue", "list", "--json").stdout)
            assert len(entries) == 400, "all the others still wait"
            relay.wait_for_event("next-hop-stopped", next_hop="dead")


def test_a_next_hop_that_comes_back_gets_what_waits(tmp_path: Path) -> None:
    port = free_port()
    with running_relay(tmp_path / "relay", port, retry=SHORT_RETRY) as relay:
        for number in range(30):
            send(relay.port, "jane@example.com", ["r@customer.example"], simple_message(number))
        relay.wait_for_event("deferred")
        with Sink(port=port) as sink:
            sink.wait_for(30, 60)
            relay.wait_until_settled()
    assert len({a.data for a in sink.arrived}) == len(sink.arrived) == 30


def test_the_second_host_is_used_when_the_first_is_down(tmp_path: Path) -> None:
    with Sink() as backup:
        hosts = [
            {"host": "127.0.0.1", "port": free_port(), "preference": 5},
            {"host": "127.0.0.1", "port": backup.port, "preference": 20},
        ]
        hops = [{"name": "out", "kind": "smtp", "hosts": hosts, "tls": {"mode": "none"}}]
        with running_relay(tmp_path / "relay", backup.port, next_hops=hops) as relay:
            send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("over"))
            backup.wait_for_message(b"<over@", 60)
            assert relay.events("deferred") == []
