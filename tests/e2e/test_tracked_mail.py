"""Tracked mail through a real relay: one conversation and one copy for each original, whatever happens on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from mta.message.parse import parse
from mta.message.reference import references_in
from mta.message.tracking_copy import LIMITS, TrackingCopy, read_copy
from tests.servers.client import send
from tests.servers.relay import Relay
from tests.servers.sink import Arrived, Sink
from tests.servers.wait import wait_until

KEY = b"a tracking key that is only for tests"
RULES = """\
rules:
  - name: sales
    when: {recipient: {domain: partner.example}}
    actions: [{stamp: {template: t, place: reply}}]
  - name: desk
    unless: {subject: {phrase: untracked}}
    actions: [{track: ticket}]
"""
TEMPLATE = {"t": ("<p>STAMPED</p>", "STAMPED\n")}
PROCESSING = "processing@example.com"


def tracking_relay(folder: Path, next_hop_port: int, rules: str = RULES, **overrides: object) -> Relay:
    """A relay whose organisation tracks, not started yet."""
    relay = Relay(folder, next_hop_port, **overrides)
    (folder / "tracking.key").write_bytes(KEY)
    (folder / "tracking.key").chmod(0o600)
    (folder / "business").mkdir()
    relay.settings["organisation"]["tracking"] = {
        "keys": [{"file": "tracking.key"}],
        "processing_mailbox": PROCESSING,
        "modules": [{"name": "ticket"}, {"name": "case", "subject_token": "CASE-{id}", "body_token": "visible"}],
        "rules": "business",
    }
    relay.write_settings()
    relay.write_rules(rules)
    for name, (html, plain) in TEMPLATE.items():
        relay.write_template(name, html, plain)
    return relay


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink

    def send(self, name: str, *recipients: str, port: int = 0, sender: str = "jane@example.com", **fields: str) -> str:
        """Gives the queue id."""
        data = message(name, *recipients, sender=sender, **fields)
        reply = send(port or self.relay.port, sender, list(recipients), data)
        assert reply.code == 250, reply
        return str(reply).rpartition(" ")[2].strip(")'\"")

    def copies(self, name: str) -> list[tuple[TrackingCopy, bytes]]:
        """What the processing mailbox got of that message, once everything has come."""
        found = [copy for arrived in to(self.sink, PROCESSING) if (copy := read(arrived)) is not None]
        return [(copy, inner) for copy, inner in found if copy.message_id == f"<{name}@example.com>"]

    def wait_for_copy(self, name: str) -> tuple[TrackingCopy, bytes]:
        wait_until(lambda: self.copies(name), 20, f"the copy of {name}")
        (copy,) = self.copies(name)
        return copy


def message(name: str, *recipients: str, sender: str = "jane@example.com", **fields: str) -> bytes:
    fields = {"Subject": "Printer", "To": ", ".join(recipients), **fields}
    head = "".join(f"{field.replace('_', '-')}: {value}\r\n" for field, value in fields.items())
    return (
        f"From: {sender}\r\nMessage-ID: <{name}@example.com>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n{head}\r\n"
        f"It does not print ({name}).\r\n"
    ).encode()


def to(sink: Sink, *recipients: str) -> list[Arrived]:
    return [arrived for arrived in list(sink.arrived) if set(recipients) & set(arrived.rcpt_to)]


def read(arrived: Arrived) -> tuple[TrackingCopy, bytes] | None:
    return read_copy(parse(arrived.data, LIMITS), [KEY], "default")


def opened(data: bytes) -> EmailMessage:
    parsed = message_from_bytes(data, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def named(data: bytes) -> str:
    """The conversation that a delivered message names, everywhere the same."""
    found = opened(data)
    everywhere = {
        str(transaction)
        for field in ("References", "X-Stampline-Transaction")
        for transaction in references_in(str(found[field]), [KEY], "default")
    }
    (name,) = everywhere
    module, number = name.split("-")
    assert (f"[Ticket - {int(number):06}]" if module == "ticket" else f"CASE-{int(number):06}") in str(found["Subject"])
    return name


def arrived_for(running: Running, name: str, recipient: str) -> bytes:
    def found() -> list[Arrived]:
        return [a for a in to(running.sink, recipient) if f"<{name}@example.com>".encode() in a.data]

    wait_until(found, 20, f"{name} for {recipient}")
    (arrived,) = found()
    return arrived.data


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Sink() as sink:
        relay = tracking_relay(tmp_path_factory.mktemp("tracked") / "relay", sink.port)
        try:
            relay.start()
            yield Running(relay, sink)
        finally:
            relay.clean_up()


def test_two_variants_are_one_conversation_and_one_copy(running: Running) -> None:
    running.send("split", "a@customer.example", "b@partner.example")
    first = arrived_for(running, "split", "a@customer.example")
    second = arrived_for(running, "split", "b@partner.example")
    assert b"STAMPED" in second
    assert b"STAMPED" not in first
    assert named(first) == named(second)
    copy, inner = running.wait_for_copy("split")
    assert str(copy.transaction) == named(first)
    assert (copy.direction, copy.rule, copy.mail_from) == ("sent", "desk", "jane@example.com")
    assert set(copy.recipients) == {"a@customer.example", "b@partner.example"}
    assert copy.authenticated
    assert copy.is_intact
    assert inner in (first, second)


def test_what_no_rule_tracks_is_byte_identical(running: Running) -> None:
    running.send("other", "a@customer.example", Subject="untracked")
    data = arrived_for(running, "other", "a@customer.example")
    assert data.endswith(message("other", "a@customer.example", Subject="untracked"))
    assert b"stampline." not in data
