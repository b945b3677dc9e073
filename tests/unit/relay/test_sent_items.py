"""Which mail makes Sent Items jobs, through all stages: with a real spool, rules and templates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.config.delivery_schema import NextHop
from mta.message.edit import Edit, apply
from mta.message.parse import parse
from mta.model.bypass import Bypass
from mta.model.reply import Reply
from mta.model.sentitem import JobFilter, SentItemJob, Switch
from mta.relay.deliver.next_hops import NextHops
from mta.relay.sent_items import changes_what_is_read
from tests.servers.relay import Relay
from tests.unit.relay.test_other_forms import Narrow
from tests.unit.relay.test_pipeline import MESSAGE, STRANGER, RecordingTransport, World, open_world

RULES = """
rules:
  - name: no-secrets
    when: {all: [{subject: {phrase: secret}}]}
    actions: [{reject: {text: Secrets stay inside}}]
  - name: archive
    when: {all: [{subject: {phrase: archive}}]}
    actions: [{forward-copy: legal@example.com}]
    on_match: next
  - name: elsewhere
    when: {all: [{subject: {phrase: elsewhere}}]}
    actions: [{redirect: legal@example.com}]
    on_match: next
  - name: department
    when: {all: [{subject: {phrase: department}}]}
    actions: [{set-header: {name: X-Department, value: Sales}}]
  - name: tagged
    when: {all: [{subject: {phrase: tagged}}]}
    actions: [{tag-subject: {text: "[EXT]"}}]
  - name: broken
    when: {all: [{subject: {phrase: broken}}]}
    actions: [{stamp: {template: broken, place: bottom}}]
  - name: outside
    when: {all: [{recipient: {scope: external}}]}
    actions: [{stamp: {template: note, place: bottom}}]
  - name: inside
    when: {all: [{subject: {phrase: both}}]}
    actions: [{stamp: {template: inside, place: bottom}}]
