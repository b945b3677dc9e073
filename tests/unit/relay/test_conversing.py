"""Tracked mail through all stages: which conversation, who carries its id, what the processing mailbox gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mta.message.parse import parse
from mta.message.reference import make_reference, references_in
from mta.message.tracking_copy import LIMITS, TrackingCopy, read_copy
from mta.model.authentication import AuthenticationResults
from mta.model.bypass import Bypass
from mta.model.reply import Reply, TemporaryError
from mta.model.transaction import Opening, Transaction
from mta.relay.track import is_authenticated
from tests.e2e.test_tracked_mail import KEY, PROCESSING, tracking_relay
from tests.servers.relay import Relay
from tests.unit.authenticate.zones import Zones
from tests.unit.relay.test_pipeline import MESSAGE, STRANGER, World, open_world

TRACK = "rules:\n- {name: desk, actions: [{track: ticket}]}\n"
LATER = Reply(451, "4.2.0", "later")
NO = Reply(550, "5.1.1", "nobody")
FROM_OUTSIDE = MESSAGE.replace(b"Jane Doe <jane@example.com>", b"Bob <bob@example.net>").replace(
    b"To: bob@example.net", b"To: jane@example.com"
)
Open = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def at_work(tmp_path: Path) -> Open:
    """Opens the relay with these rules; again in the same place, it has the same store."""
    relay = tracking_relay(tmp_path / "relay", 1)
    relay.write_template("personal", "<p>For {{ recipient.mail }}</p>", "For {{ recipient.mail }}\n")

    @asynccontextmanager
    async def opened(rules: str = TRACK, change: Callable[[Relay], None] | None = None) -> AsyncIterator[World]:
        relay.write_rules(rules)
        if change is not None:
            change(relay)
            relay.write_settings()
        async with open_world(tmp_path, relay) as world:
            yield world

    return opened


def copies(world: World) -> list[tuple[TrackingCopy, bytes]]:
    """What the processing mailbox got."""
    sent = [data for data, recipients in world.transport.copies if recipients == (PROCESSING,)]
    found = [read_copy(parse(data, LIMITS), [KEY], "default") for data in sent]
    return [copy for copy in found if copy is not None]


async def settled(world: World) -> None:
    await world.finish()
    await world.run_queue()


def field(data: bytes, name: str) -> str:
    return parse(data).header(name)


def carried(data: bytes) -> str:
    """The conversation that a copy carries; "" for none."""
    found = [str(each) for each in references_in(field(data, "X-Stampline-Transaction"), [KEY], "default")]
    return found[0] if found else ""


async def participants(world: World, name: str) -> frozenset[str]:
    module, number = name.split("-")
    transaction = await world.equipment.spool.transaction("default", module, int(number))
    assert transaction is not None
    return await world.equipment.spool.participants(transaction)


async def test_everybodys_copy_carries_the_id(at_work: Open) -> None:
    rules = TRACK.replace("actions", "when: {recipient: {scope: external}}, actions")
    async with at_work(rules) as world:
        assert (await world.submit(MESSAGE, "bob@example.net", "john@example.com")).code == 250
        await settled(world)
        assert {carried(world.copy_for(r)) for r in ("bob@example.net", "john@example.com")} == {"ticket-1"}
        assert field(world.copy_for("bob@example.net"), "Subject") == "[Ticket - 000001] Offer"
        ((copy, inner),) = copies(world)
        assert inner == world.copy_for("bob@example.net")
        assert copy.recipients == ("bob@example.net", "john@example.com")
        assert await participants(world, "ticket-1") == {"jane@example.com", "bob@example.net", "john@example.com"}


async def test_what_is_tracked_for_a_hidden_recipient_shows_in_no_other_copy(at_work: Open) -> None:
    rules = TRACK.replace("actions", "when: {recipient: {address: hidden@example.net}}, actions")
    async with at_work(rules) as world:
        await world.submit(MESSAGE, "bob@example.net", "hidden@example.net")
        await settled(world)
        assert carried(world.copy_for("bob@example.net")) == ""
        assert carried(world.copy_for("hidden@example.net")) == "ticket-1"
        assert copies(world)[0][0].recipients == ("bob@example.net",)


async def test_a_hidden_recipients_own_words_are_in_no_copy(at_work: Open) -> None:
    rules = TRACK + "- {name: all, actions: [{stamp: {template: personal}}]}\n"
    async with at_work(rules) as world:
        world.transport.answer = lambda e: LATER if str(e.address) == "bob@example.net" else Reply(250, "2.0.0", "Ok")
        await world.submit(MESSAGE, "hidden@example.net", "bob@example.net")
        await settled(world)
        ((_, inner),) = copies(world)
        assert b"For bob@example.net" in inner
        assert b"hidden" not in inner


@pytest.mark.parametrize(
    ("rules", "name", "opened"),
    [
        ("- {name: a, actions: [{track: case}]}\n- {name: b, actions: [{track: ticket}]}\n", "case-1", True),
        ("- {name: a, actions: [{track: {open: false}}]}\n- {name: b, actions: [track]}\n", "ticket-1", True),
        ("- {name: a, actions: [{track: {open: false}}]}\n", "", False),
    ],
)
async def test_of_several_rules_the_first_counts_that_opens_one(
    at_work: Open, rules: str, name: str, opened: bool
) -> None:
    async with at_work(f"rules:\n{rules}") as world:
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        assert carried(world.copy_for("bob@example.net")) == name
        ((copy, _),) = copies(world)
        assert (copy.transaction is not None) is opened


async def test_a_reference_counts_whatever_module_the_rule_names(at_work: Open) -> None:
    rules = (
        "rules:\n- {name: a, when: {subject: {phrase: Offer}}, actions: [{track: case}]}\n"
        "- {name: b, actions: [{track: ticket}]}\n"
    )
    async with at_work(rules) as world:
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        sent = world.copy_for("bob@example.net")
        assert b"Ref: stampline.case.1." in sent
        answer = FROM_OUTSIDE.replace(b"Subject: Offer", b"Subject: x").replace(b"<one@", b"<two@")
        answer = answer.replace(b"\r\n\r\n", b"\r\nReferences: %b\r\n\r\n" % field(sent, "References").encode(), 1)
        await world.submit(answer, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert carried(world.copy_for("jane@example.com")) == "case-1"
        assert field(world.copy_for("jane@example.com"), "Subject") == "CASE-000001 x"


@pytest.mark.parametrize("where", ["In-Reply-To", "References", "X-Stampline-Transaction", "body"])
async def test_a_signed_reference_is_known_wherever_it_stands(at_work: Open, where: str) -> None:
    reference = make_reference(KEY, Transaction("default", "ticket", 77, "abcdefgh"))
    if where == "body":
        data = MESSAGE + b"> see [Ref: %b]\r\n" % reference.upper().encode()
    else:
        field = f"{where}: <old@x> <{reference}@elsewhere.example>\r\n".encode()
        data = MESSAGE.replace(b"Subject:", field + b"Subject:")
    async with at_work() as world:
        await world.submit(data, "bob@example.net")
        await settled(world)
        assert carried(world.copy_for("bob@example.net")) == "ticket-77"


async def test_our_senders_answer_to_what_a_mailbox_got_goes_on_with_it(at_work: Open) -> None:
    """The customer's mail came to the mailbox by another way than ours, and carries nothing of ours."""
    async with at_work(TRACK.replace("track: ticket", "track: {open: false}")) as world:
        opening = Opening("default", "ticket", "<c1@example.net>", world.clock.now(), None, ("bob@example.net",))
        await world.equipment.spool.open_transaction(opening)
        answer = MESSAGE.replace(b"To: ", b"In-Reply-To: <c1@example.net>\r\nTo: ", 1)
        await world.submit(answer, "bob@example.net")
        await settled(world)
        assert carried(world.copy_for("bob@example.net")) == "ticket-1"
        assert field(world.copy_for("bob@example.net"), "Subject") == "[Ticket - 000001] Offer"
        assert copies(world)[0][0].by == "message-id"
        outside = FROM_OUTSIDE.replace(b"To: ", b"In-Reply-To: <c1@example.net>\r\nTo: ", 1)
        await world.submit(outside, "jane@example.com", client=STRANGER)
        await settled(world)
        assert carried(world.copy_for("jane@example.com")) == ""


