"""Tracked mail through a real relay: one conversation and one copy for each original, whatever happens on the way."""

from __future__ import annotations

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
        return send(port or self.relay.port, sender, list(recipients), data).queue_id

    def copies(self, name: str) -> list[tuple[TrackingCopy, bytes]]:
        """What the processing mailbox got of that message, once everything has come."""
        found = [copy for arrived in to(self.sink, PROCESSING) if (copy := read(arrived)) is not None]
        return [(copy, inner) for copy, inner in found if copy.message_id == f"<{name}@example.com>"]

    def wait_for_copy(self, name: str) -> tuple[TrackingCopy, bytes]:
        wait_until(lambda: self.copies(name), 60, f"the copy of {name}")
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

    wait_until(found, 60, f"{name} for {recipient}")
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


def test_parts_that_exchange_hands_over_one_by_one_are_one_conversation(running: Running) -> None:
    header = "a@customer.example, c@customer.example"
    for recipient in ("a@customer.example", "c@customer.example"):
        data = message("parts", recipient, To=header)
        assert send(running.relay.port, "jane@example.com", [recipient], data).code == 250
    first, second = (arrived_for(running, "parts", f"{name}@customer.example") for name in "ac")
    assert named(first) == named(second)
    running.wait_for_copy("parts")
    running.relay.wait_until_settled()
    assert len(running.copies("parts")) == 1


def test_a_customers_answer_goes_on_with_it_whatever_the_subject(running: Running) -> None:
    running.send("asked", "a@customer.example")
    sent = arrived_for(running, "asked", "a@customer.example")
    references = str(opened(sent)["References"])
    running.send(
        "answer", "jane@example.com", port=running.relay.inbound_port, sender="a@customer.example",
        Subject="Something else", References=f"{references} <asked@example.com>", In_Reply_To="<asked@example.com>",
    )  # fmt: skip
    received = arrived_for(running, "answer", "jane@example.com")
    assert named(received) == named(sent)
    assert str(opened(received)["References"]).count("stampline.") == 1
    copy, inner = running.wait_for_copy("answer")
    assert (copy.direction, str(copy.transaction), copy.authenticated) == ("received", named(sent), None)
    assert b"stampline." not in inner.replace(references.encode(), b"")
    assert b"X-Stampline" not in inner


def test_hidden_recipients_are_in_no_copy(running: Running) -> None:
    data = message("hidden", "a@customer.example", Bcc="spy@customer.example", To="a@customer.example")
    recipients = ["spy@customer.example", "a@customer.example", "other-spy@partner.example"]
    assert send(running.relay.port, "jane@example.com", recipients, data).code == 250
    running.wait_for_copy("hidden")
    (copy,) = [a.data for a in to(running.sink, PROCESSING) if b"<hidden@example.com>" in a.data]
    assert b"spy" not in copy
    assert b"STAMPED" not in copy


def test_our_sender_goes_on_by_the_number_in_the_subject(running: Running) -> None:
    running.send("numbered", "a@customer.example")
    name = named(arrived_for(running, "numbered", "a@customer.example"))
    number = int(name.partition("-")[2])
    running.send("by-number", "d@customer.example", Subject=f"Fwd: [TICKET - {number}] Printer")
    assert named_loosely(arrived_for(running, "by-number", "d@customer.example")) == name
    # A stranger's number proves nothing.
    running.send(
        "by-stranger", "jane@example.com", port=running.relay.inbound_port, sender="evil@elsewhere.example",
        Subject=f"[Ticket - {number:06}] Printer",
    )  # fmt: skip
    assert named_loosely(arrived_for(running, "by-stranger", "jane@example.com")) != name
    # And a number that nobody has opened is none.
    running.send("no-number", "a@customer.example", Subject="[Ticket - 999999] Printer")
    assert named_loosely(arrived_for(running, "no-number", "a@customer.example")) != "ticket-999999"


def named_loosely(data: bytes) -> str:
    (transaction,) = references_in(str(opened(data)["X-Stampline-Transaction"]), [KEY], "default")
    return str(transaction)


def test_automatic_replies_open_nothing_and_stay_as_they_are(running: Running) -> None:
    running.send(
        "away", "jane@example.com", port=running.relay.inbound_port, sender="a@customer.example",
        Subject="Automatic reply: Printer", Auto_Submitted="auto-replied",
    )  # fmt: skip
    data = arrived_for(running, "away", "jane@example.com")
    assert b"stampline." not in data
    copy, _ = running.wait_for_copy("away")
    assert copy.transaction is None
    assert copy.rule == "desk"


def test_a_copy_that_comes_back_is_left_alone(running: Running) -> None:
    running.send("returned", "a@customer.example")
    running.wait_for_copy("returned")
    (copy,) = [a for a in to(running.sink, PROCESSING) if b"<returned@example.com>" in a.data]
    assert copy.mail_from == ""
    before = len(running.relay.events("tracked"))
    assert send(running.relay.port, "", [PROCESSING], copy.data).code == 250
    running.relay.wait_until_settled()
    assert len(running.relay.events("tracked")) == before


def test_a_large_message_is_copied_octet_by_octet(running: Running) -> None:
    data = message("large", "a@customer.example") + b"\xe4 \xc3\xa4 line\r\n" * 40_000
    assert send(running.relay.port, "jane@example.com", ["a@customer.example"], data).code == 250
    delivered = arrived_for(running, "large", "a@customer.example")
    copy, inner = running.wait_for_copy("large")
    assert inner == delivered
    assert copy.is_intact
    bodies = running.relay.folder / "spool" / "bodies"
    wait_until(lambda: not [path for path in bodies.rglob("*") if path.is_file()], 60, "nothing of it stays")


def test_the_log_and_trace_name_conversation_and_copy(running: Running) -> None:
    queue_id = running.send("traced", "a@customer.example")
    running.wait_for_copy("traced")
    event = running.relay.wait_for_event("tracked", queue_id=queue_id)
    assert (event["by"], event["rule"]) == ("opened", "desk")
    queued = running.relay.wait_for_event("tracking-copy", queue_id=queue_id)
    running.relay.wait_for_event("delivered", queue_id=queued["copy"])
    assert queued["transaction"] == event["transaction"]
    said = running.relay.cli("trace", queue_id).stdout
    assert f"belongs to {event['transaction']} (rule desk, opens it)" in said
    assert f"tracking copy {queued['copy']} queued to {PROCESSING}" in said
    # The copy's own life stands below.
    assert said.count("delivered to") == 2
