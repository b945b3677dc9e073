"""One message, recipients who need different treatment: what each copy says, and what none of them tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim
import pytest

from tests.servers.client import send
from tests.servers.load import simple_message
from tests.servers.relay import Relay
from tests.servers.sink import Arrived, Sink

RULES = """\
rules:
  - name: sales-external
    direction: outbound
    when: {all: [{sender: {group: Sales}}, {recipient: {scope: external}}]}
    unless: {subject: {phrase: '[nosig]'}}
    actions:
      - stamp: {template: external, place: reply}
      - set-header: {name: X-Department, value: '{{ sender.department }}'}
  - name: partner-tag
    when: {recipient: {domain: partner.example}}
    actions: [{tag-subject: {text: '[Partner]'}}]
  - name: personal
    when: {recipient: {domain: personal.example}}
    actions: [{stamp: {template: personal, place: bottom}}]
"""
TEMPLATES = {
    "external": ("<p>EXTERNALSTAMP {{ sender.displayName }}</p>\n", "EXTERNALSTAMP {{ sender.displayName }}\n"),
    "personal": ("<p>PERSONAL for {{ recipient.mail }}</p>\n", "PERSONAL for {{ recipient.mail }}\n"),
}


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink
    dns: dict[bytes, bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("split") / "relay"
    with Sink() as sink:
        relay = Relay(folder, sink.port)
        dns = relay.add_dkim_key()
        relay.write_rules(RULES)
        for name, (html, plain) in TEMPLATES.items():
            relay.write_template(name, html, plain)
        try:
            relay.start()
            yield Running(relay, sink, dns)
        finally:
            relay.clean_up()


def _copies(running: Running, needle: bytes, recipients: int) -> dict[str, Arrived]:
    """The copies of one message by recipient, once all have come."""

    def found() -> dict[str, Arrived]:
        return {path: a for a in list(running.sink.arrived) if needle in a.data for path in a.rcpt_to}

    running.relay.wait_until_settled(_queue_id[needle])
    copies = found()
    assert len(copies) == recipients
    return copies


_queue_id: dict[bytes, str] = {}


def _send(
    running: Running, name: str, recipients: list[str], content: bytes, sender: str = "jane@example.com"
) -> bytes:
    answer = send(running.relay.port, sender, recipients, content)
    needle = f"<{name}@mail.example.com>".encode()
    _queue_id[needle] = answer.queue_id
    return needle


def _read(arrived: Arrived) -> EmailMessage:
    return message_from_bytes(arrived.data, policy=policy.default)


def _texts(arrived: Arrived) -> list[str]:
    return [part.get_content() for part in _read(arrived).walk() if part.get_content_maintype() == "text"]


def test_recipients_with_equal_decisions_share_one_copy(running: Running) -> None:
    recipients = ["a@customer.example", "b@customer.example", "john@example.com", "c@partner.example"]
    needle = _send(running, "share", recipients, simple_message("share"))
    copies = _copies(running, needle, 4)
    assert copies["a@customer.example"] is copies["b@customer.example"]
    assert len({id(copy) for copy in copies.values()}) == 3


def test_each_copy_has_its_own_treatment_and_the_same_identity(running: Running) -> None:
    recipients = ["a@customer.example", "john@example.com", "c@partner.example"]
    original = simple_message("own", headers="Thread-Index: AQHabc==\r\nReferences: <1@x.example>\r\n")
    copies = _copies(running, _send(running, "own", recipients, original), 3)
    external, internal, partner = (copies[path] for path in recipients)
    assert all("EXTERNALSTAMP Jane Doe" in text for text in _texts(external))
    assert all("EXTERNALSTAMP Jane Doe" in text for text in _texts(partner))
    assert internal.data.endswith(original), "no rule for internal mail: byte-identical below the trace headers"
    assert _read(external)["X-Department"] == "Sales"
    assert _read(internal)["X-Department"] is None
    assert _read(partner)["Subject"] == "[Partner] Hello"
    assert _read(external)["Subject"] == "Hello"
    before = message_from_bytes(original, policy=policy.default)
    for name in ("Message-ID", "Date", "From", "To", "Thread-Index", "References"):
        assert {_read(copy)[name] for copy in copies.values()} == {before[name]}, name


def test_no_header_of_any_copy_tells_of_a_hidden_recipient(running: Running) -> None:
    recipients = ["customer@customer.example", "hidden@customer.example", "secret@personal.example"]
    copies = _copies(running, _send(running, "bcc", recipients, simple_message("bcc")), 3)
    for path, copy in copies.items():
        header = copy.data.partition(b"\r\n\r\n")[0]
        assert b"hidden@" not in header, path
        assert b"secret@" not in header, path
        assert b"bcc:" not in header.lower(), path
    assert b"secret@personal.example" not in copies["customer@customer.example"].data


def test_a_template_that_speaks_of_the_recipient_makes_a_copy_for_each(running: Running) -> None:
    recipients = ["one@personal.example", "two@personal.example"]
    copies = _copies(running, _send(running, "personal", recipients, simple_message("personal")), 2)
    assert copies[recipients[0]] is not copies[recipients[1]]


def test_a_keyword_of_the_sender_keeps_the_signature_away(running: Running) -> None:
    original = simple_message("nosig", subject="Hello [nosig]")
    copies = _copies(running, _send(running, "nosig", ["a@customer.example"], original), 1)
    assert copies["a@customer.example"].data.endswith(original)


def test_every_copy_is_signed_after_its_last_change(running: Running) -> None:
    recipients = ["a@customer.example", "john@example.com", "c@partner.example"]
    copies = _copies(running, _send(running, "signed", recipients, simple_message("signed")), 3)
    for path, copy in copies.items():
        assert dkim.verify(copy.data, dnsfunc=lambda name, timeout=5: running.dns.get(name)), path


def test_our_trace_headers_stand_on_top(running: Running) -> None:
    original = simple_message("trace", headers="Received: from a by b; Sun, 22 Nov 2026 09:59:00 +0000\r\n")
    copies = _copies(running, _send(running, "trace", ["john@example.com"], original), 1)
    message = _read(copies["john@example.com"])
    received = message.get_all("Received")
    assert received is not None
    assert "by relay.example.com" in " ".join(received[0].split())
    assert received[1].startswith("from a by b")
    assert message["X-Stampline-Processed"]


def test_a_message_with_our_valid_mark_is_not_decided_again(running: Running) -> None:
    first = _copies(running, _send(running, "again", ["a@customer.example"], simple_message("again")), 1)
    once = first["a@customer.example"].data
    answer = send(running.relay.port, "jane@example.com", ["b@customer.example"], once)
    running.relay.wait_for_event("already-processed", queue_id=answer.queue_id)
    running.relay.wait_until_settled(answer.queue_id)
    twice = next(a for a in running.sink.arrived if a.rcpt_to == ("b@customer.example",) and b"<again@" in a.data)
    assert all(text.count("EXTERNALSTAMP") == 1 for text in _texts(twice))


def test_a_mark_from_a_stranger_does_not_count_and_is_taken_off(running: Running) -> None:
    first = _copies(running, _send(running, "forged", ["john@example.com"], simple_message("forged")), 1)
    marked = first["john@example.com"].data
    mark = next(line for line in marked.split(b"\r\n") if line.lower().startswith(b"x-stampline-processed"))
    answer = send(running.relay.inbound_port, "s@stranger.example", ["jane@example.com"], marked)
    running.relay.wait_for_event("mark-removed", queue_id=answer.queue_id)
    running.relay.wait_until_settled(answer.queue_id)
    arrived = next(a for a in running.sink.arrived if a.rcpt_to == ("jane@example.com",) and b"<forged@" in a.data)
    assert mark not in arrived.data
