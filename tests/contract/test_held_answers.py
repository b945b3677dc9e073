"""The port `TrackingStore`: answers that came before what they answer, and messages that are judged anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.tracking import Awaiting, Entry, EntryState, Intake
from mta.model.transaction import Opening, Transaction
from mta.ports.spool import Spool
from mta.ports.tracking_store import HELD_FOR, TrackingStore
from tests.contract.spools import SettableClock
from tests.contract.tracking import ANN, BOB, DESK, Arrivals, OpenTracking, create, note

ORIGINAL, ANSWER = "<original@customer.example>", "<answer@desk.example>"
SMALL, LARGE = b"From: an agent\r\n\r\nDone.\r\n", b"From: an agent\r\n\r\n" + b"x" * 100_000


def unmatched(arrivals: Arrivals, message_id: str = ANSWER, *, direction: str = "sent") -> Entry:
    entry = arrivals.entry(None, message_id, state=EntryState.UNMATCHED, direction=direction)
    return replace(entry, reason="unknown-original")


async def hold(
    arrivals: Arrivals, *, data: bytes = SMALL, message_id: str = ANSWER, direction: str = "sent",
    awaits: tuple[str, ...] = (ORIGINAL,),
) -> None:  # fmt: skip
    entry = unmatched(arrivals, message_id, direction=direction)
    assert await arrivals.store.take(Intake(entry, awaiting=Awaiting((message_id, *awaits), data)))


async def due(store: TrackingStore) -> tuple[str, bytes] | None:
    found = await store.answer_due(DESK)
    return None if found is None else (found.key, found.data)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "spool" / "bodies").rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_an_answer_is_due_when_what_it_answers_has_come(arrivals: Arrivals, data: bytes, tmp_path: Path) -> None:
    await hold(arrivals, data=data)
    assert await due(arrivals.store) is None
    await arrivals.ticket(message_id="<another@x>")
    assert await due(arrivals.store) is None
    transaction = await arrivals.ticket(message_id=ORIGINAL)
    assert await due(arrivals.store) == (f"id:{ANSWER}", data)
    assert await arrivals.store.answer_due("other") is None
    assert await arrivals.take(transaction, note(transaction), message_id=ANSWER, direction="sent")
    assert await due(arrivals.store) is None
    assert files(tmp_path) == []


async def test_one_whose_original_came_in_the_same_moment_is_due_at_once(arrivals: Arrivals) -> None:
    """It was looked for before that, and is kept after it."""
    await arrivals.ticket(message_id=ORIGINAL)
    await hold(arrivals)
    assert await due(arrivals.store) == (f"id:{ANSWER}", SMALL)


async def test_the_relay_too_makes_an_answer_due(arrivals: Arrivals, spool: Spool, clock: SettableClock) -> None:
    await hold(arrivals)
    await spool.open_transaction(Opening(DESK, "ticket", ORIGINAL, clock.now(), participants=(ANN,)))
    assert await due(arrivals.store) is not None


@pytest.mark.parametrize(("direction", "is_due"), [("sent", True), ("received", False)])
async def test_what_others_only_name_is_enough_for_what_ours_sent(
    arrivals: Arrivals, direction: str, is_due: bool
) -> None:
    await hold(arrivals, direction=direction)
    transaction = await arrivals.ticket(message_id="<later@x>")
    await arrivals.take(transaction, message_id="<last@x>", known_ids=(ORIGINAL,))
    assert bool(await due(arrivals.store)) is is_due
    await arrivals.take(transaction, message_id=ORIGINAL)
    assert await due(arrivals.store) is not None


async def test_an_answer_to_the_answer_makes_it_due(arrivals: Arrivals) -> None:
    await hold(arrivals)
    transaction = await arrivals.ticket(message_id="<later@x>")
    await arrivals.take(transaction, message_id="<last@x>", known_ids=(ANSWER,))
    assert await due(arrivals.store) is not None


async def test_what_is_due_stays_so_until_it_is_let_go(
    arrivals: Arrivals, open_tracking: OpenTracking, tmp_path: Path
) -> None:
    await hold(arrivals, data=LARGE)
    await arrivals.ticket(message_id=ORIGINAL)
    await arrivals.store.close()
    again = await open_tracking(True)
    assert await due(again) == (f"id:{ANSWER}", LARGE)
    await again.let_go(DESK, f"id:{ANSWER}")
    await again.let_go(DESK, f"id:{ANSWER}")
    assert await due(again) is None
    assert files(tmp_path) == []


async def test_an_answer_waits_for_some_days_only(
    arrivals: Arrivals, clock: SettableClock, tmp_path: Path
) -> None:  # fmt: skip
    await hold(arrivals, data=LARGE)
    clock.time += HELD_FOR - timedelta(minutes=1)
    await arrivals.store.forget(clock.now() - timedelta(days=365), 100)
    assert len(files(tmp_path)) == 1
    clock.time += timedelta(minutes=2)
    assert await arrivals.store.forget(clock.now() - timedelta(days=365), 100) == 1
    await arrivals.ticket(message_id=ORIGINAL)
    assert await due(arrivals.store) is None
    assert files(tmp_path) == []
    assert await arrivals.store.entry(DESK, f"id:{ANSWER}") is not None


async def test_one_whose_file_is_gone_keeps_no_other_waiting(arrivals: Arrivals, tmp_path: Path) -> None:
    await hold(arrivals, data=LARGE)
    await hold(arrivals, message_id="<second@desk.example>")
    for path in files(tmp_path):
        path.unlink()
    await arrivals.ticket(message_id=ORIGINAL)
    assert await due(arrivals.store) == ("id:<second@desk.example>", SMALL)


async def test_whoever_writes_under_an_answers_message_id_does_not_take_its_place(arrivals: Arrivals) -> None:
    stranger = replace(unmatched(arrivals, direction="received"), sender=BOB)
    forged = Intake(stranger, awaiting=Awaiting((ANSWER, ORIGINAL), b"forged"))
    filtered = Intake(replace(stranger, state=EntryState.FILTERED, reason="not-accepted"))
    assert await arrivals.store.take(forged)
    await hold(arrivals)
    assert not await arrivals.store.take(forged)
    assert not await arrivals.store.take(filtered)
    entry = await arrivals.store.entry(DESK, f"id:{ANSWER}")
    assert entry is not None
    assert (entry.direction, entry.state) == ("sent", EntryState.UNMATCHED)
    await arrivals.ticket(message_id=ORIGINAL)
    assert await due(arrivals.store) == (f"id:{ANSWER}", SMALL)


async def test_what_is_left_out_for_another_reason_waits_on(arrivals: Arrivals) -> None:
    await hold(arrivals, direction="received")
    again = replace(unmatched(arrivals, direction="received"), reason="unproven")
    assert await arrivals.store.take(Intake(again, awaiting=Awaiting((ANSWER, ORIGINAL), b"another way")))
    await arrivals.ticket(message_id=ORIGINAL)
    assert await due(arrivals.store) == (f"id:{ANSWER}", SMALL)


async def test_strangers_leave_room_for_what_ours_sent(arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.adapters.store.tracking_operations.HELD_MAX", 6)
    for number in range(8):
        await hold(arrivals, message_id=f"<{number}@stranger.example>", direction="received")
    for number in range(8):
        await hold(arrivals, message_id=f"<{number}@desk.example>")
    await arrivals.ticket(message_id=ORIGINAL)
    kept = []
    while (found := await due(arrivals.store)) is not None:
        kept.append(found[0])
        await arrivals.store.let_go(DESK, found[0])
    assert [sum(whose in key for key in kept) for whose in ("@stranger", "@desk")] == [3, 3]


# --- judged anew ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [EntryState.FILTERED, EntryState.UNMATCHED])
async def test_what_was_left_out_may_be_taken_after_all(arrivals: Arrivals, state: EntryState) -> None:
    left_out = arrivals.entry(None, "<1@x>", state=state)
    assert await arrivals.store.take(Intake(left_out))
    assert not await arrivals.store.take(Intake(left_out)), "it says the same"
    otherwise = replace(left_out, reason="another")
    assert await arrivals.store.take(Intake(otherwise))
    assert await arrivals.store.entry(DESK, left_out.key) == otherwise
    transaction = await arrivals.open("<1@x>")
    joined = arrivals.entry(transaction, "<1@x>")
    intake = Intake(joined, changes=(create(transaction), note(transaction)))
    assert sorted(await asyncio.gather(*(arrivals.store.take(intake) for _ in range(3)))) == [False, False, True]
    assert not await arrivals.store.take(Intake(left_out)), "what has joined stays"
    assert await arrivals.store.entries() == [joined]
    assert len(await arrivals.store.notes(transaction)) == 1


@pytest.mark.parametrize("state", [EntryState.LOOP, EntryState.REPORT, EntryState.SET_ASIDE, EntryState.PENDING])
async def test_what_has_its_end_stays_as_it_is(arrivals: Arrivals, state: EntryState) -> None:
    transaction = await arrivals.open("<1@x>")
    assert await arrivals.take(None, message_id="<1@x>", state=state)
    assert not await arrivals.take(transaction, note(transaction), message_id="<1@x>")
    assert await arrivals.store.notes(transaction) == []


async def test_what_an_owner_has_declined_stays_out(arrivals: Arrivals) -> None:
    transaction = await arrivals.open("<1@x>")
    await arrivals.take(transaction, message_id="<2@x>", state=EntryState.PENDING, sender=BOB)
    assert await arrivals.store.decline_pending(DESK, "id:<2@x>") is not None
    assert not await arrivals.take(transaction, note(transaction), message_id="<2@x>", sender=BOB)


# --- lists ---------------------------------------------------------------------------------------------------------


async def test_entries_of_some_states_mailboxes_and_times(arrivals: Arrivals, clock: SettableClock) -> None:
    states = (EntryState.FILTERED, EntryState.UNMATCHED, EntryState.JOINED, EntryState.FILTERED)
    transaction: Transaction = await arrivals.open("<2@x>")
    for number, state in enumerate(states):
        entry = arrivals.entry(transaction if state is EntryState.JOINED else None, f"<{number}@x>", state=state)
        assert await arrivals.store.take(Intake(replace(entry, mailbox=f"box-{number % 2}")))
        clock.time += timedelta(hours=1)

    async def found(**asked: object) -> list[str]:
        return [entry.message_id for entry in await arrivals.store.entries(**asked)]  # type: ignore[arg-type]

    assert await found(states=[EntryState.FILTERED, EntryState.UNMATCHED]) == ["<3@x>", "<1@x>", "<0@x>"]
    assert await found(mailboxes=["box-0"]) == ["<2@x>", "<0@x>"]
    assert await found(mailboxes=["box-1", "none"], states=[EntryState.FILTERED]) == ["<3@x>"]
    assert await found(since=clock.now() - timedelta(hours=2)) == ["<3@x>", "<2@x>"]
