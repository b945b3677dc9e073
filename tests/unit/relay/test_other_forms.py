"""Next hops that can't take a copy as it is: what they get instead, through all stages, with a fake of the port."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from mta.model.address import parse_address
from mta.model.delivery import Body, Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import Reply
from mta.ports.transport import Segments
from mta.relay.deliver.next_hops import NextHops
from tests.servers.relay import Relay
from tests.unit.relay.test_pipeline import TRUSTED, RecordingTransport, World, open_world

RULES = """
rules:
  - name: small
    when: {all: [{subject: {phrase: stamp}}]}
    actions: [{stamp: {template: note, place: bottom}}]
    on_match: next
  - name: large
    when: {all: [{subject: {phrase: large}}]}
    actions: [{stamp: {template: large, place: bottom}}]
  - name: must
    when: {all: [{subject: {phrase: must}}]}
    on_error: reject
    actions: [{stamp: {template: large, place: bottom}}]
  - name: wait
    when: {all: [{subject: {phrase: wait}}]}
    on_error: defer
    actions: [{stamp: {template: large, place: bottom}}]
  - name: masked
    when: {all: [{subject: {phrase: mask}}]}
    actions: [{replace-text: {find: "4711", with: gone}}, {stamp: {template: large, place: bottom}}]
"""


@dataclass
class Narrow(RecordingTransport):
    """Takes what fits only, and judges as a real one does."""

    size: int = 10**9
    eight_bit: bool = True
    utf8: bool = True
    line: int = 10**9
    envelopes: list[Envelope] = field(default_factory=list)
    asked: int = 0

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:
        self.asked += 1
        data = b"".join(content)
        misfit, reply, words = self._judged(envelope, data)
        if reply is not None and misfit not in overlook:
            return [
                RecipientResult(e.index, e.address, reply, "mx[192.0.2.9]:25", words, misfit=misfit) for e in recipients
            ]
        self.envelopes.append(envelope)
        return await super().deliver(envelope, recipients, content, deadline_s=deadline_s)

    def _judged(self, envelope: Envelope, data: bytes) -> tuple[Misfit | None, Reply | None, str]:
        if len(data) > self.size:
            return Misfit.SIZE, Reply(552, "5.3.4", "Too large"), ""
        if not self.utf8 and envelope.smtputf8 and not data.partition(b"\r\n\r\n")[0].isascii():
            return Misfit.UTF8_HEADER, Reply(553, "5.6.7", "No SMTPUTF8"), ""
        if not self.eight_bit and (envelope.body_8bit or not data.isascii()):
            return Misfit.EIGHT_BIT, Reply(554, "5.6.3", "No 8BITMIME"), ""
        if max(map(len, data.split(b"\r\n"))) > self.line:
            words = "550 maximum allowed line length is 998 octets, got 2000"
            return None, Reply(550, "5.0.0", words[4:]), words
        return None, None, ""


RECORDS: dict[bytes, bytes] = {}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    relay = Relay(tmp_path / "relay", 25)
    relay.write_rules(RULES)
    relay.write_template("note", "<p>A note</p>", "A note\n")
    relay.write_template("large", "<p>L</p>", "large " * 2000 + "\n")
    RECORDS.update(relay.add_dkim_key())
    async with open_world(tmp_path, relay) as opened:
        opened.clock.time = datetime.now(UTC)
        yield opened


def through(world: World, narrow: Narrow) -> Narrow:
    """Let this be the way out."""
    world.transport = narrow
    next_hops = NextHops(lambda hop: narrow)
    next_hops.apply(world.equipment.rulebook.snapshot.configuration.next_hops, "out")
    world.equipment.next_hops = next_hops
    return narrow


def text(subject: str, body: str = "Hello\r\n", *, sender: str = "Jane Doe", more: str = "") -> bytes:
    return (
        f"From: {sender} <jane@example.com>\r\nTo: bob@example.net\r\nSubject: {subject}\r\n{more}"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@example.com>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}"
    ).encode()


async def send(world: World, data: bytes, *, body_8bit: bool = False, smtputf8: bool = False) -> None:
    envelope = Envelope(
        parse_address("jane@example.com"), (parse_address("bob@example.net"),), body_8bit=body_8bit, smtputf8=smtputf8
    )
    assert (await world.pipeline.message(TRUSTED, envelope, Body.of(data))).is_success
    await world.finish()
    await world.run_queue()


def for_bob(world: World) -> EmailMessage:
    """The one copy that bob got; its signature is valid."""
    (data,) = (data for data, recipients in world.transport.copies if "bob@example.net" in recipients)
    assert dkim.verify(data, dnsfunc=lambda name, timeout=5: RECORDS.get(name))
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def bounce(world: World) -> bytes:
    (data,) = (data for data, recipients in world.transport.copies if "jane@example.com" in recipients)
    return data


async def test_a_stamped_copy_that_is_too_large_goes_unstamped(world: World) -> None:
    through(world, Narrow(size=4000))
    await send(world, text("large"))
    message = for_bob(world)
    assert message.get_content() == "Hello\r\n"
    assert message["X-Stampline-Processed"]
    assert await world.queue() == []


async def test_what_is_too_large_unstamped_too_is_reported(world: World) -> None:
    through(world, Narrow(size=3000))
    await send(world, text("large", "z" * 70 + "\r\n" + "y" * 3000))
    await send(world, text("plain", "y" * 3000))
    assert [recipients for _, recipients in world.transport.copies] == [("jane@example.com",)] * 2
    assert [data.count(b"Status: 5.3.4") for data, _ in world.transport.copies] == [1, 1]


async def test_what_a_rule_takes_out_stays_out_of_the_unstamped_copy(world: World) -> None:
    through(world, Narrow(size=4000))
    await send(world, text("mask", "Number 4711.\r\n"))
    assert for_bob(world).get_content() == "Number gone.\r\n"


async def test_a_rule_that_insists_has_the_last_word(world: World) -> None:
    through(world, Narrow(size=4000))
    await send(world, text("must"))
    assert b"Status: 5.3.4" in bounce(world)
    assert b"Too large with what rule must adds to it" in b" ".join(bounce(world).split())


async def test_a_rule_that_rather_waits_waits(world: World) -> None:
    narrow = through(world, Narrow(size=4000))
    await send(world, text("wait"))
    (entry,) = await world.queue()
    assert entry.recipients[0].last_reply == "452 4.3.4 Too large with what rule wait adds to it"
    narrow.size = 10**9
    world.clock.time += timedelta(minutes=5)
    await world.run_queue()
    assert "large large" in for_bob(world).get_content()


async def test_8_bit_text_is_encoded_for_who_takes_7_bits_only(world: World) -> None:
    narrow = through(world, Narrow(eight_bit=False))
    await send(world, text("stamp", "Viele Grüße von hier nach dort und überhaupt an alle\r\n"), body_8bit=True)
    message = for_bob(world)
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert message.get_content() == "Viele Grüße von hier nach dort und überhaupt an alle\r\n\r\nA note\r\n"
    assert not narrow.envelopes[0].body_8bit


async def test_what_is_declared_8_bit_and_is_none_goes_as_it_is(world: World) -> None:
    through(world, Narrow(eight_bit=False))
    await send(world, text("stamp", "plain\r\n"), body_8bit=True)
    assert for_bob(world)["Content-Transfer-Encoding"] == "8bit"


async def test_a_later_attempt_makes_the_same_form_again(world: World) -> None:
    narrow = through(world, Narrow(eight_bit=False))
    narrow.answer = lambda entry: Reply(451, "4.2.1", "Later")
    await send(world, text("stamp", "Grüße an alle, die dies hier lesen wollen oder müssen\r\n"))
    world.clock.time += timedelta(minutes=5)
    await world.run_queue()
    (first, _), (second, _) = world.transport.copies
    assert first == second
    assert dkim.verify(second, dnsfunc=lambda name, timeout=5: RECORDS.get(name))


async def test_a_utf_8_header_is_written_in_ascii_where_the_addresses_are(world: World) -> None:
    narrow = through(world, Narrow(utf8=False))
    await send(world, text("Grüße", "Grüße\r\n", sender="Jürgen"), smtputf8=True)
    message = for_bob(world)
    assert message["From"] == "Jürgen <jane@example.com>"
    assert message["Subject"] == "Grüße"
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert not narrow.envelopes[0].smtputf8


async def test_a_utf_8_address_in_the_header_is_reported(world: World) -> None:
    narrow = through(world, Narrow(utf8=False))
    await send(world, text("Hi", more="Cc: zoë@example.org\r\n"), smtputf8=True)
    assert narrow.asked == 2, "no form was tried; the report went out"
    assert b"Status: 5.6.7" in bounce(world)


async def test_all_that_is_wrong_is_mended_in_turn(world: World) -> None:
    narrow = through(world, Narrow(utf8=False, eight_bit=False, size=4000))
    await send(world, text("large Grüße", "Grüße aus Köln an alle, die dies lesen\r\n"), smtputf8=True)
    message = for_bob(world)
    assert message.get_content() == "Grüße aus Köln an alle, die dies lesen\r\n"
    assert message["Subject"] == "large Grüße"
    assert narrow.asked == 4


async def test_a_line_that_the_next_hop_finds_too_long_is_encoded(world: World) -> None:
    through(world, Narrow(line=998))
    await send(world, text("plain", "word " * 500 + "\r\n"))
    assert for_bob(world).get_content() == "word " * 500 + "\r\n"


async def test_a_line_that_is_not_too_long_is_a_refusal_like_others(world: World) -> None:
    narrow = through(world, Narrow(line=50))
    await send(world, text("plain"))
    assert narrow.asked == 2, "no other form was tried; the report was refused, too"
    assert await world.queue() == []


async def test_signed_mail_is_not_broken_but_reported(world: World) -> None:
    signed = (
        "From: jane@example.com\r\nTo: bob@example.net\r\nSubject: x\r\nMessage-ID: <one@example.com>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nContent-Type: multipart/signed; boundary=b; micalg=sha256\r\n\r\n"
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n--b\r\n"
        "Content-Type: application/pgp-signature\r\n\r\nsigned\r\n--b--\r\n"
    ).encode()
    through(world, Narrow(eight_bit=False))
    await send(world, signed)
    assert b"Status: 5.6.3" in bounce(world)
    assert b"send it again without the signature" in b" ".join(bounce(world).split())
