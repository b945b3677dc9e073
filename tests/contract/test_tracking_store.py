"""The port `TrackingStore`: transactions, their messages, and what is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.adapters.store.errors import SlotTakenError, StoreError
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.record import UpdateRecord
from mta.model.tracking import Entry, EntryState, Intake
from mta.model.transaction import Opening, Transaction
from mta.ports.spool import Spool
from mta.ports.tracking_store import TrackingStore
from tests.contract.spools import SettableClock
from tests.contract.tracking import ANN, BOB, DESK, EVERY_RECORD, Arrivals, OpenTracking, create, note

DAY = timedelta(days=1)


def reference(number: int, nonce: str = "aaaaaaaa", module: str = "ticket") -> Transaction:
    """As a signed reference names one."""
    return Transaction(DESK, module, number, nonce)


# --- transactions --------------------------------------------------------------------------------------------------


async def test_numbers_rise_in_each_module_of_each_organisation(arrivals: Arrivals) -> None:
    opened = [
        await arrivals.open("<1@x>"),
        await arrivals.open("<2@x>"),
        await arrivals.open("<3@x>", module="case"),
        await arrivals.open("<4@x>", organisation="other"),
        await arrivals.open("<5@x>"),
    ]
    assert [(each.organisation, str(each)) for each in opened] == [
        (DESK, "ticket-1"), (DESK, "ticket-2"), (DESK, "case-1"), ("other", "ticket-1"), (DESK, "ticket-3"),
    ]  # fmt: skip
    assert len({each.nonce for each in opened}) == 5


async def test_a_message_id_opens_one_transaction_for_all_its_parts_and_all_processes(
    arrivals: Arrivals, spool: Spool, clock: SettableClock
) -> None:
    opening = Opening(DESK, "ticket", "<1@x>", clock.now(), participants=(ANN,))
    by_relay = await asyncio.gather(*(spool.open_transaction(opening) for _ in range(5)))
    assert set(by_relay) == {await arrivals.open("<1@x>")}
    assert (await arrivals.open("<2@x>")).number == 2
    assert await spool.transaction(DESK, "ticket", 1) == by_relay[0]


async def test_a_message_without_a_message_id_opens_one_of_its_own(arrivals: Arrivals) -> None:
    assert await arrivals.open("") != await arrivals.open("")


async def test_who_brings_a_message_id_again_adds_nobody(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open("<1@x>", participants=(ANN,))
    assert await arrivals.open("<1@x>", participants=("mallory@evil.example",)) == transaction
    assert await tracking.participants(transaction) == {ANN}


async def test_a_continued_one_is_the_same_and_has_more_participants(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    transaction = await arrivals.open("<1@x>", participants=(ANN,))
    assert await arrivals.open("<2@x>", continues=transaction, participants=(BOB, ANN, "")) == transaction
    assert await tracking.participants(transaction) == {ANN, BOB}
    assert await tracking.transactions_of(DESK, ["<1@x>", "<2@x>", "<3@x>", ""]) == {
        "<1@x>": transaction,
        "<2@x>": transaction,
    }


async def test_one_that_a_loss_of_data_took_is_made_anew_and_its_number_not_given_again(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    lost = reference(41)
    assert await tracking.current(lost) is None
    assert await arrivals.open("<1@x>", continues=lost) == lost
    assert await tracking.current(lost) == lost
    assert await tracking.transaction(DESK, "ticket", 41) == lost
    assert (await arrivals.open("<2@x>")).number == 42
    assert await arrivals.open("<3@x>", continues=reference(7)) == reference(7)
    assert (await arrivals.open("<4@x>")).number == 43


async def test_of_two_with_one_number_the_one_that_is_here_keeps_it_and_both_are_known(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    here, lost = await arrivals.open("<1@x>"), reference(1)
    moved = await arrivals.open("<2@x>", continues=lost)
    assert (moved.number, here.number) == (2, 1)
    assert await arrivals.open("<3@x>", continues=lost) == moved, "and every later one"
    assert await tracking.current(lost) == moved
    assert await tracking.current(here) == here
    assert await tracking.transaction(DESK, "ticket", 1) == here


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30])
async def test_a_number_that_was_never_given_names_nothing(tracking: TrackingStore, number: int) -> None:
    assert await tracking.transaction(DESK, "ticket", number) is None


async def test_strangers_choose_message_ids(arrivals: Arrivals, tracking: TrackingStore) -> None:
    odd = "<\udcff'; DROP TABLE conversation --\x00@x>"
    transaction = await arrivals.open(odd)
    assert await arrivals.open(odd) == transaction
    assert await tracking.transactions_of(DESK, [odd]) == {odd: transaction}
    assert await arrivals.take(transaction, message_id=odd)
    assert not await arrivals.take(transaction, message_id=odd)
    entry = await tracking.entry_of_message(DESK, odd)
    assert entry is not None
    assert entry.transaction == transaction


async def test_whoever_uses_a_message_id_again_puts_himself_in_nobodys_place(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    transaction = await arrivals.open("<1@x>")
    early = arrivals.entry(None, "<1@x>", state=EntryState.FILTERED, sender="early@evil.example")
    assert await tracking.take(Intake(replace(early, key="early")))
    assert await arrivals.take(transaction, message_id="<1@x>", direction="sent")
    for state, belongs in ((EntryState.JOINED, transaction), (EntryState.FILTERED, None)):
        again = arrivals.entry(belongs, "<1@x>", state=state, sender="mallory@evil.example")
        assert await tracking.take(Intake(replace(again, key=f"again {state}")))
    entry = await tracking.entry_of_message(DESK, "<1@x>")
    assert entry is not None
    assert (entry.sender, entry.direction) == (ANN, "sent")


# --- what is taken -------------------------------------------------------------------------------------------------


async def test_a_message_is_taken_once(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    entry = arrivals.entry(transaction)
    intake = Intake(entry, (ANN,), (), (create(transaction), note(transaction, "once")), (arrivals.task("k"),))
    assert await asyncio.gather(*(tracking.take(intake) for _ in range(5))) == [True, *[False] * 4]
    assert await tracking.entry(DESK, entry.key) == entry
    assert await tracking.entry("other", entry.key) is None
    assert [each.text for each in await tracking.notes(transaction)] == ["once"]
    assert len(await arrivals.due()) == 1


async def test_one_that_belongs_nowhere_is_remembered(arrivals: Arrivals, tracking: TrackingStore) -> None:
    assert await arrivals.take(None, state=EntryState.FILTERED)
    (entry,) = await tracking.entries(DESK)
    assert (entry.state, entry.transaction, entry.sender) == (EntryState.FILTERED, None, ANN)
    assert not await arrivals.take(None, state=EntryState.FILTERED)


async def test_siblings_that_overtake_their_original_fold_into_one(arrivals: Arrivals, tracking: TrackingStore) -> None:
    first = await arrivals.open("<reply-1@x>", participants=(ANN,))
    await arrivals.take(first, message_id="<reply-1@x>", known_ids=("<original@x>", "<older@x>"))
    assert await tracking.transactions_of(DESK, ["<original@x>"]) == {"<original@x>": first}
    other = await arrivals.open("<elsewhere@x>")
    await arrivals.take(other, message_id="<elsewhere@x>", known_ids=("<original@x>", "<another@x>"))
    known = await tracking.transactions_of(DESK, ["<original@x>", "<another@x>"])
    assert known == {"<original@x>": first, "<another@x>": other}, "the first that names them owns them"
    assert await arrivals.open("<older@x>", participants=(BOB, ANN)) != first, "who writes it doesn't take part"
    assert BOB not in await tracking.participants(first)
    assert await arrivals.open("<original@x>", participants=(ANN, BOB)) == first
    assert BOB in await tracking.participants(first), "nobody had brought it before"


@pytest.mark.parametrize("state", [EntryState.PENDING, EntryState.REPORT, EntryState.LOOP, EntryState.FILTERED])
async def test_only_what_is_joined_makes_its_message_id_known(
    arrivals: Arrivals, tracking: TrackingStore, state: EntryState
) -> None:
    transaction = await arrivals.open("<1@x>")
    await arrivals.take(transaction, message_id="<stranger@x>", known_ids=("<bait@x>",), state=state)
    assert await tracking.transactions_of(DESK, ["<stranger@x>", "<bait@x>"]) == {}


async def test_a_transaction_that_the_store_has_lost_is_made_anew_by_what_is_taken(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    lost = reference(9)
    assert await arrivals.take(lost, create(lost), note(lost, "back"), tasks=(arrivals.task("k", lost),))
    record = await tracking.record(lost)
    assert record is not None
    assert (record.transaction, record.notes) == (lost, 1)
    assert (await arrivals.open("<2@x>")).number == 10


async def test_entries_newest_first(arrivals: Arrivals, tracking: TrackingStore) -> None:
    one, two = await arrivals.open("<1@x>"), await arrivals.open("<2@x>")
    await arrivals.take(one, message_id="<1@x>")
    await arrivals.take(two, message_id="<2@x>", state=EntryState.PENDING)
    await arrivals.take(one, message_id="<3@x>")

    def ids(found: object) -> list[str]:
        assert isinstance(found, list)
        return [each.message_id for each in found]

    assert ids(await tracking.entries()) == ["<3@x>", "<2@x>", "<1@x>"]
    assert ids(await tracking.entries(DESK, limit=2)) == ["<3@x>", "<2@x>"]
    assert ids(await tracking.entries("other")) == []
    assert ids(await tracking.entries(transaction=one)) == ["<3@x>", "<1@x>"]
    assert ids(await tracking.entries(states=[EntryState.PENDING])) == ["<2@x>"]
    assert ids(await tracking.entries(transaction=reference(99))) == []


async def test_a_stranger_whom_the_owner_lets_in_takes_part(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open("<1@x>", participants=(ANN,))
    await arrivals.take(transaction, message_id="<2@x>", state=EntryState.PENDING, sender="new@customer.example")
    assert await tracking.participants(transaction) == {ANN}
    joined = await tracking.accept_pending(DESK, "id:<2@x>")
    assert joined is not None
    assert (joined.state, joined.reason) == (EntryState.JOINED, "accepted")
    assert await tracking.participants(transaction) == {ANN, "new@customer.example"}
    assert await tracking.transactions_of(DESK, ["<2@x>"]) == {"<2@x>": transaction}
    assert await tracking.accept_pending(DESK, "id:<2@x>") is None
    assert await tracking.accept_pending(DESK, "id:<nothing@x>") is None


async def test_a_stranger_whom_the_owner_does_not_let_in_stays_out(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open("<1@x>", participants=(ANN,))
    await arrivals.take(transaction, message_id="<2@x>", state=EntryState.PENDING, sender=BOB)
    declined = await tracking.decline_pending(DESK, "id:<2@x>")
    assert declined is not None
    assert (declined.state, declined.reason) == (EntryState.FILTERED, "declined")
    assert await tracking.participants(transaction) == {ANN}
    assert await tracking.accept_pending(DESK, "id:<2@x>") is None


@pytest.mark.parametrize("bounce_first", [False, True])
async def test_a_bounce_marks_the_sent_message_whichever_comes_first(
    arrivals: Arrivals, tracking: TrackingStore, bounce_first: bool
) -> None:
    transaction = await arrivals.open("<1@x>")
    steps: list[Callable[[], Awaitable[bool]]] = [
        lambda: arrivals.take(transaction, message_id="<1@x>", direction="sent"),
        lambda: arrivals.take(None, message_id="<b@x>", state=EntryState.REPORT, bounced={"<1@x>": "5.1.1"}),
    ]
    for step in reversed(steps) if bounce_first else steps:
        assert await step()
    await arrivals.take(None, message_id="<b2@x>", state=EntryState.REPORT, bounced={"<1@x>": "4.2.2"})
    sent = await tracking.entry(DESK, "id:<1@x>")
    assert sent is not None
    assert sent.failed == "5.1.1"


async def test_a_forged_bounce_marks_nothing_that_was_received(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await arrivals.take(None, message_id="<1@x>", state=EntryState.UNMATCHED)
    await arrivals.take(None, message_id="<b@x>", state=EntryState.REPORT, bounced={"<1@x>": "5.1.1", "": "5.0.0"})
    received = await tracking.entry(DESK, "id:<1@x>")
    assert received is not None
    assert received.failed == ""


async def test_counts_are_those_of_a_day(arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock) -> None:
    for number in range(3):
        await arrivals.take(None, message_id=f"<{number}@x>", state=EntryState.FILTERED, counted=(ANN, BOB, ANN))
        clock.pass_(timedelta(hours=6))
    assert await tracking.count_today(DESK, ANN, clock.now()) == 3
    assert await tracking.count_today("other", ANN, clock.now()) == 0
    clock.pass_(timedelta(hours=8))
    assert await tracking.count_today(DESK, ANN, clock.now()) == 2
    assert await tracking.count_today(DESK, BOB, clock.now() + DAY) == 0
    assert await tracking.count_today(DESK, ANN, clock.now() - 2 * DAY) == 0  # a clock that was wrong is right again


# --- merging -------------------------------------------------------------------------------------------------------


async def test_what_was_merged_is_one_everywhere(arrivals: Arrivals, tracking: TrackingStore) -> None:
    gone, into = await arrivals.ticket("late", "<1@x>"), await arrivals.ticket("first", "<2@x>")
    await arrivals.take(gone, note(gone, "of the other"), message_id="<3@x>", participants=(BOB,))
    await tracking.merge(gone, into, arrivals.clock.now())
    assert await tracking.current(gone) == await tracking.transaction(DESK, "ticket", gone.number) == into
    assert await arrivals.open("<4@x>", continues=gone) == into
    assert set((await tracking.transactions_of(DESK, ["<1@x>", "<2@x>", "<3@x>"])).values()) == {into}
    assert BOB in await tracking.participants(gone)
    notes = await tracking.notes(into)
    assert [(each.number, each.text) for each in notes] == [(1, "first"), (2, "late"), (3, "of the other")]
    record = await tracking.record(gone)
    assert record is not None
    assert (record.transaction, record.title, record.notes) == (into, "first", 3)
    assert [each.message_id for each in await tracking.entries(transaction=gone)] == ["<3@x>", "<2@x>", "<1@x>"]
    assert [str(each.transaction) for _, each in await tracking.records(EVERY_RECORD)] == ["ticket-2"]


async def test_a_record_that_is_alone_goes_over_with_its_values(arrivals: Arrivals, tracking: TrackingStore) -> None:
    gone, into = await arrivals.ticket("alone", "<1@x>"), await arrivals.open("<2@x>", module="case")
    await arrivals.take(into, note(into, "said before"), message_id="<2@x>")
    await tracking.merge(gone, into, arrivals.clock.now())
    record = await tracking.record(into)
    assert record is not None
    assert (str(record.transaction), record.title, record.notes) == ("case-1", "alone", 2)


async def test_merging_again_or_in_a_circle_changes_nothing(arrivals: Arrivals, tracking: TrackingStore) -> None:
    a, b, c = [await arrivals.open(f"<{n}@x>") for n in range(3)]
    now = arrivals.clock.now()
    await tracking.merge(a, b, now)
    await tracking.merge(b, c, now)
    await tracking.merge(c, a, now)
    await tracking.merge(a, c, now)
    assert {await tracking.current(each) for each in (a, b, c)} == {c}
    await arrivals.take(a, create(a), note(a), message_id="<9@x>")
    record = await tracking.record(b)
    assert record is not None
    assert record.transaction == c


async def test_changes_that_were_made_before_a_merge_reach_the_one_that_goes_on(
    arrivals: Arrivals, tracking: TrackingStore
) -> None:
    gone, into = await arrivals.ticket("late", "<1@x>"), await arrivals.ticket("first", "<2@x>")
    prepared = (UpdateRecord(gone, title="changed"), note(gone, "more"))
    await tracking.merge(gone, into, arrivals.clock.now())
    await arrivals.take(gone, *prepared, message_id="<3@x>")
    record = await tracking.record(into)
    assert record is not None
    assert (record.title, record.notes) == ("changed", 3)


# --- processes -----------------------------------------------------------------------------------------------------


async def test_there_is_one_tracking_process_and_any_number_of_administrators(
    tracking: TrackingStore, open_tracking: OpenTracking, arrivals: Arrivals, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mta.adapters.store.slots._PATIENCE_S", 0.1)
    await arrivals.ticket()
    administrator = await open_tracking(False)
    assert len(await administrator.entries()) == 1
    with pytest.raises(SlotTakenError):
        await SqliteTrackingStore.open(tmp_path / "spool", works=True)


async def test_an_administrator_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no queue"):
        await SqliteTrackingStore.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


async def test_what_an_administrator_says_is_true_for_the_tracking_process(
    tracking: TrackingStore, open_tracking: OpenTracking, arrivals: Arrivals
) -> None:
    transaction = await arrivals.open("<1@x>")
    await arrivals.take(transaction, message_id="<2@x>", state=EntryState.PENDING, sender=BOB)
    accepted: Entry | None = await (await open_tracking(False)).accept_pending(DESK, "id:<2@x>")
    assert accepted == await tracking.entry(DESK, "id:<2@x>")
    assert BOB in await tracking.participants(transaction)


async def test_who_gives_up_waiting_leaves_whole_rows(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    entry = arrivals.entry(transaction)
    intake = Intake(entry, changes=(create(transaction), note(transaction, "kept", b"x" * 100_000)))
    taking = asyncio.create_task(_taken(tracking, intake))
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await tracking.take(intake)  # fetched again
    ((stored,),) = [each.attachments for each in await tracking.notes(transaction)]
    assert await tracking.attachment(stored) == b"x" * 100_000


async def _taken(store: TrackingStore, intake: Intake) -> bool:
    return await store.take(intake)
