"""Tracking's store against a model that is a few dictionaries: each message once, no note and no octet lost or left."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mta.adapters.store.place import FILE
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.record import AddNote, CreateRecord, DeleteRecord, NewAttachment, RecordFilter
from mta.model.tracking import Entry, EntryState, Intake, NewTask, TaskFilter, TaskKind, TaskOutcome, TaskState
from mta.model.transaction import Opening, Transaction
from tests.spool_samples import MEMORY

T = TypeVar("T")
DESK = "default"
IDS = tuple(f"<{number}@x>" for number in range(6))
CONTENTS = {"small": b"small", "other": b"other", "large": b"L" * 70_000, "huge": b"M" * 75_000}
TARGETS = ("hook", "plugin")


@dataclass
class ModelConversation:
    """One that goes on, with what stands in it."""

    transaction: Transaction
    texts: list[str] = field(default_factory=list)
    octets: list[bytes] = field(default_factory=list)
    is_record: bool = False
    is_deleted: bool = False


@dataclass
class ModelTask:
    key: str
    conversation: ModelConversation
    target: str
    payload: bytes
    state: TaskState = TaskState.WAITING


class TrackingMachine(RuleBasedStateMachine):
    """The relay opens transactions, the tracking process takes, merges, settles; both die and come again."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.now = datetime(2026, 11, 22, tzinfo=UTC)
        self.spool = self.run(SqliteSpool.open(self.folder, slot=0, reserve=0))
        self.store = self.open_store()
        self.of_message: dict[str, ModelConversation] = {}
        self.names: dict[Transaction, ModelConversation] = {}
        self.taken: dict[str, Transaction] = {}
        self.tasks: list[ModelTask] = []
        self.count = 0

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def open_store(self) -> SqliteTrackingStore:
        return self.run(SqliteTrackingStore.open(self.folder, works=True, reserve=0))

    def teardown(self) -> None:
        self.run(self.store.close())
        self.run(self.spool.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    # --- what the relay and the process do ---------------------------------------------------------------------------

    @rule(message_id=st.sampled_from(IDS), continues=st.integers(0, 5), by_relay=st.booleans())
    def open_transaction(self, message_id: str, continues: int, by_relay: bool) -> None:
        known = sorted(self.names, key=lambda each: each.number)
        wanted = known[continues] if continues < len(known) else None
        opening = Opening(DESK, "ticket", message_id, self.now, wanted)
        opened = self.run((self.spool if by_relay else self.store).open_transaction(opening))
        if message_id in self.of_message:
            assert opened == self.of_message[message_id].transaction
        elif wanted is not None:
            assert opened == self.names[wanted].transaction
        else:
            assert opened not in self.names
            self.names[opened] = ModelConversation(opened)
        self.of_message.setdefault(message_id, self.names[opened])

    @precondition(lambda self: self.of_message)
    @rule(
        message=st.integers(0, 5), contents=st.lists(st.sampled_from(sorted(CONTENTS)), max_size=2),
        creates=st.booleans(), calls=st.lists(st.sampled_from(TARGETS), max_size=2),
        pays=st.sampled_from(sorted(CONTENTS)),
    )  # fmt: skip
    def take(self, message: int, contents: list[str], creates: bool, calls: list[str], pays: str) -> None:
        octets, payload = [CONTENTS[name] for name in contents], CONTENTS[pays]
        message_id = sorted(self.of_message)[message % len(self.of_message)]
        conversation = self.of_message[message_id]
        named = [each for each, to in self.names.items() if to is conversation]
        transaction = named[len(octets) % len(named)]  # by whichever of its names
        self.count += 1
        text = f"note {self.count}"
        files = tuple(NewAttachment("f", "a/b", data) for data in octets)
        note = AddNote(transaction, "a@x", "A", "received", text, message_id, True, files)
        create = (CreateRecord(transaction, "open", text, "a@x", "", "m"),) if creates else ()
        tasks = [
            ModelTask(f"{self.count}.{number}", conversation, target, payload) for number, target in enumerate(calls)
        ]
        new = tuple(
            NewTask(each.key, TaskKind.CALL, DESK, each.target, each.payload, self.now, transaction) for each in tasks
        )
        is_new = self.run(self.store.take(Intake(self.entry(message_id, transaction), (), (), (*create, note), new)))
        assert is_new == (message_id not in self.taken)
        if is_new:
            self.taken[message_id] = transaction
            conversation.texts.append(text)
            conversation.octets += octets
            conversation.is_deleted = conversation.is_deleted and not creates
            conversation.is_record = conversation.is_record or creates
            self.tasks += tasks

    def entry(self, message_id: str, transaction: Transaction | None) -> Entry:
        return Entry(f"id:{message_id}", DESK, "m", message_id, "00", EntryState.JOINED, "x", self.now, "a@x",
                     "received", transaction)  # fmt: skip

    @precondition(lambda self: len(self.names) > 1)
    @rule(gone=st.integers(0, 5), into=st.integers(0, 5))
    def merge(self, gone: int, into: int) -> None:
        known = sorted(self.names, key=lambda each: each.number)
        first, second = known[gone % len(known)], known[into % len(known)]
        self.run(self.store.merge(first, second, self.now))
        goes, stays = self.names[first], self.names[second]
        if goes is stays:
            return
        stays.texts += goes.texts
        stays.octets += goes.octets
        is_alive = (goes.is_record and not goes.is_deleted) or (stays.is_record and not stays.is_deleted)
        stays.is_record = stays.is_record or (goes.is_record and not goes.is_deleted)
        stays.is_deleted = stays.is_record and not is_alive
        for mapping in (self.names, self.of_message):
            for name, conversation in mapping.items():
                if conversation is goes:
                    mapping[name] = stays  # type: ignore[index]
        for task in self.tasks:
            if task.conversation is goes:
                task.conversation = stays

    @precondition(lambda self: any(each.is_record for each in self.names.values()))
    @rule(which=st.integers(0, 5), purges=st.booleans())
    def delete(self, which: int, purges: bool) -> None:
        alive = [each for each in self.names.values() if each.is_record]
        conversation = alive[which % len(alive)]
        change = Intake(self.entry("", conversation.transaction), changes=(DeleteRecord(conversation.transaction),))
        self.count += 1
        assert self.run(self.store.change(f"delete {self.count}", change))
        conversation.is_deleted = True
        if purges:
            self.run(self.store.purge(RecordFilter(number=conversation.transaction.number)))
            conversation.is_record = conversation.is_deleted = False
            conversation.texts, conversation.octets = [], []

    @precondition(lambda self: any(each.state is TaskState.WAITING for each in self.tasks))
    @rule(which=st.integers(0, 20), state=st.sampled_from((TaskState.DONE, TaskState.DEAD, TaskState.WAITING)))
    def settle(self, which: int, state: TaskState) -> None:
        due = self.run(self.store.due_tasks([TaskKind.CALL], self.now, limit=50, busy=()))
        if due:
            task = due[which % len(due)]
            self.run(self.store.settle_task(TaskOutcome(task.number, state, due_at=self.now)))
            next(each for each in self.tasks if each.key == task.key).state = state

    @rule()
    def replay(self) -> None:
        dead = [task for task in self.tasks if task.state is TaskState.DEAD]
        assert self.run(self.store.replay(TaskFilter(), self.now)) == len(dead)
        for task in dead:
            task.state = TaskState.WAITING

    @rule()
    def forget(self) -> None:
        self.run(self.store.forget(datetime.now(UTC) + timedelta(days=1), 100))
        self.tasks = [task for task in self.tasks if task.state is TaskState.WAITING]

    @rule()
    def die_and_come_again(self) -> None:
        self.run(self.store.close())
        self.store = self.open_store()

    # --- what holds always --------------------------------------------------------------------------------------------

    @invariant()
    def each_message_is_taken_once_and_belongs_where_it_should(self) -> None:
        entries = self.run(self.store.entries())
        assert {entry.message_id: entry.transaction for entry in entries} == {
            message_id: self.names[transaction].transaction for message_id, transaction in self.taken.items()
        }
        known = self.run(self.store.transactions_of(DESK, IDS))
        assert known == {name: conversation.transaction for name, conversation in self.of_message.items()}

    @invariant()
    def notes_are_those_that_were_taken(self) -> None:
        for name, conversation in self.names.items():
            assert self.run(self.store.current(name)) == conversation.transaction
            notes = self.run(self.store.notes(name))
            assert [note.number for note in notes] == list(range(1, len(notes) + 1))
            assert [note.text for note in notes] == conversation.texts
            found = [self.run(self.store.attachment(each)) for note in notes for each in note.attachments]
            assert found == conversation.octets
            record = self.run(self.store.record(name))
            assert (record is not None) == conversation.is_record
            if record is not None:
                assert (record.notes, record.is_deleted) == (len(notes), conversation.is_deleted)

    @invariant()
    def of_each_line_the_first_is_due(self) -> None:
        first: dict[tuple[int, str], str] = {}
        for task in self.tasks:
            if task.state is TaskState.WAITING:
                first.setdefault((id(task.conversation), task.target), task.key)
        due = self.run(self.store.due_tasks([TaskKind.CALL], self.now, limit=50, busy=()))
        assert {task.key: task.payload for task in due} == {
            task.key: task.payload for task in self.tasks if task.key in first.values()
        }

    @invariant()
    def octets_are_kept_as_long_as_something_needs_them(self) -> None:
        needed = {data for conversation in self.names.values() for data in conversation.octets}
        needed |= {task.payload for task in self.tasks if task.state is not TaskState.DONE}
        with closing(sqlite3.connect(self.folder / FILE)) as connection:
            rows = connection.execute("SELECT size, file FROM octets").fetchall()
        assert sorted(size for size, _ in rows) == sorted(map(len, needed))
        bodies = self.folder / "bodies"
        named = {file for _, file in rows if file is not None}
        assert {str(path.relative_to(bodies)) for path in bodies.rglob("*") if path.is_file()} == named


TestTrackingAgainstItsModel = TrackingMachine.TestCase
TestTrackingAgainstItsModel.settings = settings(
    max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
