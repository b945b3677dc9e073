"""One message through all stages, with a real spool and real rules; only the next hop is a fake of its port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.store.sqlite import SqliteSpool
from mta.app.relay import read_snapshot, rulebook
from mta.config.delivery_schema import NextHop
from mta.message.mark import check_mark, make_mark
from mta.message.parse import parse
from mta.model.address import parse_address
from mta.model.bypass import Bypass
from mta.model.delivery import AcceptedMessage, Body, Misfit, RecipientEntry, RecipientResult, State
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.model.queue import QueueEntry, QueueFilter
from mta.model.reply import Reply
from mta.ports.transport import Segments, Stopped
from mta.relay.deliver.next_hops import NextHops
from mta.relay.equipment import Equipment, InHand
from mta.relay.pipeline import Pipeline
from tests.servers.relay import Relay

OK = Reply(250, "2.0.0", "Ok")
TRUSTED = Client("127.0.0.1", 1234, "exchange.example.com", "exchange", ListenerRole.TRUSTED)
EXCHANGE = replace(TRUSTED, peer="exchange")
STRANGER = Client("192.0.2.1", 1234, "mx.example.net", "internet", ListenerRole.INBOUND)
MESSAGE = (
    b"From: Jane Doe <jane@example.com>\r\nTo: bob@example.net\r\nCc: john@example.com\r\n"
    b"Subject: Offer\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@example.com>\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello Bob\r\n"
)
RULES = """
rules:
  - name: no-secrets
    when: {all: [{subject: {phrase: secret}}, {recipient: {scope: external}}]}
    actions: [{reject: {text: Secrets stay inside}}]
  - name: quarantine
    when: {all: [{subject: {phrase: review}}, {recipient: {scope: external}}]}
    actions: [{hold: {reason: review}}]
  - name: silence
    when: {all: [{subject: {phrase: silence}}, {recipient: {scope: external}}]}
    actions: [{drop: {}}]
  - name: outside
    when: {all: [{recipient: {scope: external}}]}
    actions:
      - stamp: {template: note, place: bottom}
"""


@dataclass
class RecordingTransport:
    """Takes everything, or answers as told; fulfils `mta.ports.transport.Transport`."""

    copies: list[tuple[bytes, tuple[str, ...]]] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    """The reverse-path of each copy, "" for the null one."""
    hop: NextHop | None = None
    """The next hop that it was last made for."""
    answer: Callable[[RecipientEntry], Reply] = field(default=lambda entry: OK)
    gate: asyncio.Event | None = None

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:
        if self.gate is not None:
            await self.gate.wait()
        self.senders.append(str(envelope.reverse_path or ""))
        self.copies.append((b"".join(content), tuple(str(entry.address) for entry in recipients)))
        return [RecipientResult(entry.index, entry.address, self.answer(entry)) for entry in recipients]

    def is_blocked(self, domain: str) -> bool:
        return False

    def blocked(self) -> Collection[str]:
        return ()

    def stopped(self) -> Mapping[str, Stopped]:
        return {}

    async def close(self) -> None:
        pass


@dataclass
class TestClock:
    time: datetime = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    __test__ = False

    def now(self) -> datetime:
        return self.time


@dataclass
class World:
    folder: Path
    pipeline: Pipeline
    equipment: Equipment
    transport: RecordingTransport
    clock: TestClock

    async def submit(
        self, data: bytes, *recipients: str, client: Client = TRUSTED, sender: str = "jane@example.com"
    ) -> Reply:
        envelope = Envelope(parse_address(sender), tuple(parse_address(r) for r in recipients))
        return await self.pipeline.message(client, envelope, Body.of(data))

    async def finish(self) -> None:
        while self.equipment.in_hand.tasks:
            await asyncio.gather(*self.equipment.in_hand.tasks)

    async def run_queue(self) -> None:
        """One look at the queue, and all that comes of it."""
        await self.pipeline.queue_runner.look()
        await self.finish()

    async def queue(self) -> Sequence[QueueEntry]:
        return await self.equipment.spool.entries(QueueFilter())

    def copy_for(self, recipient: str) -> bytes:
        return next(data for data, recipients in self.transport.copies if recipient in recipients)


@asynccontextmanager
async def open_world(folder: Path, relay: Relay) -> AsyncIterator[World]:
    """The relay's configuration at work, without its processes."""
    snapshot = read_snapshot(relay.configuration)
    clock, transport = TestClock(), RecordingTransport()

    def build(hop: NextHop) -> RecordingTransport:
        transport.hop = hop
        return transport

    next_hops = NextHops(build)
    next_hops.apply(snapshot.configuration.next_hops, "out")
    spool = await SqliteSpool.open(folder / "spool", slot=0, reserve=0, clock=clock)
    equipment = Equipment("relay.example.com", rulebook(snapshot), spool, next_hops, clock, InHand(1_000_000))
    yield World(relay.folder, Pipeline(equipment), equipment, transport, clock)
    await equipment.spool.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    relay = Relay(tmp_path / "relay", 1)
    relay.write_rules(RULES)
    relay.write_template("note", "<p>A note of {{ sender.displayName }}</p>", "A note of {{ sender.displayName }}\n")
    async with open_world(tmp_path, relay) as opened:
        yield opened


