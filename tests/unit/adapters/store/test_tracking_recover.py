"""What tracking kept in a database that was set aside comes back: whole, once, and nothing that is not true."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.adapters.store import tracking_recover
from mta.adapters.store.damage import MARKER
from mta.adapters.store.errors import StoreError
from mta.adapters.store.place import FILES
from mta.adapters.store.recover import Recovered, recover
from mta.adapters.store.salvage import PAGE
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.record import AddNote, CreateRecord, NewAttachment, Note, NoteRule, Record, RecordFilter, UpdateRecord
from mta.model.tracking import (
    Entry,
    EntryState,
    Intake,
    MailboxNotes,
    NewTask,
    TaskFilter,
    TaskKind,
    TaskOutcome,
    TaskState,
)
from mta.model.transaction import Opening, Transaction

DESK = "default"
ANN = "ann@customer.example"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LARGE = bytes(range(256)) * 600
ALL = RecordFilter(with_deleted=True)
Everything = dict[str, object]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteTrackingStore]:
    store = await SqliteTrackingStore.open(folder, works=True, reserve=0)
    try:
        yield store
    finally:
        await store.close()


async def ticket(
    store: SqliteTrackingStore, name: str, *, at: datetime = NOW, continues: Transaction | None = None,
    title: str | None = None,
) -> Transaction:  # fmt: skip
    message_id = f"<{name}@x>"
    transaction = await store.open_transaction(Opening(DESK, "ticket", message_id, at, continues, (ANN,)))
    entry = Entry(f"id:{message_id}", DESK, "support", message_id, "00", EntryState.JOINED, "new", at, ANN, "sent",
                  transaction)  # fmt: skip
    files = (NewAttachment("small", "text/plain", name.encode()), NewAttachment("large", "text/plain", LARGE))
    changes = (
        CreateRecord(transaction, "open", title or name, ANN, "", "support", {"room": name}),
        AddNote(transaction, ANN, "Ann", "received", f"text of {name} " * 20, message_id, True, files),
        *(AddNote(transaction, ANN, "Ann", "sent", "said twice", message_id),) * 2,
        NoteRule(transaction, "remind"),
    )
    tasks = (
        NewTask(f"{name}:1", TaskKind.CALL, DESK, "hook", b"payload " + name.encode(), at, transaction),
        NewTask(f"{name}:2", TaskKind.NOTICE, DESK, "desk", LARGE, at, transaction, (ANN,)),
        NewTask(f"{name}:3", TaskKind.NOTICE, DESK, "desk", LARGE, at, transaction, (ANN,)),
    )
    await store.take(
        Intake(entry, ("bob@x",), (f"<named-by-{name}@x>",), changes, tasks, {message_id: "5.1.1"}, (ANN,))
    )
    return transaction


async def fill(store: SqliteTrackingStore, count: int = 5) -> list[Transaction]:
    tickets = [await ticket(store, f"t{number}") for number in range(count)]
    await store.merge(tickets[0], tickets[1], NOW)
    await store.settle_task(TaskOutcome(2, TaskState.DONE))
    await store.settle_task(TaskOutcome(4, TaskState.DEAD, "refused"))
    await store.note_mailbox(MailboxNotes("support", failures=3, trouble=tickets[2], taken=7))
    await store.pause("support", "eve", NOW)
    await store.note_run("digest", NOW)
    return tickets


async def everything(store: SqliteTrackingStore) -> Everything:
    """As the port tells it."""
    found: Everything = {}
    async for record, notes in store.export(ALL):
        octets = [await store.attachment(each) for note in notes for each in note.attachments]
        people = await store.participants(record.transaction)
        found[str(record.transaction)] = (record, tuple(notes), octets, people)
    found["entries"] = {entry.key: entry for entry in await store.entries()}
    tasks = [await store.task(task.number) for task in await store.tasks(TaskFilter())]
    found["tasks"] = {task.key: (task.state, task.reason, task.payload, task.transaction) for task in tasks if task}
    found["due"] = [task.key for task in await store.due_tasks(list(TaskKind), NOW, limit=99, busy=())]
    found["mailboxes"] = await store.mailbox_notes()
    found["run"] = await store.last_run("digest")
    names = [f"<{kind}t{number}@x>" for number in range(9) for kind in ("", "named-by-")]
    found["messages"] = await store.transactions_of(DESK, names)
    found["overdue"] = await store.overdue(
        DESK, "ticket", ["open"], "remind", created_before=None, unchanged_since=NOW + timedelta(days=1), limit=99
    )
    return found


def set_aside(folder: Path) -> Path:
    """As `damage.set_aside` leaves it."""
    aside = folder / "damaged-20261122T100000"
    aside.mkdir()
    for name in (*FILES, "bodies"):
        if (folder / name).exists():
            (folder / name).rename(aside / name)
    (folder / MARKER).touch()
    return aside


async def lost(folder: Path) -> tuple[Everything, list[Transaction], Path]:
    """A filled store, what it told, and where it is now."""
    async with opened(folder) as store:
        tickets = await fill(store)
        told = await everything(store)
    return told, tickets, set_aside(folder)


async def test_everything_comes_back_and_only_once(tmp_path: Path) -> None:
    told, tickets, aside = await lost(tmp_path)
    async with opened(tmp_path) as store:
        assert await everything(store) != told
        done = recover(tmp_path, aside, 0).tracking
        assert (done.records, done.notes, done.attachments, done.messages, done.tasks) == (5, 15, 10, 5, 15)
        assert done.left_out == 0
        assert await everything(store) == told
        assert recover(tmp_path, aside, 0).tracking == tracking_recover.RecoveredTracking()
        assert await everything(store) == told
        assert {await store.current(each) for each in tickets[:2]} == {tickets[1]}
        assert await store.count_today(DESK, ANN, NOW) == 5
    assert not list(aside.glob("tracking*"))


async def test_numbers_go_on_where_they_were_though_the_database_is_new(tmp_path: Path) -> None:
    await lost(tmp_path)
    async with opened(tmp_path) as store:
        assert (await ticket(store, "new")).number == 1006


async def test_what_came_in_meanwhile_and_what_comes_back_are_one(tmp_path: Path) -> None:
    _, tickets, aside = await lost(tmp_path)
    async with opened(tmp_path) as store:
        later = NOW + timedelta(hours=1)
        await ticket(store, "reply", at=later, continues=tickets[3], title="made anew")
        recover(tmp_path, aside, 0)
        record = await store.record(tickets[3])
        assert record is not None
        assert (record.title, record.created_at, record.notes) == ("t3", NOW, 6)
        notes = await store.notes(tickets[3])
        assert [(note.number, note.message_id) for note in notes] == [
            *((number, "<t3@x>") for number in (1, 2, 3)),
            *((number, "<reply@x>") for number in (4, 5, 6)),
        ]
        recover(tmp_path, aside, 0)
        assert await store.notes(tickets[3]) == notes


async def test_of_two_records_with_one_number_both_are_known(tmp_path: Path) -> None:
    """Where not even the numbers could be read of the old database."""
    _, tickets, aside = await lost(tmp_path)
    elsewhere = aside.rename(tmp_path.parent / "elsewhere")
    async with opened(tmp_path) as store:
        new = await ticket(store, "new")
        assert new.number == tickets[0].number == 1
        recover(tmp_path, elsewhere, 0)
        assert await store.transaction(DESK, "ticket", 1) == new
        record = await store.record(tickets[0])
        assert record is not None
        assert record.title == "t1"
        found: list[Record] = [record for _, record in await store.records(RecordFilter())]
        assert sorted(each.title for each in found) == ["new", "t1", "t2", "t3", "t4"]
        assert len({each.transaction.number for each in found}) == 5


async def test_a_recovery_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, _, aside = await lost(tmp_path)
    monkeypatch.setattr(tracking_recover, "CHUNK", 2)
    left = 0

    def die(name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(name)

    monkeypatch.setattr(tracking_recover, "crash_point", die)
    async with opened(tmp_path) as store:
        for passages in range(1, 40, 3):
            left = passages
            try:
                recover(tmp_path, aside, 0)
            except StoreError:
                continue
            break
        else:
            pytest.fail("it never came to its end")
        assert passages > 10
        assert await everything(store) == told


@pytest.mark.parametrize("seed", range(8))
async def test_of_a_broken_database_what_comes_back_is_true(tmp_path: Path, seed: int) -> None:
    """Pages overwritten, zeroed, cut off."""
    folder = tmp_path / "spool"
    async with opened(folder) as store:
        for number in range(30):
            await ticket(store, f"t{number}")
        told = await everything(store)
    aside = set_aside(folder)
    _break(aside / FILES[0], random.Random(seed))
    async with opened(folder) as store:
        recover(folder, aside, 0)
        found = await everything(store)
    assert isinstance(found["tasks"], dict)
    assert isinstance(told["tasks"], dict)
    for name, (record, notes, octets, people) in _records(found).items():
        whole = _records(told)[name]
        assert (record.title, record.fields, record.state) == (whole[0].title, whole[0].fields, whole[0].state)
        assert Counter(note.text for note in notes) <= Counter(note.text for note in whole[1])
        assert set(octets) <= set(whole[2])
        assert people <= whole[3]
    for key, (state, reason, payload, _) in found["tasks"].items():
        assert (state, payload) == (told["tasks"][key][0], told["tasks"][key][2]) or reason == "payload-missing"


def _records(told: Everything) -> dict[str, tuple[Record, tuple[Note, ...], list[bytes], frozenset[str]]]:
    return {name: value for name, value in told.items() if name.startswith("ticket-")}  # type: ignore[misc]


def _break(database: Path, chance: random.Random) -> None:
    data = bytearray(database.read_bytes())
    for _ in range(8):
        at = chance.randrange(1, len(data) // PAGE) * PAGE
        data[at : at + PAGE] = os.urandom(PAGE) if chance.random() < 0.5 else bytes(PAGE)
    database.write_bytes(data[: len(data) - chance.randrange(len(data) // 3)])


async def test_a_record_whose_conversation_cannot_be_read_comes_back(tmp_path: Path) -> None:
    _, _, aside = await lost(tmp_path)
    with closing(sqlite3.connect(aside / FILES[0], isolation_level=None)) as damaged:
        damaged.execute("DELETE FROM conversation WHERE number = 3")
    async with opened(tmp_path) as store:
        done: Recovered = recover(tmp_path, aside, 0)
        assert done.tracking.records == 5
        found = await store.transaction(DESK, "ticket", 3)
        assert found is not None
        assert [note.message_id for note in await store.notes(found)] == ["<t2@x>"] * 3
        assert (await ticket(store, "new")).number == 1006


async def test_what_makes_no_sense_is_left_out_and_counted(tmp_path: Path) -> None:
    _, _, aside = await lost(tmp_path)
    with closing(sqlite3.connect(aside / FILES[0], isolation_level=None)) as damaged:
        damaged.execute("UPDATE record SET fields = '{broken' WHERE number = 3")
        damaged.execute("UPDATE tracked_entry SET state = 'no such state' WHERE key = 'id:<t4@x>'")
        damaged.execute("UPDATE octets SET data = x'00' WHERE data = CAST('t2' AS BLOB)")
        damaged.execute("UPDATE octets SET file = '../../etc/passwd' WHERE file IS NOT NULL")
    async with opened(tmp_path) as store:
        done = recover(tmp_path, aside, 0).tracking
        assert (done.records, done.messages) == (4, 4)
        dead = await store.tasks(TaskFilter(state=TaskState.DEAD))
        assert {task.reason for task in dead} == {"refused", "payload-missing"}
        assert done.left_out == 3 + 5 + 1 + len(dead) - 1  # rows, large attachments, a small one, payloads
        update = Intake(
            Entry("id:<9@x>", DESK, "m", "<9@x>", "00", EntryState.JOINED, "x", NOW, ANN, "received", None),
            changes=(UpdateRecord(dead[0].transaction or Transaction(DESK, "ticket", 1, "a"), title="works"),),
        )
        assert await store.take(update)


async def test_a_queue_of_before_tracking_is_recovered_as_ever(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    aside = set_aside(tmp_path)
    (aside / FILES[0]).write_bytes(b"")
    async with opened(tmp_path):
        assert recover(tmp_path, aside, 0).tracking == tracking_recover.RecoveredTracking()