@pytest.mark.parametrize("forged", ["stampline.ticket.77.abcdefgh." + "a" * 26, "stampline.gone.77.abcdefgh.MAC"])
async def test_a_reference_that_we_did_not_make_counts_for_nothing(at_work: Open, forged: str) -> None:
    gone = make_reference(KEY, Transaction("default", "gone", 77, "abcdefgh"))
    forged = gone if "MAC" in forged else forged
    data = MESSAGE.replace(b"Subject:", b"X-Stampline-Transaction: <%b@x>\r\nSubject:" % forged.encode())
    async with at_work() as world:
        await world.submit(data, "bob@example.net")
        await settled(world)
        sent = world.copy_for("bob@example.net")
        assert carried(sent) == "ticket-1"
        assert forged.encode() not in sent


NUMBERED = MESSAGE.replace(b"Subject: Offer", b"Subject: [Ticket - 1]").replace(b"<one@", b"<two@")
NUMBERED = NUMBERED.replace(b"Cc: john@example.com\r\n", b"")


@pytest.mark.parametrize(
    ("sender", "recipient", "technicians", "goes_on"),
    [
        ("jane@example.com", "new@example.net", {}, True),
        ("ann@example.com", "bob@example.net", {}, True),
        ("ann@example.com", "new@example.net", {}, False),
        ("ann@example.com", "support@example.com", {}, False),
        ("ann@example.com", "new@example.net", {"addresses": ["a*n@example.com"]}, True),
    ],
)
async def test_a_number_counts_where_sender_or_recipient_takes_part(
    at_work: Open, sender: str, recipient: str, technicians: dict[str, list[str]], goes_on: bool
) -> None:
    def with_technicians(relay: Relay) -> None:
        tracking = relay.settings["organisation"]["tracking"]
        tracking |= {"technicians": technicians, "allowed_senders": ["support@example.com"]}

    async with at_work(change=with_technicians) as world:
        await world.submit(MESSAGE, "bob@example.net", "support@example.com")
        # Naming her is not enough: she has to get it.
        data = NUMBERED.replace(b"jane@example.com", sender.encode())
        await world.submit(data, recipient, sender=sender)
        await settled(world)
        (sent,) = [data for data, got in world.transport.copies if recipient in got and b"\nMessage-ID: <two@" in data]
        assert carried(sent) == ("ticket-1" if goes_on else "ticket-2")