async def test_copies_differ_where_decisions_do_and_leave_nothing_in_the_queue(world: World) -> None:
    reply = await world.submit(MESSAGE, "bob@example.net", "john@example.com")
    await world.finish()

    assert reply.code == 250
    assert b"A note of Jane Doe" in world.copy_for("bob@example.net")
    assert b"A note" not in world.copy_for("john@example.com")
    assert world.copy_for("john@example.com").endswith(MESSAGE)
    assert await world.queue() == []


async def test_the_reply_names_the_queue_id_that_the_trace_names(world: World) -> None:
    reply = await world.submit(MESSAGE, "john@example.com")
    await world.finish()

    queue_id = reply.text.rpartition(" ")[2]
    assert f"id {queue_id};".encode() in world.copy_for("john@example.com")


async def test_what_comes_back_again_and_again_is_refused(world: World) -> None:
    hop = b"Received: from mx.example.net\r\n\tby %b (Stampline) with ESMTP id x;\r\n\tMon, 23 Nov 2026\r\n"
    ours, others = hop % b"relay.example.com", hop % b"relay.example.net"

    assert (await world.submit(others * 20 + ours * 8 + MESSAGE, "bob@example.net")).code == 250
    assert str(await world.submit(ours * 9 + MESSAGE, "bob@example.net")).startswith("554 5.4.6 ")
    await world.finish()


async def test_our_mark_verifies_on_every_copy(world: World) -> None:
    await world.submit(MESSAGE, "bob@example.net", "john@example.com")
    await world.finish()

    keys = world.equipment.rulebook.snapshot.books[0].mark_keys
    for data, _ in world.transport.copies:
        message = parse(data)
        mark = message.header("X-Stampline-Processed").encode()
        state = check_mark(keys, mark, "default", "<one@example.com>", message.header("date"), world.clock.now())
        assert state.value == "valid"


async def test_a_copy_with_our_valid_mark_is_relayed_without_deciding_again(world: World) -> None:
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    first = world.copy_for("bob@example.net")
    world.transport.copies.clear()

    await world.submit(first, "bob@example.net")
    await world.finish()

    second = world.copy_for("bob@example.net")
    assert second.endswith(first)
    assert second.count(b"A note of Jane Doe") == 1


@pytest.mark.parametrize("key", [b"another key, of somebody else entirely", None])
async def test_a_forged_mark_is_removed_and_does_not_count(world: World, key: bytes | None) -> None:
    value = b"nonsense"
    if key is not None:
        date = "Mon, 23 Nov 2026 10:00:00 +0000"
        expires = world.clock.now() + timedelta(days=1)
        value = make_mark(key, "default", "outbound", "<one@example.com>", date, expires)

    await world.submit(b"X-Stampline-Processed: " + value + b"\r\n" + MESSAGE, "bob@example.net")
    await world.finish()

    copy = world.copy_for("bob@example.net")
    assert value not in copy
    assert copy.count(b"X-Stampline-Processed:") == 1
    assert b"A note of Jane Doe" in copy