"""
OK, BUSY = Reply(250, "2.0.0", "Ok"), Reply(451, "4.3.2", "Try later")
SENT_ITEMS = {"servers": [{"name": "local", "kind": "maildir", "folder": "mailboxes/{domain}/{local}"}]}
LATER = timedelta(hours=1)


def prepared(folder: Path, sent_items: object = SENT_ITEMS) -> Relay:
    relay = Relay(folder / "relay", 1, organisation={"sent_items": sent_items})
    relay.write_rules(RULES)
    relay.write_template("note", "<p>A note</p>", "A note\n")
    relay.write_template("inside", "<p>Among us</p>", "Among us\n")
    relay.write_template("broken", "<p>{{ 1 / 0 }}</p>", "{{ 1 / 0 }}\n")
    return relay


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, prepared(tmp_path)) as opened:
        await opened.pipeline.queue_runner.note_orders()
        yield opened


@pytest.fixture
async def jobs(world: World, tmp_path: Path) -> AsyncIterator[SqliteSentItemJobs]:
    opened = await SqliteSentItemJobs.open(tmp_path / "spool", works=True, clock=world.clock)
    yield opened
    await opened.close()


async def made(jobs: SqliteSentItemJobs) -> Sequence[SentItemJob]:
    return await jobs.entries(JobFilter())


def written(**changes: bytes) -> bytes:
    """The message with other header fields: `From=b"..."`; an empty one is left out."""
    header, _, body = MESSAGE.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in header.split(b"\r\n"))
    fields.update({name.replace("_", "-").encode(): value for name, value in changes.items()})
    return b"\r\n".join(b": ".join(field) for field in fields.items() if field[1]) + b"\r\n\r\n" + body


async def test_a_stamped_copy_that_went_out_makes_a_job(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(MESSAGE, "bob@example.net", "carol@example.org", "john@example.com")
    await world.finish()
    (job,) = await jobs.lease_due(world.clock.now() + timedelta(seconds=60), limit=10)
    assert (job.mailbox, job.organisation, job.message_id) == ("jane@example.com", "default", "<one@example.com>")
    assert (job.date, job.is_id_ours) == (datetime(2026, 11, 23, 10, 0, tzinfo=UTC), False)
    (copy,) = job.copies
    assert (copy.external, copy.recipients) == (True, 2), "the colleague's copy is as it was"
    assert copy.body.data is not None
    sent = b"".join(apply(copy.body.data, [Edit(*edit) for edit in copy.variant.edits]))
    assert sent == world.copy_for("bob@example.net")
    assert await world.queue() == []


async def test_each_changed_copy_is_there(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(written(Subject=b"both"), "bob@example.net", "john@example.com")
    await world.finish()
    (job,) = await made(jobs)
    assert [(copy.external, copy.recipients) for copy in job.copies] == [(True, 1), (False, 1)]


@pytest.mark.parametrize(
    ("data", "recipients"),
    [
        (MESSAGE, ("john@example.com",)),
        (written(Subject=b"department"), ("john@example.com",)),
        (written(Subject=b"broken"), ("john@example.com",)),
        (written(Subject=b"secret"), ("bob@example.net", "john@example.com")),
        (written(From=b"bob@example.net"), ("carol@example.org",)),
        (written(Auto_Submitted=b"auto-replied"), ("bob@example.net",)),
        (written(Content_Type=b"multipart/signed; boundary=x"), ("bob@example.net",)),
    ],
    ids=["not-changed", "invisible-field", "deliver-unstamped", "rejected", "not-ours", "auto-reply", "signed"],
)
async def test_no_job(world: World, jobs: SqliteSentItemJobs, data: bytes, recipients: Sequence[str]) -> None:
    await world.submit(data, *recipients)
    await world.finish()
    assert await made(jobs) == []
    assert await world.queue() == []


async def test_no_job_from_strangers_and_for_what_passed_before(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(MESSAGE, "bob@example.net", client=STRANGER)
    await world.finish()
    assert await made(jobs) == []
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    assert len(await made(jobs)) == 1
    await jobs.skip(JobFilter(), "x")
    await jobs.forget(world.clock.now() + LATER, 10)
    await world.submit(world.transport.copies[-1][0], "bob@example.net")
    await world.finish()
    assert await made(jobs) == []


async def test_no_job_under_a_bypass(world: World, jobs: SqliteSentItemJobs) -> None:
    world.equipment.bypass = Bypass(on=True)
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    assert await made(jobs) == []


async def test_no_job_for_who_was_added_by_a_rule(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(written(Subject=b"elsewhere"), "bob@example.net")
    await world.finish()
    assert world.transport.copies[-1][1] == ("legal@example.com",)
    assert await made(jobs) == []


async def test_a_changed_subject_is_a_change(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(written(Subject=b"tagged"), "john@example.com")
    await world.finish()
    assert len(await made(jobs)) == 1


async def test_who_gets_it_later_joins_the_job(world: World, jobs: SqliteSentItemJobs) -> None:
    world.transport.answer = lambda entry: BUSY if entry.address.local == "bob" else OK
    await world.submit(MESSAGE, "bob@example.net", "carol@example.org")
    await world.finish()
    (first,) = await made(jobs)
    assert [copy.recipients for copy in first.copies] == [1]
    world.transport.answer = lambda entry: OK
    world.clock.time += LATER
    await world.run_queue()
    (job,) = await made(jobs)
    assert (job.id, [copy.recipients for copy in job.copies]) == (first.id, [2])


async def test_nobody_had_it_yet(world: World, jobs: SqliteSentItemJobs) -> None:
    world.transport.answer = lambda entry: BUSY
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    assert await made(jobs) == []
    world.transport.answer = lambda entry: OK
    world.clock.time += LATER
    await world.run_queue()
    (job,) = await made(jobs)
    assert (job.created_at, job.due_at) == (world.clock.now(), world.clock.now() + timedelta(seconds=60))
    (job,) = await jobs.lease_due(world.clock.now() + LATER, limit=1)
    assert [copy.variant.is_changed for copy in job.copies] == [True]


@pytest.mark.parametrize(
    ("fields", "mailboxes"),
    [
        ({"From": b"Boss <boss@example.com>", "Sender": b"jane@example.com"}, {"boss@example.com", "jane@example.com"}),
        ({"From": b"boss@EXAMPLE.com", "Sender": b"Boss@example.com"}, {"boss@example.com"}),
        ({"From": b"boss@example.com, jane@example.com", "Sender": b"jane@example.com"}, {"jane@example.com"}),
        ({"From": b"boss@example.com, jane@example.com"}, {"boss@example.com"}),
        ({"From": b"boss@example.com, " * 5000, "Sender": b"jane@example.com, boss@example.com"}, {"jane@example.com"}),
        ({"From": b"it@example.net", "Sender": b"jane@example.com"}, set()),
    ],
    ids=["delegate", "same", "several-authors", "several-and-no-sender", "thousands", "for-somebody-outside"],
)
async def test_whose_mailboxes(
    world: World, jobs: SqliteSentItemJobs, fields: dict[str, bytes], mailboxes: set[str]
) -> None:
    await world.submit(written(**fields), "bob@example.net", sender="boss@example.com")
    await world.finish()
    assert {job.mailbox for job in await made(jobs)} == mailboxes


async def test_a_message_id_of_ours_is_told(world: World, jobs: SqliteSentItemJobs) -> None:
    await world.submit(written(Message_ID=b"", Date=b""), "bob@example.net")
    await world.finish()
    (job,) = await made(jobs)
    assert job.is_id_ours
    assert job.message_id.encode() in world.copy_for("bob@example.net")
    assert job.date == world.clock.now()


async def test_message_ids_that_cannot_be_read_are_no_common_name(world: World, jobs: SqliteSentItemJobs) -> None:
    for _ in range(2):
        await world.submit(written(Message_ID=b"nothing"), "bob@example.net")
        await world.finish()
    found = await made(jobs)
    assert len({job.message_id for job in found}) == 2
    assert all(job.is_id_ours for job in found)


@pytest.mark.parametrize(
    ("field", "date"),
    [
        (b"Mon, 23 Nov 2026 12:00:00 +0200", datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        (b"23 Nov 2026 10:00:00 -0000", datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        (b"Fri, 31 Dec 9999 23:59:59 -2300", None),
        (b"Mon, 99 Nov 2026 10:00:00 +0000", None),
        (b"23 Nov 2026 10:00:00 +9999", None),
        (b"yesterday \xff", None),
        (b"," * 5_000, None),
    ],
    ids=["zone", "no-zone", "after-the-end", "no-day", "no-such-zone", "words", "long"],
)
async def test_dates(world: World, jobs: SqliteSentItemJobs, field: bytes, date: datetime | None) -> None:
    await world.submit(written(Date=field), "bob@example.net")
    await world.finish()
    assert [job.date for job in await made(jobs)] == [date]


async def test_the_switch_is_heeded(world: World, jobs: SqliteSentItemJobs) -> None:
    for switch, expected in ((Switch.OFF, 0), (Switch.PAUSED, 1), (Switch.ON, 2)):
        await jobs.set_switch(switch, by_whom="root", at=world.clock.now())
        await world.run_queue()
        await world.submit(written(Message_ID=b"<%s@example.com>" % switch.value.encode()), "bob@example.net")
        await world.finish()
        assert len(await made(jobs)) == expected


async def test_without_sent_items_nothing_is_written(tmp_path: Path) -> None:
    async with open_world(tmp_path, prepared(tmp_path, None)) as world:
        await world.run_queue()
        await world.submit(MESSAGE, "bob@example.net")
        await world.finish()
        jobs = await SqliteSentItemJobs.open(tmp_path / "spool", clock=world.clock)
        assert await made(jobs) == []
        await jobs.close()


async def test_what_a_next_hop_took_without_stamps_only_makes_no_job(world: World, jobs: SqliteSentItemJobs) -> None:
    narrow = Narrow(size=len(MESSAGE) + 1000)

    def build(hop: NextHop) -> RecordingTransport:
        return narrow

    world.equipment.next_hops = NextHops(build)
    world.equipment.next_hops.apply(world.equipment.rulebook.snapshot.configuration.next_hops, "out")
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    assert len(await made(jobs)) == 1
    narrow.copies.clear()
    narrow.size = 10**9
    stamped = written(Message_ID=b"<two@example.com>")
    await world.submit(stamped, "bob@example.net")
    await world.finish()
    narrow.size = len(narrow.copies[-1][0]) - 1
    narrow.copies.clear()
    await world.submit(written(Message_ID=b"<six@example.com>"), "bob@example.net")
    await world.finish()
    assert b"A note" not in narrow.copies[-1][0]
    assert {job.message_id for job in await made(jobs)} == {"<one@example.com>", "<two@example.com>"}


async def test_mail_of_an_organisation_that_is_gone_makes_no_job(
    world: World, jobs: SqliteSentItemJobs, tmp_path: Path
) -> None:
    world.transport.answer = lambda entry: BUSY
    await world.submit(MESSAGE, "bob@example.net")
    await world.finish()
    await jobs.close()
    await world.equipment.spool.close()
    relay = Relay(
        tmp_path / "other",
        1,
        organisation={"sent_items": SENT_ITEMS, "name": "o", "accepted_domains": ["other.example"]},
    )
    async with open_world(tmp_path, relay) as successor:
        successor.clock.time += LATER
        await successor.run_queue()
        assert len(successor.transport.copies) == 1
        reopened = await SqliteSentItemJobs.open(tmp_path / "spool", clock=world.clock)
        assert await made(reopened) == []
        await reopened.close()


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ((), False),
        ((Edit(0, 0, b"X-A: b\r\n"),), False),
        ((Edit(0, 0, b"SUBJECT : b\r\n"),), True),
        ((Edit(12, 12, b"x"),), True),
        ((Edit(18, 18, b"To: c\r\n"),), False),
        ((Edit(27, 27, b"x"),), True),
        ((Edit(30, 31, b""),), True),
    ],
)
def test_what_is_read(edits: Sequence[Edit], expected: bool) -> None:
    message = parse(b"Subject: offer\r\nTo: b\r\n\r\nHello\r\n")
    assert message.body_start == 25
    assert changes_what_is_read(message, edits) is expected