async def test_a_message_id_used_by_somebody_else_keeps_no_copy_from_being_made(at_work: Open) -> None:
    async with at_work() as world:
        stolen = FROM_OUTSIDE.replace(b"bob@example.net", b"evil@elsewhere.example")
        await world.submit(stolen, "jane@example.com", client=STRANGER, sender="evil@elsewhere.example")
        for _ in range(2):
            await world.submit(FROM_OUTSIDE, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert sorted(copy.mail_from for copy, _ in copies(world)) == ["bob@example.net", "evil@elsewhere.example"]


async def test_a_stranger_with_a_reference_adds_nobody(at_work: Open) -> None:
    async with at_work() as world:
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        stolen = field(world.copy_for("bob@example.net"), "References").encode()
        data = FROM_OUTSIDE.replace(b"bob@example.net", b"evil@elsewhere.example").replace(b"<one@", b"<evil@")
        data = data.replace(b"Subject:", b"References: %b\r\nSubject:" % stolen)
        await world.submit(data, "jane@example.com", client=STRANGER, sender="evil@elsewhere.example")
        # A Message-ID that is known names its conversation, and brings nobody either.
        again = FROM_OUTSIDE.replace(b"bob@example.net", b"evil@elsewhere.example")
        await world.submit(again, "jane@example.com", client=STRANGER, sender="evil@elsewhere.example")
        await settled(world)
        assert "evil@elsewhere.example" not in await participants(world, "ticket-1")


@pytest.mark.parametrize(("zones", "believed"), [({}, None), ({"_dmarc.example.net": "v=DMARC1; p=none"}, False)])
async def test_who_opens_from_outside_takes_part_unless_dmarc_failed(
    at_work: Open, zones: dict[str, str], believed: bool | None
) -> None:
    def verifying(relay: Relay) -> None:
        relay.settings["listeners"][1]["authentication"] = {"mode": "verify"}

    async with at_work(change=verifying) as world:
        world.equipment.resolver = Zones({name: [("TXT", text)] for name, text in zones.items()})
        await world.submit(FROM_OUTSIDE, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert ("bob@example.net" in await participants(world, "ticket-1")) is (believed is None)
        assert copies(world)[0][0].authenticated is believed


KINDS = {
    "auto-reply": b"Auto-Submitted: auto-replied\r\n",
    "out of office": b"Auto-Submitted: auto-replied\r\nX-Vacation: yes\r\n",
    "dsn": b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
    "mdn": b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_programs_wrote_opens_nothing_and_stays_as_it_is(at_work: Open, kind: str) -> None:
    data = FROM_OUTSIDE.replace(b"Content-Type: text/plain; charset=utf-8\r\n", KINDS[kind])
    async with at_work() as world:
        await world.submit(data, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert world.copy_for("jane@example.com").endswith(data)
        ((copy, inner),) = copies(world)
        assert copy.transaction is None
        assert inner == data


async def test_an_automatic_reply_that_names_a_conversation_is_copied_with_it(at_work: Open) -> None:
    reference = make_reference(KEY, Transaction("default", "ticket", 7, "abcdefgh"))
    head = b"References: <%b@example.com>\r\n" % reference.encode() + KINDS["auto-reply"]
    data = FROM_OUTSIDE.replace(b"Subject:", head + b"Subject:")
    async with at_work() as world:
        await world.submit(data, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert world.copy_for("jane@example.com").endswith(data)
        assert str(copies(world)[0][0].transaction) == "ticket-7"


async def test_a_rule_that_names_automatic_replies_tracks_them_as_others(at_work: Open) -> None:
    data = FROM_OUTSIDE.replace(b"Subject:", KINDS["auto-reply"] + b"Subject:")
    async with at_work(TRACK.replace("actions", "when: {kind: [auto-reply]}, actions")) as world:
        await world.submit(data, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        assert carried(world.copy_for("jane@example.com")) == "ticket-1"


async def test_signed_mail_gets_header_fields_only(at_work: Open) -> None:
    body = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
        b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n"
    )
    head = MESSAGE.partition(b"Content-Type")[0]
    data = head + b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n' + body
    async with at_work(TRACK.replace("ticket", "case")) as world:
        await world.submit(data, "bob@example.net")
        await settled(world)
        sent = world.copy_for("bob@example.net")
        assert carried(sent) == "case-1"
        assert "stampline.case.1." in field(sent, "References")
        assert field(sent, "Subject") == "Offer"
        assert sent.endswith(b"\r\n\r\n" + body)


async def test_bypass_tracks_nothing(at_work: Open) -> None:
    async with at_work() as world:
        world.equipment.bypass = Bypass(on=True)
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        assert world.copy_for("bob@example.net").endswith(MESSAGE)
        assert copies(world) == []


async def test_a_message_of_ours_that_returns_is_not_tracked_again(at_work: Open) -> None:
    async with at_work() as world:
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        returned = world.copy_for("bob@example.net")
        world.transport.copies.clear()
        await world.submit(returned, "jane@example.com")
        await settled(world)
        assert copies(world) == []
        assert field(world.copy_for("jane@example.com"), "References").count("stampline.") == 1


async def test_refused_mail_opens_nothing(at_work: Open) -> None:
    rules = TRACK + "- {name: no, when: {recipient: {scope: external}}, actions: [reject]}\n"
    async with at_work(rules) as world:
        assert (await world.submit(MESSAGE, "bob@example.net")).code == 550
        assert await world.equipment.spool.transaction("default", "ticket", 1) is None
        # Where others get it, those do with the id.
        assert (await world.submit(MESSAGE, "bob@example.net", "john@example.com")).code == 250
        await settled(world)
        assert carried(world.copy_for("john@example.com")) == "ticket-1"


async def test_a_message_without_an_id_of_its_own_that_is_sent_again_is_the_same(at_work: Open) -> None:
    data = MESSAGE.replace(b"Message-ID: <one@example.com>\r\n", b"")
    async with at_work() as world:
        for _ in range(2):
            await world.submit(data, "bob@example.net")
            await settled(world)
        assert {carried(sent) for sent, to in world.transport.copies if to != (PROCESSING,)} == {"ticket-1"}
        assert len(copies(world)) == 1


async def test_nobody_who_gets_the_message_is_no_copy(at_work: Open) -> None:
    async with at_work() as world:
        world.transport.answer = lambda entry: (
            NO if str(entry.address) == "bob@example.net" else Reply(250, "2.0.0", "")
        )
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        assert copies(world) == []


async def test_a_retry_makes_no_second_copy(at_work: Open) -> None:
    async with at_work() as world:
        late = {"john@example.com"}
        world.transport.answer = lambda e: LATER if str(e.address) in late else Reply(250, "2.0.0", "Ok")
        await world.submit(MESSAGE, "bob@example.net", "john@example.com")
        await settled(world)
        assert len(copies(world)) == 1
        late.clear()
        world.clock.time = world.clock.time.replace(day=24)
        await settled(world)
        assert carried(world.copy_for("john@example.com")) == "ticket-1"
        assert len(copies(world)) == 1
        assert not await world.queue()


async def test_a_copy_that_is_refused_waits_and_nobody_outside_is_told(at_work: Open) -> None:
    async with at_work() as world:
        world.transport.answer = lambda entry: NO if str(entry.address) == PROCESSING else Reply(250, "2.0.0", "Ok")
        await world.submit(FROM_OUTSIDE, "jane@example.com", client=STRANGER, sender="bob@example.net")
        await settled(world)
        await settled(world)
        assert {to for _, to in world.transport.copies} == {("jane@example.com",), (PROCESSING,)}
        (waiting,) = await world.queue()
        (who,) = waiting.recipients
        assert (str(who.address), who.last_reply) == (PROCESSING, "451 4.1.1 nobody")
        world.transport.answer = lambda entry: Reply(250, "2.0.0", "Ok")
        world.clock.time = world.clock.time.replace(hour=23)
        await settled(world)
        assert not await world.queue()
        assert len(copies(world)) >= 2


async def test_no_store_is_451_and_nothing_is_lost(at_work: Open) -> None:
    async with at_work() as world:
        await world.equipment.spool.close()
        with pytest.raises(TemporaryError) as refused:
            await world.submit(MESSAGE, "bob@example.net")
        assert refused.value.reply.code == 451


async def test_tracking_that_was_switched_off_meanwhile_delivers_what_was_decided(at_work: Open) -> None:
    async with at_work() as world:
        world.transport.answer = lambda entry: LATER
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)

    def off(relay: Relay) -> None:
        del relay.settings["organisation"]["tracking"]

    async with at_work("rules: []\n", off) as world:
        world.clock.time = world.clock.time.replace(day=24)
        await settled(world)
        assert carried(world.copy_for("bob@example.net")) == "ticket-1"
        assert copies(world) == []


async def test_keys_can_be_changed(at_work: Open, tmp_path: Path) -> None:
    async with at_work() as world:
        await world.submit(MESSAGE, "bob@example.net")
        await settled(world)
        old = field(world.copy_for("bob@example.net"), "References").encode()
    (tmp_path / "relay" / "new.key").write_bytes(b"a newer tracking key, only for tests too")

    def both(relay: Relay) -> None:
        relay.settings["organisation"]["tracking"]["keys"] = [{"file": "new.key"}, {"file": "tracking.key"}]

    async with at_work(change=both) as world:
        data = MESSAGE.replace(b"<one@", b"<two@").replace(b"Subject:", b"References: %b\r\nSubject:" % old)
        await world.submit(data, "bob@example.net")
        await settled(world)
        found = field(world.copy_for("bob@example.net"), "X-Stampline-Transaction")
        (transaction,) = references_in(found, [b"a newer tracking key, only for tests too"], "default")
        assert str(transaction) == "ticket-1"


def test_results_say_whether_from_is_believed() -> None:
    results = AuthenticationResults(dmarc="fail")
    assert is_authenticated(results, "example.net", is_ours=False) is False
    assert is_authenticated(replace(results, dmarc="pass"), "example.net", is_ours=False) is True
    signed = replace(results, dmarc="none", dkim_domains=("example.net",))
    assert is_authenticated(signed, "example.net", is_ours=False) is True
    assert is_authenticated(signed, "example.org", is_ours=False) is None
    assert is_authenticated(None, "example.net", is_ours=False) is None
    assert is_authenticated(None, "example.com", is_ours=True) is True