async def test_a_mark_from_a_stranger_does_not_count(world: World) -> None:
    await world.submit(MESSAGE, "john@example.com")
    await world.finish()
    marked = world.copy_for("john@example.com")
    world.transport.copies.clear()

    await world.submit(marked, "john@example.com", client=STRANGER)
    await world.finish()

    copy = world.copy_for("john@example.com")
    assert copy.count(b"X-Stampline-Processed:") == 1
    assert parse(marked).header("X-Stampline-Processed") != parse(copy).header("X-Stampline-Processed")


async def test_a_mark_from_a_message_without_message_id_fits_no_other(world: World) -> None:
    bare = b"From: <x@example.net>\r\nSubject: Bare\r\n\r\nHello\r\n"
    await world.submit(bare, "john@example.com", client=STRANGER)
    await world.finish()
    mark = parse(world.copy_for("john@example.com")).header("X-Stampline-Processed").encode()
    other = b"From: <jane@example.com>\r\nSubject: Other\r\n\r\nHello\r\n"

    await world.submit(b"X-Stampline-Processed: " + mark + b"\r\n" + other, "bob@example.net")
    await world.finish()

    assert mark not in world.copy_for("bob@example.net")
    assert b"A note of" in world.copy_for("bob@example.net")


async def test_the_sender_is_told_even_if_the_body_was_taken_out_of_the_spool(world: World) -> None:
    world.transport.answer = lambda entry: Reply(451, "4.3.0", "Later")
    await world.submit(MESSAGE + b"x" * 200_000, "bob@example.net")
    await world.finish()
    (body,) = [path for path in (world.folder.parent / "spool" / "bodies").rglob("*") if path.is_file()]
    body.unlink()

    world.transport.answer = lambda entry: OK
    for _ in range(4):
        world.clock.time += timedelta(days=1)
        await world.run_queue()

    late, given_up = (data for data, recipients in world.transport.copies if "jane@example.com" in recipients)
    assert b"Action: delayed" in late
    assert b"Status: 4.4.7" in given_up
    assert await world.queue() == []


async def test_a_fault_in_settling_leaves_no_lease_behind(world: World) -> None:
    def no_dsn(*_: object) -> AcceptedMessage:
        raise LookupError("a fault of our own")

    book = world.equipment.rulebook
    world.equipment.rulebook = replace(book, settler=replace(book.settler, write_dsn=no_dsn))
    world.transport.answer = lambda entry: Reply(550, "5.1.1", "No such user")
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()

    (entry,) = await world.queue()
    assert not entry.leased
    world.equipment.rulebook = book
    world.clock.time += timedelta(hours=1)
    await world.run_queue()
    await world.run_queue()
    assert await world.queue() == []


async def test_a_stranger_does_not_pose_as_internal_to_exchange(world: World) -> None:
    posing = (
        b"X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-CrossTenant-Id: ours\r\n"
        b"x-ms-exchange-crosspremises-AuthAs: Internal\r\nX-MS-Exchange-Forest-Language: en\r\n"
    )
    for client, before in ((STRANGER, b""), (TRUSTED, b""), (EXCHANGE, posing)):
        world.transport.copies.clear()
        await world.submit(posing + MESSAGE, "john@example.com", client=client)
        await world.finish()

        copy = world.copy_for("john@example.com")
        assert copy.endswith(b"\r\n" + before + MESSAGE)
        assert copy.count(b"AuthAs") == before.count(b"AuthAs")


@pytest.mark.parametrize(
    "smuggled",
    [
        b"--line\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n",
        b"X-MS-Exchange-Organization-AuthAs\r\n : Internal\r\n",
        b"\xef\xbb\xbfX-MS-Exchange-Organization-AuthAs: Internal\r\n",
        b"X-MS-Exchange-Organization-AuthAs\r\n : Internal\r\nX-Last: 1\r\n",
        b"\xef\xbb\xbfX-MS-Exchange-Organization-AuthAs : Internal\r\nX-Last: 1\r\n",
    ],
)
async def test_nor_by_fields_that_only_others_read(world: World, smuggled: bytes) -> None:
    header, _, body = MESSAGE.partition(b"\r\n\r\n")
    message = header + b"\r\n" + smuggled + b"\r\n" + body
    for client in (STRANGER, EXCHANGE):
        world.transport.copies.clear()
        await world.submit(message, "john@example.com", client=client)
        await world.finish()
        copy = world.copy_for("john@example.com")
        if client is STRANGER:
            assert b"AuthAs" not in copy.partition(b"\r\n\r\n")[0]
        else:
            assert copy.endswith(message)


