"""The port `TrackingStore`: records, their notes and attachments, time-triggered rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mta.model.record import (
    AddNote,
    Change,
    DeleteRecord,
    NoteRule,
    Record,
    RecordAttachment,
    RecordFilter,
    UpdateRecord,
)
from mta.model.reply import TemporaryError
from mta.model.tracking import Intake
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore
from tests.contract.spools import SettableClock
from tests.contract.tracking import ANN, BOB, DESK, EVERY_RECORD, Arrivals, OpenTracking, create, note

HOUR = timedelta(hours=1)
LARGE = bytes(range(256)) * 600


async def the_record(store: TrackingStore, transaction: Transaction) -> Record:
    record = await store.record(transaction)
    assert record is not None
    return record


async def change(arrivals: Arrivals, key: str, transaction: Transaction, *changes: Change) -> bool:
    return await arrivals.store.change(key, Intake(arrivals.entry(transaction), changes=changes))


# --- values --------------------------------------------------------------------------------------------------------


async def test_a_record_stands_as_it_was_made(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    assert await tracking.record(transaction) is None
    await arrivals.take(transaction, create(transaction, owner=BOB, room="12", floor="ground Größe \udcff\0"))
    now = arrivals.clock.now()
    assert await the_record(tracking, transaction) == Record(
        transaction, "open", "Printer", ANN, BOB, "support", now, now,
        fields={"room": "12", "floor": "ground Größe ?\N{REPLACEMENT CHARACTER}"},
    )  # fmt: skip


async def test_an_update_leaves_what_it_does_not_name(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    await arrivals.take(transaction, create(transaction, room="12", floor="1"))
    made, later = arrivals.clock.now(), arrivals.clock.pass_(HOUR)
    await arrivals.take(
        transaction, UpdateRecord(transaction, title="Toner", fields={"room": "13"}), message_id="<2@x>"
    )
    record = await the_record(tracking, transaction)
    assert (record.title, record.state, record.fields) == ("Toner", "open", {"room": "13", "floor": "1"})
    assert (record.created_at, record.updated_at) == (made, later)


async def test_closing_and_opening_again(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.ticket()
    closed_at = arrivals.clock.pass_(HOUR)
    await arrivals.take(transaction, UpdateRecord(transaction, state="closed"), message_id="<2@x>")
    arrivals.clock.pass_(HOUR)
    await arrivals.take(transaction, UpdateRecord(transaction, state="closed"), message_id="<3@x>")
    assert (await the_record(tracking, transaction)).closed_at == closed_at
    await arrivals.take(transaction, UpdateRecord(transaction, title="x"), message_id="<4@x>")
    assert (await the_record(tracking, transaction)).closed_at == closed_at
    await arrivals.take(transaction, UpdateRecord(transaction, state="waiting"), message_id="<5@x>")
    record = await the_record(tracking, transaction)
    assert (record.state, record.closed_at) == ("waiting", None)


async def test_a_record_that_is_there_stays_as_it_is(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.ticket("first")
    await arrivals.take(transaction, create(transaction, title="second"), message_id="<2@x>")
    assert (await the_record(tracking, transaction)).title == "first"


async def test_a_record_that_is_not_there_can_be_updated_and_deleted_in_vain(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    transaction = await arrivals.open()
    await arrivals.take(transaction, UpdateRecord(transaction, title="x"), DeleteRecord(transaction))
    assert await tracking.record(transaction) is None


async def test_notes_from_before_the_record_are_its_own(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    await arrivals.take(transaction, note(transaction, "before"))
    await arrivals.take(transaction, create(transaction), note(transaction, "with it"), message_id="<2@x>")
    assert (await the_record(tracking, transaction)).notes == 2
    assert [(each.number, each.text) for each in await tracking.notes(transaction)] == [(1, "before"), (2, "with it")]


async def test_a_deleted_record_keeps_what_is_said_and_is_brought_back_by_making_it_anew(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    transaction = await arrivals.ticket("first")
    await arrivals.take(transaction, DeleteRecord(transaction), message_id="<2@x>")
    await arrivals.take(
        transaction, UpdateRecord(transaction, title="x"), note(transaction, "and yet"), message_id="<3@x>"
    )
    record = await the_record(tracking, transaction)
    assert (record.is_deleted, record.title, record.notes) == (True, "first", 2)
    assert list(await tracking.records(EVERY_RECORD)) == []
    assert await tracking.count_records(EVERY_RECORD) == {}
    assert len(await tracking.records(RecordFilter(with_deleted=True))) == 1
    await arrivals.take(transaction, create(transaction, title="again"), message_id="<4@x>")
    record = await the_record(tracking, transaction)
    assert (record.is_deleted, record.title, record.notes) == (False, "again", 2)


async def test_changes_are_carried_out_in_order(arrivals: Arrivals, tracking: TrackingStore) -> None:
    one, two = await arrivals.open("<1@x>"), await arrivals.open("<2@x>")
    await arrivals.take(
        one, create(one), UpdateRecord(one, state="closed"), create(two), note(two, "a"),
        UpdateRecord(one, state="open"), note(two, "b"), DeleteRecord(two),
    )  # fmt: skip
    assert (await the_record(tracking, one)).state == "open"
    assert (await the_record(tracking, two)).is_deleted
    assert [each.text for each in await tracking.notes(two)] == ["a", "b"]


# --- notes and attachments -------------------------------------------------------------------------------------------


async def test_a_note_is_as_it_was_said(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    text = "Zeile 1\n\N{SNOWMAN} \udc80 end"
    await arrivals.take(transaction, create(transaction), note(transaction, text, b"", b"x", public=False))
    (said,) = await tracking.notes(transaction)
    assert (said.number, said.author, said.author_name, said.kind) == (1, ANN, "Ann", "received")
    assert (said.text, said.is_public, said.at) == ("Zeile 1\n\N{SNOWMAN} ? end", False, arrivals.clock.now())
    assert [(each.name, each.content_type, each.size_octets) for each in said.attachments] == [
        ("file-0", "application/x-test", 0),
        ("file-1", "application/x-test", 1),
    ]
    assert [await tracking.attachment(each) for each in said.attachments] == [b"", b"x"]


def _files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "spool" / "bodies").rglob("*") if path.is_file()]


async def test_octets_are_kept_once_and_go_with_the_last_that_needs_them(
    arrivals: Arrivals, tracking: TrackingStore, tmp_path: Path
) -> None:
    one, two = await arrivals.open("<1@x>"), await arrivals.open("<2@x>")
    await arrivals.take(one, create(one), note(one, "a", LARGE, LARGE), message_id="<1@x>")
    await arrivals.take(two, create(two), note(two, "b", LARGE), message_id="<2@x>")
    (kept,) = _files(tmp_path)
    assert kept.read_bytes() == LARGE
    await arrivals.take(one, DeleteRecord(one), message_id="<3@x>")
    assert await tracking.purge(EVERY_RECORD) == 1
    (said,) = await tracking.notes(two)
    assert await tracking.attachment(said.attachments[0]) == LARGE
    await arrivals.take(two, DeleteRecord(two), message_id="<4@x>")
    assert await tracking.purge(RecordFilter(number=two.number)) == 1
    assert _files(tmp_path) == []
    with pytest.raises(KeyError):
        await tracking.attachment(said.attachments[0])


async def test_what_is_taken_again_leaves_no_file(arrivals: Arrivals, tmp_path: Path) -> None:
    transaction = await arrivals.open()
    for _ in range(3):
        await arrivals.take(transaction, create(transaction), note(transaction, "a", LARGE))
    assert len(_files(tmp_path)) == 1


async def test_a_file_that_somebody_took_away_is_told_and_comes_back_with_the_same_content(
    arrivals: Arrivals, tracking: TrackingStore, tmp_path: Path
) -> None:
    transaction = await arrivals.open()
    await arrivals.take(transaction, create(transaction), note(transaction, "a", LARGE))
    (said,) = await tracking.notes(transaction)
    for path in _files(tmp_path):
        path.unlink()
    with pytest.raises(TemporaryError):
        await tracking.attachment(said.attachments[0])
    await arrivals.take(transaction, note(transaction, "b", LARGE), message_id="<2@x>")
    assert await tracking.attachment(said.attachments[0]) == LARGE


async def test_an_attachment_that_is_nowhere_is_no_attachment(tracking: TrackingStore) -> None:
    with pytest.raises(KeyError):
        await tracking.attachment(RecordAttachment("a", "text/plain", 1, "00" * 32))


async def test_purged_numbers_stay_given_and_what_is_not_deleted_stays(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    gone, stays = await arrivals.ticket("a", "<1@x>"), await arrivals.ticket("b", "<2@x>")
    await arrivals.take(gone, DeleteRecord(gone), message_id="<3@x>")
    assert await tracking.purge(EVERY_RECORD) == 1
    assert await tracking.record(gone) is None
    assert list(await tracking.notes(gone)) == []
    assert (await the_record(tracking, stays)).notes == 1
    assert (await arrivals.open("<4@x>")).number == 3


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "titles"),
    [
        (RecordFilter(), ["Printer", "100% done_", "Lamp"]),
        (RecordFilter(organisation=DESK), ["Printer", "100% done_", "Lamp"]),
        (RecordFilter(organisation="other"), []),
        (RecordFilter(module="ticket"), ["Printer", "100% done_"]),
        (RecordFilter(module="t*"), ["Printer", "100% done_"]),
        (RecordFilter(number=1), ["Printer", "Lamp"]),
        (RecordFilter(state="CLOSED"), ["100% done_"]),
        (RecordFilter(requester="Ann@*"), ["Printer", "100% done_"]),
        (RecordFilter(requester=BOB.upper()), ["Lamp"]),
        (RecordFilter(owner="*@example.com"), ["Lamp"]),
        (RecordFilter(source="sup*"), ["Printer", "100% done_", "Lamp"]),
        (RecordFilter(title="100%*_"), ["100% done_"]),
        (RecordFilter(title="*a*"), ["Lamp"]),
        (RecordFilter(title="%"), []),
        (RecordFilter(title="\udcff"), []),
        (RecordFilter(older_than_s=3600), ["Printer", "100% done_"]),
        (RecordFilter(unchanged_for_s=3600), ["Printer"]),
        (RecordFilter(module="ticket", state="open", title="p*"), ["Printer"]),
    ],
    ids=str,
)
async def test_filters(arrivals: Arrivals, tracking: TrackingStore, which: RecordFilter, titles: list[str]) -> None:
    await arrivals.ticket("Printer", "<1@x>")
    second = await arrivals.ticket("100% done_", "<2@x>")
    arrivals.clock.pass_(2 * HOUR)
    await arrivals.take(second, UpdateRecord(second, state="closed"), message_id="<3@x>")
    case = await arrivals.open("<4@x>", module="case")
    await arrivals.take(case, create(case, title="Lamp", requester=BOB, owner="eve@example.com"), message_id="<4@x>")
    assert [record.title for _, record in await tracking.records(which)] == titles
    assert sum((await tracking.count_records(which)).values()) == len(titles)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages(arrivals: Arrivals, tracking: TrackingStore, newest_first: bool) -> None:
    for number in range(5):
        await arrivals.ticket(str(number), f"<{number}@x>")
    found, after = [], 0
    while page := await tracking.records(EVERY_RECORD, after=after, limit=2, newest_first=newest_first):
        found += [record.title for _, record in page]
        after = page[-1][0]
    assert found == sorted("01234", reverse=newest_first)


async def test_counts(arrivals: Arrivals, tracking: TrackingStore) -> None:
    one, _ = await arrivals.ticket("a", "<1@x>"), await arrivals.ticket("b", "<2@x>")
    await arrivals.take(one, UpdateRecord(one, state="closed"), message_id="<3@x>")
    assert await tracking.count_records(EVERY_RECORD) == {(DESK, "ticket", "open"): 1, (DESK, "ticket", "closed"): 1}


async def test_an_export_has_all_with_their_notes(arrivals: Arrivals, open_tracking: OpenTracking) -> None:
    for number in range(3):
        transaction = await arrivals.ticket(str(number), f"<{number}@x>")
        more = [note(transaction, f"{number}.{n}") for n in range(number * 900)]
        await arrivals.take(transaction, *more, message_id=f"<more-{number}@x>")
    administrator = await open_tracking(False)
    found = [(record, notes) async for record, notes in administrator.export(EVERY_RECORD)]
    assert [(record.title, record.notes, len(notes)) for record, notes in found] == [
        ("0", 1, 1), ("1", 901, 901), ("2", 1801, 1801),
    ]  # fmt: skip
    assert found[2][1][-1].text == "2.1799"


# --- time-triggered rules ------------------------------------------------------------------------------------------


async def overdue(
    arrivals: Arrivals, rule: str = "r", *, created: timedelta | None = 4 * HOUR, unchanged: timedelta | None = None,
    states: tuple[str, ...] = ("open",),
) -> list[str]:  # fmt: skip
    now = arrivals.clock.now()

    def before(age: timedelta | None) -> datetime | None:
        return None if age is None else now - age

    found = await arrivals.store.overdue(
        DESK, "ticket", states, rule, created_before=before(created), unchanged_since=before(unchanged), limit=10
    )
    return [record.title for record in found]


async def test_what_is_overdue_the_oldest_first(arrivals: Arrivals) -> None:
    for title in ("a", "b", "c"):
        await arrivals.ticket(title, f"<{title}@x>")
        arrivals.clock.pass_(HOUR)
    assert await overdue(arrivals, created=2 * HOUR) == ["a", "b"]
    assert await overdue(arrivals, created=2 * HOUR, states=("closed",)) == []
    assert await overdue(arrivals, created=None, unchanged=3 * HOUR) == ["a"]
    assert await overdue(arrivals, created=HOUR, unchanged=3 * HOUR, states=("closed", "open")) == ["a"]


async def test_a_rule_is_carried_out_once_until_somebody_changes_the_record(arrivals: Arrivals) -> None:
    transaction = await arrivals.ticket("a")
    arrivals.clock.pass_(5 * HOUR)
    assert await change(arrivals, "r:1", transaction, NoteRule(transaction, "r"), note(transaction, "late"))
    assert await overdue(arrivals) == []
    assert await overdue(arrivals, "other") == ["a"], "each rule for itself"
    await arrivals.take(transaction, note(transaction, "a reply"), message_id="<2@x>")
    assert await overdue(arrivals) == ["a"]


async def test_what_programs_wrote_makes_no_rule_due_again(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.ticket("a")
    arrivals.clock.pass_(5 * HOUR)
    await change(arrivals, "r:1", transaction, NoteRule(transaction, "r"))
    quiet = Intake(arrivals.entry(transaction, "<2@x>"), changes=(note(transaction, "out of office"),), is_quiet=True)
    assert await tracking.take(quiet)
    assert await overdue(arrivals) == []
    assert await overdue(arrivals, "other", created=None, unchanged=5 * HOUR) == ["a"]
    assert (await the_record(tracking, transaction)).notes == 2


async def test_two_rules_do_not_call_each_other_for_ever(arrivals: Arrivals) -> None:
    transaction = await arrivals.ticket("a")
    arrivals.clock.pass_(5 * HOUR)
    await change(arrivals, "r:1", transaction, UpdateRecord(transaction, owner=BOB), NoteRule(transaction, "r"))
    await change(arrivals, "s:1", transaction, note(transaction, "late"), NoteRule(transaction, "s"))
    assert (await overdue(arrivals, "r"), await overdue(arrivals, "s")) == ([], [])
    assert await overdue(arrivals, "third", created=None, unchanged=5 * HOUR) == ["a"], "nobody has touched it"


async def test_a_change_is_made_once_for_its_key(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.ticket("a")
    assert await change(arrivals, "k", transaction, note(transaction, "by the administrator"))
    assert not await change(arrivals, "k", transaction, note(transaction, "by the administrator"))
    assert [each.text for each in await tracking.notes(transaction)] == ["a", "by the administrator"]
    assert len(await tracking.entries()) == 1, "it is no message"


async def test_a_deleted_or_closed_one_is_not_overdue(arrivals: Arrivals) -> None:
    one, two = await arrivals.ticket("a", "<1@x>"), await arrivals.ticket("b", "<2@x>")
    await arrivals.take(one, DeleteRecord(one), message_id="<3@x>")
    await arrivals.take(two, UpdateRecord(two, state="closed"), message_id="<4@x>")
    arrivals.clock.pass_(5 * HOUR)
    assert await overdue(arrivals) == []


async def test_a_note_of_the_past_does_not_make_a_record_younger(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock
) -> None:
    transaction = await arrivals.ticket("a")
    late = replace(arrivals.entry(transaction, "<2@x>"), at=clock.now() - HOUR)
    said: AddNote = note(transaction, "delayed")
    await tracking.take(Intake(late, changes=(said,)))
    record = await the_record(tracking, transaction)
    assert record.updated_at == record.created_at == clock.now()
