"""One installation, two organisations: each decides by its own rules, keys and people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mta.app.relay import read_snapshot, rulebook
from mta.message.mark import HEADER, check_mark
from mta.message.parse import parse
from mta.model.address import parse_address
from mta.model.delivery import Body
from mta.model.envelope import Client, Envelope
from mta.model.reply import Reply
from tests.servers.relay import Relay
from tests.unit.relay.test_pipeline import OK, STRANGER, TRUSTED, World, open_world

FIRST = "rules:\n  - name: first\n    actions: [tag-subject: {text: First}]\n"
SECOND = "rules:\n  - name: second\n    actions: [tag-subject: {text: Second}]\n"
REFUSING = "rules:\n  - name: none\n    actions: [reject: {text: Closed}]\n"
DEFERRING = "rules:\n  - name: later\n    actions: [defer: {text: Later}]\n"


def message(sender: str) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <jane@example.com>, <john@second.example>\r\nSubject: Offer\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@example.net>\r\n\r\nHello\r\n"
    ).encode()


async def submit(world: World, client: Client, sender: str, recipients: Sequence[str]) -> Reply:
    envelope = Envelope(parse_address(sender), tuple(map(parse_address, recipients)))
    reply = await world.pipeline.message(client, envelope, Body.of(message(sender)))
    await world.finish()
    await world.run_queue()
    return reply


def relay_with(folder: Path, second: str, *, notes: bool = False) -> Relay:
    relay = Relay(folder / "relay", 1)
    relay.write_rules(FIRST)
    relay.add_organisation("second", "second.example", second)
    if notes:
        for name, place in (("first", relay.folder), ("second", relay.folder / "second")):
            (place / "templates" / "note").mkdir()
            (place / "templates" / "note" / "signature.txt.j2").write_text(f"A note of the {name}\n")
    return relay


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, relay_with(tmp_path, SECOND)) as opened:
        yield opened


BOTH = ("jane@example.com", "john@second.example")


async def test_a_verified_sender_brings_their_organisation(world: World) -> None:
    for sender, tag in (("jane@example.com", b"First Offer"), ("john@second.example", b"Second Offer")):
        world.transport.copies.clear()
        assert (await submit(world, TRUSTED, sender, ["buyer@customer.example", *BOTH])).code == 250
        ((data, recipients),) = world.transport.copies
        assert b"Subject: " + tag in data
        assert len(recipients) == 3


async def test_mail_from_outside_is_divided_by_the_recipients_organisations(world: World) -> None:
    assert (await submit(world, STRANGER, "buyer@customer.example", BOTH)).code == 250
    assert b"Subject: First Offer" in world.copy_for("jane@example.com")
    assert b"Subject: Second Offer" in world.copy_for("john@second.example")
    assert await world.queue() == []


async def test_a_stranger_who_claims_to_be_of_one_is_none(world: World) -> None:
    assert (await submit(world, STRANGER, "jane@example.com", ["john@second.example"])).code == 250
    assert b"Subject: Second Offer" in world.copy_for("john@second.example")


async def test_recipients_of_nobody_come_with_the_first_that_is_concerned(world: World) -> None:
    recipients = ["buyer@customer.example", "john@second.example"]
    assert (await submit(world, TRUSTED, "somebody@other.example", recipients)).code == 250
    ((data, served),) = world.transport.copies
    assert b"Subject: Second Offer" in data
    assert sorted(served) == recipients


async def test_each_marks_with_its_own_key_and_believes_no_other(world: World) -> None:
    await submit(world, STRANGER, "buyer@customer.example", BOTH)
    books = world.equipment.rulebook.snapshot.books
    for recipient, own in zip(BOTH, books, strict=True):
        copy = parse(world.copy_for(recipient))
        mark = copy.header(HEADER.decode()).encode()
        states = [
            check_mark(b.mark_keys, mark, b.name, copy.message_id, copy.header("date"), world.clock.now()).value
            for b in books
        ]
        assert [state == "valid" for state in states] == [book is own for book in books]


async def test_one_that_refuses_does_not_keep_the_others_from_their_mail(tmp_path: Path) -> None:
    async with open_world(tmp_path, relay_with(tmp_path, REFUSING)) as world:
        assert (await submit(world, STRANGER, "buyer@customer.example", BOTH)).code == 250
        assert [recipients for _, recipients in world.transport.copies] == [("jane@example.com",)]
        assert await world.queue() == []
        reply = await submit(world, STRANGER, "buyer@customer.example", ["john@second.example"])
        assert str(reply) == "550 5.7.1 Closed"


async def test_one_whose_notice_fails_may_refuse_for_itself_alone(tmp_path: Path) -> None:
    insisting = "rules:\n- {name: r, actions: [{notify: {template: note, to: a@second.example}}], on_error: reject}\n"
    relay = relay_with(tmp_path, insisting, notes=True)
    note = relay.folder / "second" / "templates" / "note"
    (note / "signature.txt.j2").write_text("{{ 1 // (message.subject | length - 5) }}\n")
    (note / "template.yaml").write_text("subject: Note\n")
    async with open_world(tmp_path, relay) as world:
        assert (await submit(world, STRANGER, "buyer@customer.example", BOTH)).code == 250
        assert [recipients for _, recipients in world.transport.copies] == [("jane@example.com",)]
        assert await world.queue() == []
        reply = await submit(world, STRANGER, "buyer@customer.example", ["john@second.example"])
        assert str(reply) == "550 5.3.0 Rule r could not be carried out"


async def test_one_that_defers_defers_the_message(tmp_path: Path) -> None:
    async with open_world(tmp_path, relay_with(tmp_path, DEFERRING)) as world:
        reply = await submit(world, STRANGER, "buyer@customer.example", BOTH)
        assert reply.code == 451
        assert world.transport.copies == []
        assert await world.queue() == []


STAMPING = "rules:\n  - name: second\n    actions: [stamp: {template: note}]\n    on_error: "


@pytest.mark.parametrize("client", [TRUSTED, STRANGER])
@pytest.mark.parametrize(("on_error", "arrives"), [("deliver-unstamped", True), ("reject", False)])
async def test_what_waits_of_one_that_is_gone_gets_nothing_of_another(
    tmp_path: Path, client: Client, on_error: str, arrives: bool
) -> None:
    async with waiting(tmp_path, STAMPING + on_error, client) as (world, relay):
        del relay.settings["organisations"][1]
        await reload_and_deliver(world, relay)
        copies = [data for data, _ in world.transport.copies if b"Subject: Offer" in data]
        assert len(copies) == arrives
        assert not any(b"A note" in data or HEADER in data for data in copies)


@pytest.mark.parametrize("client", [TRUSTED, STRANGER])
async def test_what_waits_of_one_that_is_renamed_is_still_its_own(tmp_path: Path, client: Client) -> None:
    async with waiting(tmp_path, STAMPING + "reject", client) as (world, relay):
        relay.settings["organisations"][1]["name"] = "third"
        await reload_and_deliver(world, relay)
        ((data, _),) = world.transport.copies
        assert b"A note of the second" in data


@asynccontextmanager
async def waiting(folder: Path, rules: str, client: Client) -> AsyncIterator[tuple[World, Relay]]:
    """A message of the second organisation, accepted and not yet looked at again; both have a template `note`."""
    relay = relay_with(folder, rules, notes=True)
    sender, recipient = "john@second.example", "jane@example.com"
    if client is STRANGER:
        sender, recipient = "buyer@customer.example", "john@second.example"
    async with open_world(folder, relay) as world:
        in_hand = world.equipment.in_hand
        in_hand.octets_max = 0
        in_hand.tasks.add(asyncio.create_task(asyncio.sleep(0)))  # so much that the next one has to wait
        reply = await world.pipeline.message(
            client, Envelope(parse_address(sender), (parse_address(recipient),)), Body.of(message(sender))
        )
        assert reply.code == 250
        in_hand.tasks.clear()
        yield world, relay


async def reload_and_deliver(world: World, relay: Relay) -> None:
    relay.write_settings()
    world.equipment.rulebook = rulebook(read_snapshot(relay.configuration))
    await world.run_queue()
    await world.run_queue()
    assert await world.queue() == []


async def test_a_report_is_of_the_organisation_that_it_speaks_for(world: World) -> None:
    refused = Reply(550, "5.1.1", "No such user")
    world.transport.answer = lambda entry: refused if entry.address.key == "john@second.example" else OK
    await submit(world, STRANGER, "buyer@customer.example", ["john@second.example"])
    await world.run_queue()

    report = parse(world.copy_for("buyer@customer.example"))
    book = world.equipment.rulebook.snapshot.book_of("second.example")
    assert book is not None
    mark = report.header(HEADER.decode()).encode()
    state = check_mark(book.mark_keys, mark, book.name, report.message_id, report.header("date"), world.clock.now())
    assert state.value == "valid"