async def test_the_token_is_on_all_copies_but_those_for_servers_of_strangers(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "relay", 1)
    relay.write_rules("rules: []\n")
    (relay.folder / "token").write_text("a-token-for-tests\n")
    relay.settings["organisation"]["mark"]["token"] = {"file": "token"}
    relay.settings["next_hops"].append({"name": "direct", "kind": "mx"})
    relay.settings["routing"]["domains"] = {"example.net": "direct"}
    relay.write_settings()
    stray = b"X-Stampline-Token: a-token-for-tests\r\n"
    async with open_world(tmp_path, relay) as world:
        for client in (TRUSTED, EXCHANGE, STRANGER):
            await world.submit(stray + MESSAGE, "john@example.com", "bob@example.net", client=client)
            await world.finish()
            inside = world.copy_for("john@example.com")
            assert inside.startswith(stray + b"X-Stampline-Processed: ")
            assert inside.count(b"X-Stampline-Token") == 1
            assert b"X-Stampline-Token" not in world.copy_for("bob@example.net")
            world.transport.copies.clear()
            await world.submit(inside, "bob@example.net", client=client)  # what comes back and is not decided again
            await world.finish()
            assert b"X-Stampline-Token" not in world.copy_for("bob@example.net")
            world.transport.copies.clear()


async def test_rejecting_everybody_is_said_at_once_and_nothing_is_kept(world: World) -> None:
    reply = await world.submit(MESSAGE.replace(b"Offer", b"Secret"), "bob@example.net")

    assert (reply.code, reply.text) == (550, "Secrets stay inside")
    assert await world.queue() == []


async def test_rejecting_one_of_two_delivers_the_other_and_tells_our_own_sender(world: World) -> None:
    reply = await world.submit(MESSAGE.replace(b"Offer", b"Secret"), "bob@example.net", "john@example.com")
    await world.finish()
    await world.run_queue()

    assert reply.code == 250
    assert [recipients for _, recipients in world.transport.copies] == [("john@example.com",), ("jane@example.com",)]
    assert b"Secrets stay inside" in world.copy_for("jane@example.com")
    assert await world.queue() == []


async def test_a_dropped_recipient_gets_nothing_and_nobody_is_told(world: World) -> None:
    await world.submit(MESSAGE.replace(b"Offer", b"silence"), "bob@example.net", "john@example.com")
    await world.finish()
    await world.run_queue()

    assert [recipients for _, recipients in world.transport.copies] == [("john@example.com",)]
    assert await world.queue() == []


async def test_a_held_recipient_waits_for_release_and_then_gets_what_was_decided(world: World) -> None:
    await world.submit(MESSAGE.replace(b"Offer", b"for review"), "bob@example.net", "john@example.com")
    await world.finish()
    await world.run_queue()
    [entry] = await world.queue()
    assert [(str(r.address), r.state) for r in entry.recipients if not r.state.is_final] == [
        ("bob@example.net", State.HELD)
    ]

    assert await world.equipment.spool.release(QueueFilter(queue_id=entry.queue_id)) == 1
    await world.run_queue()

    assert b"A note of Jane Doe" in world.copy_for("bob@example.net")
    assert await world.queue() == []


async def test_a_hold_that_nobody_releases_ends_in_a_dsn(world: World) -> None:
    await world.submit(MESSAGE.replace(b"Offer", b"for review"), "bob@example.net")
    await world.finish()

    world.clock.time += timedelta(days=7, minutes=1)
    await world.run_queue()
    await world.run_queue()

    assert [recipients for _, recipients in world.transport.copies] == [("jane@example.com",)]
    assert await world.queue() == []


