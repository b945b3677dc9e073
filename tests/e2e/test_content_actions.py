"""Real processes: attachments taken out, kept and added, card numbers covered, keywords gone; all of it signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from tests.servers.client import send
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.unit.message.attachment_samples import PDF, PE, TEXT, mixed, part, zipped

RULES = """\
rules:
  - name: programs
    when:
      - recipient: {{scope: external}}
      - attachments: {{executable: true}}
    actions:
      - strip-attachments: {{executable: true, folder: {kept}, notice: "Held back:\\n{{names}}"}}
  - name: no-secrets
    when: {{attachments: {{encrypted: true}}}}
    actions: [{{reject: {{text: No encrypted archives}}}}]
  - name: cards
    when: {{recipient: {{scope: external}}}}
    actions:
      - mask: {{regex: '\\b(?:\\d[ -]?){{12}}\\d{{4}}\\b', keep_last: 4}}
      - remove-keywords: ['[nosig]']
      - add-attachment: {{file: terms/terms.pdf, name: Geschäftsbedingungen.pdf}}
      - add-attachment: {{vcard: sender, name: jane.vcf}}
  - name: signature
    when: {{recipient: {{scope: external}}}}
    unless: {{subject: {{phrase: '[nosig]'}}}}
    actions: [{{stamp: {{template: external}}}}]
  - name: broken
    when: {{recipient: {{domain: broken.example}}}}
    actions: [{{strip-attachments: {{folder: {unwritable}}}}}]
    on_error: reject
"""
HEADER = (
    "From: Jane <jane@example.com>\r\nTo: a@customer.example\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@example.com>\r\n"
)
BODY = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nMy card is 4111 1111 1111 1234.\r\n"


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink
    kept: Path
    dns: dict[bytes, bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("content")
    with Sink() as sink:
        relay = Relay(folder / "relay", sink.port)
        dns = relay.add_dkim_key()
        unwritable = folder / "unwritable"
        relay.write_rules(RULES.format(kept=folder / "kept", unwritable=unwritable / "kept"))
        terms = folder / "relay" / "rules" / "terms"
        terms.mkdir()
        (terms / "terms.pdf").write_bytes(PDF)
        relay.write_template("external", "<p>EXTERNALSTAMP</p>\n", "EXTERNALSTAMP\n")
        try:
            relay.start()
            unwritable.write_bytes(b"")  # a file is in the way of the folder
            yield Running(relay, sink, folder / "kept", dns)
        finally:
            relay.clean_up()


def message(name: str, *parts: bytes, subject: str = "Hello") -> bytes:
    return mixed(BODY, *parts, header=HEADER.format(name=name, subject=subject).encode())


def copies(running: Running, name: str, content: bytes, *recipients: str) -> dict[str, bytes]:
    """What each recipient got of the message."""
    answer = send(running.relay.port, "jane@example.com", list(recipients), content)
    assert answer.code == 250
    running.relay.wait_until_settled(answer.queue_id)
    needle = f"<{name}@example.com>".encode()
    return {path: each.data for each in running.sink.arrived if needle in each.data for path in each.rcpt_to}


def read(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=policy.default)


def files(data: bytes) -> dict[str | None, object]:
    return {each.get_filename(): each.get_content() for each in read(data).iter_attachments()}


def test_the_outside_gets_no_programs_and_the_inside_does(running: Running) -> None:
    content = message("programs", part(PE, "setup.exe"), part(PDF, "bill.pdf"), part(zipped(["a.js"]), "a.zip"))
    got = copies(running, "programs", content, "a@customer.example", "john@example.com")
    assert got["john@example.com"].endswith(content)
    outside = files(got["a@customer.example"])
    assert list(outside) == ["removed-attachments.txt", "bill.pdf", "Geschäftsbedingungen.pdf", "jane.vcf"]
    notice = str(outside["removed-attachments.txt"]).splitlines()
    assert notice[0] == "Held back:"
    kept = {path.name: path for path in running.kept.iterdir()}
    assert sorted(name.partition("-")[2] for name in kept) == ["a.zip", "setup.exe"]
    assert all(any(name in line for line in notice) for name in kept)
    assert {path.read_bytes() for path in kept.values()} == {PE, zipped(["a.js"])}
    assert {path.stat().st_mode & 0o777 for path in kept.values()} == {0o600}


def test_text_is_covered_keywords_go_and_the_signature_holds(running: Running) -> None:
    got = copies(running, "card", message("card", subject="Offer [nosig] today"), "a@customer.example")
    data = got["a@customer.example"]
    seen = read(data)
    assert seen["Subject"] == "Offer today"
    assert b"**** **** **** 1234" in data
    assert b"EXTERNALSTAMP" not in data, "the rule behind saw the keyword all the same"
    assert dkim.verify(data, dnsfunc=lambda name, timeout=5: running.dns.get(name))
    assert "FN:Jane Doe" in str(files(data)["jane.vcf"])
    stamped = copies(running, "stamped", message("stamped"), "a@customer.example")["a@customer.example"]
    assert b"EXTERNALSTAMP" in stamped
    assert b"4111" not in stamped


def test_encrypted_archives_are_refused_at_once(running: Running) -> None:
    content = message("secret", part(zipped(["a.txt"], flags=1), "a.zip"))
    answer = send(running.relay.port, "jane@example.com", ["a@customer.example"], content)
    assert (answer.code, "No encrypted archives" in answer.text) == (550, True)


def test_what_can_not_be_kept_goes_by_the_rules_on_error(running: Running) -> None:
    content = message("unkept", part(PDF, "bill.pdf"))
    got = copies(running, "unkept", content, "x@broken.example")
    assert not any(b"bill.pdf" in data and b"Subject: Hello" in data[:2000] for data in got.values())
    (failed,) = [event for event in running.relay.events("rule-failed") if event.get("rule") == "broken"]
    assert "could not be kept" in failed["error"]
    assert "bill" not in str(failed)


def test_explaining_writes_the_copy_and_keeps_nothing(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(message("explained", part(b"MZ explained", "other.exe")))
    before = sorted(running.kept.iterdir())
    done = running.relay.cli_here(
        "explain",
        str(path),
        "--from",
        "jane@example.com",
        "--to",
        "a@customer.example",
        "--out",
        str(tmp_path / "copies"),
    )
    assert "other.exe: is called .exe" in done.stdout
    assert sorted(running.kept.iterdir()) == before
    (copy,) = (tmp_path / "copies").iterdir()
    assert b"other.exe (application/vnd.microsoft.portable-executable, 12 octets), kept as " in (
        read(copy.read_bytes()).as_bytes().replace(b"=\n", b"")
    )


def test_a_text_part_is_what_it_was(running: Running) -> None:
    content = mixed(TEXT, header=HEADER.format(name="inside", subject="x").encode())
    assert copies(running, "inside", content, "john@example.com")["john@example.com"].endswith(content)