async def test_a_later_attempt_sends_the_very_same_bytes(world: World) -> None:
    world.transport.answer = lambda entry: Reply(451, "4.3.0", "Later")
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    (world.folder / "templates" / "note" / "signature.txt.j2").write_text("Another note\n")
    world.equipment.rulebook = rulebook(read_snapshot(world.folder / "stampline.yaml"))
    world.transport.answer = lambda entry: OK

    world.clock.time += timedelta(minutes=2)
    await world.run_queue()

    [(first, _), (second, _)] = world.transport.copies
    assert first == second
    assert await world.queue() == []


async def test_a_temporary_refusal_waits_for_the_schedule(world: World) -> None:
    world.transport.answer = lambda entry: Reply(451, "4.3.0", "Later")
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()

    await world.run_queue()
    assert len(world.transport.copies) == 1  # not due yet
    world.clock.time += timedelta(minutes=2)
    await world.run_queue()
    assert len(world.transport.copies) == 2


async def test_a_refusal_becomes_a_dsn_to_the_sender(world: World) -> None:
    world.transport.answer = lambda entry: (
        Reply(550, "5.1.1", "No such user") if entry.address.domain == "example.net" else OK
    )
    await world.submit(MESSAGE, "bob@example.net", "john@example.com")
    await world.finish()
    await world.run_queue()

    dsn = world.copy_for("jane@example.com")
    assert b"Final-Recipient: rfc822; bob@example.net" in dsn
    assert b"john@example.com" not in dsn.partition(b"text/rfc822-headers")[0]
    assert await world.queue() == []


async def test_too_much_in_hand_waits_in_the_queue(world: World) -> None:
    world.transport.gate = asyncio.Event()
    world.equipment.in_hand.octets_max = len(MESSAGE) + 1
    await world.submit(MESSAGE, "bob@example.net")
    await world.submit(MESSAGE.replace(b"<one@", b"<two@"), "bob@example.net")
    assert len(world.equipment.in_hand.tasks) == 1
    assert len(await world.queue()) == 2

    world.transport.gate.set()
    await world.finish()
    await world.run_queue()

    assert len(world.transport.copies) == 2
    assert await world.queue() == []


async def test_bypass_relays_unstamped(world: World) -> None:
    world.equipment.bypass = Bypass(on=True)
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()

    assert world.copy_for("bob@example.net").endswith(MESSAGE)


async def test_over_the_limits_is_refused_or_passes_unstamped_as_configured(world: World) -> None:
    many = b"".join(b"X-Number: %d\r\n" % number for number in range(2000)) + MESSAGE
    refused = await world.submit(many, "bob@example.net")

    pass_unstamped(world)
    passed = await world.submit(many, "bob@example.net")
    await world.finish()

    assert (refused.code, refused.status) == (554, "5.6.0")
    assert passed.code == 250
    assert world.copy_for("bob@example.net").endswith(many)


def pass_unstamped(world: World) -> None:
    limits = world.equipment.rulebook.snapshot.configuration.message_limits
    configuration = world.equipment.rulebook.snapshot.configuration.model_copy(
        update={"message_limits": limits.model_copy(update={"above": "pass-unstamped"})}
    )
    snapshot = replace(world.equipment.rulebook.snapshot, configuration=configuration)
    world.equipment.rulebook = rulebook(snapshot)


async def test_over_the_limits_a_stranger_poses_as_nobody_either(world: World) -> None:
    pass_unstamped(world)
    forged = (
        b"x-ms-exchange-organization-AuthAs : Internal\r\n\tfolded\r\nX-MS-Exchange-CrossTenant-Id: 1\r\n"
        b"X-Stampline-Processed: v=1\r\nAuthentication-Results: (by)\r\n relay.example.com; dmarc=pass\r\n"
    )
    kept = b"Authentication-Results: mx.example.net; dmarc=pass\r\nX-MS-Exchange-Other: 1\r\n"
    many = kept + b"X-Number: 1\r\n" * 2000
    body = MESSAGE + forged
    await world.submit(forged + many + forged + body, "john@example.com", client=STRANGER)
    await world.finish()
    assert world.copy_for("john@example.com").endswith(b"\r\n" + many + body)
    assert b"Internal" not in world.copy_for("john@example.com").partition(b"\r\n\r\n")[0]
    await world.submit(forged + many + body, "bob@example.net", client=EXCHANGE)
    await world.finish()
    assert world.copy_for("bob@example.net").endswith(forged + many + body)


async def test_a_loop_ends(world: World) -> None:
    looping = b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n" * 51 + MESSAGE
    reply = await world.submit(looping, "bob@example.net")

    assert (reply.code, reply.status) == (554, "5.4.6")


async def test_a_trusted_submission_gets_the_message_id_and_date_that_it_lacks(world: World) -> None:
    bare = b"From: jane@example.com\r\nTo: john@example.com\r\nSubject: Hi\r\n\r\nHello\r\n"
    await world.submit(bare, "john@example.com")
    await world.finish()

    message = parse(world.copy_for("john@example.com"))
    assert message.message_id.endswith("@relay.example.com>")
    assert message.header("date")


async def test_a_template_that_fails_obeys_on_error(world: World) -> None:
    rules: dict[str, Any] = {"deliver-unstamped": 250, "defer": 250, "reject": 250}
    for outcome in rules:
        text = RULES.replace("actions:\n      - stamp", f"on_error: {outcome}\n    actions:\n      - stamp")
        (world.folder / "rules" / "10-test.yaml").write_text(text)
        template = world.folder / "templates" / "note" / "signature.txt.j2"
        template.write_text("{{ 1 // (organisation.name | length - 11) }}\n")
        world.equipment.rulebook = rulebook(read_snapshot(world.folder / "stampline.yaml"))
        world.transport.copies.clear()
        await world.submit(MESSAGE, "bob@example.net")
        await world.finish()
        await world.run_queue()
        got = [recipients for _, recipients in world.transport.copies]
        expected = {"deliver-unstamped": [("bob@example.net",)], "defer": [], "reject": [("jane@example.com",)]}
        assert got == expected[outcome], outcome


async def test_a_first_contact_is_one_until_the_message_is_accepted(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "relay", 1)
    relay.write_rules("""
rules:
  - name: refused
    when: {subject: {phrase: secret}}
    actions: [reject: {}]
  - name: first
    when: {recipient: {first_contact: true}}
    actions: [tag-subject: {text: "[first]"}]
""")
    async with open_world(tmp_path, relay) as world:
        assert (await world.submit(MESSAGE.replace(b"Offer", b"Secret"), "bob@example.net")).code == 550
        for number, recipients in enumerate([("bob@example.net",), ("bob@example.net", "ann@example.net")]):
            await world.submit(MESSAGE.replace(b"<one@", b"<%d@" % number), *recipients)
            await world.finish()
        tagged = {names: b"[first]" in data for data, names in world.transport.copies}
        assert tagged[("bob@example.net",)] is False  # the second message; the first had the same recipients
        assert tagged[("ann@example.net",)] is True
        assert b"[first]" in world.transport.copies[0][0]


WARNING = """
rules:
  - name: warn
    direction: inbound
    actions: [stamp: {template: note, place: top, once: conversation}]
  - name: thread
    when: {stamped: note}
    actions: [tag-subject: {text: Known}]
"""


async def test_a_stranger_whose_mail_our_server_passes_on_keeps_no_warning_out(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "relay", 1)
    relay.write_rules(WARNING)
    relay.write_template("note", "<p>Beware of this mail</p>", "Beware of this mail\n")
    quoting = (
        MESSAGE.replace(b"jane@", b"x@").replace(b"example.com>", b"stranger.example>").replace(b"/plain", b"/html")
    )
    async with open_world(tmp_path, relay) as world:
        await world.submit(quoting, "john@example.com", client=STRANGER, sender="x@stranger.example")
        await world.finish()
        stamped = world.copy_for("john@example.com")
        again = quoting + stamped.partition(b"\r\n\r\n")[2]
        for client in (STRANGER, TRUSTED):
            world.transport.copies.clear()
            await world.submit(again, "john@example.com", client=client, sender="x@stranger.example")
            await world.finish()
            assert world.copy_for("john@example.com").count(b"Beware of this mail") == 2
            assert b"Subject: Offer" in world.copy_for("john@example.com")
