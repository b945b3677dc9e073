"""What tests of the port `TrackingStore` share: the store opened by several, and messages with what follows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.record import AddNote, Change, CreateRecord, NewAttachment, RecordFilter
from mta.model.tracking import Entry, EntryState, Intake, NewTask, Task, TaskKind
from mta.model.transaction import Opening, Transaction
from mta.ports.tracking_store import TrackingStore
from tests.contract.spools import SettableClock

DESK = "default"
ANN = "ann@customer.example"
BOB = "bob@customer.example"
EVERY_RECORD = RecordFilter()

OpenTracking = Callable[[bool], Awaitable[TrackingStore]]


@pytest.fixture(params=["sqlite"])
async def open_tracking(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock
) -> AsyncIterator[OpenTracking]:
    """Opens the store as the tracking process, or (False) as an administrator."""
    assert request.param == "sqlite"
    opened: list[TrackingStore] = []

    async def open_as(works: bool) -> TrackingStore:
        store = await SqliteTrackingStore.open(tmp_path / "spool", works=works, reserve=0, clock=clock)
        opened.append(store)
        return store

    yield open_as
    for store in opened:
        await store.close()


@pytest.fixture
async def tracking(open_tracking: OpenTracking) -> TrackingStore:
    return await open_tracking(True)


@dataclass
class Arrivals:
    """Messages as the tracking process takes them."""

    store: TrackingStore
    clock: SettableClock

    async def open(
        self, message_id: str = "<1@customer.example>", *, module: str = "ticket", continues: Transaction | None = None,
        participants: tuple[str, ...] = (), organisation: str = DESK,
    ) -> Transaction:  # fmt: skip
        opening = Opening(organisation, module, message_id, self.clock.now(), continues, participants)
        return await self.store.open_transaction(opening)

    def entry(
        self, transaction: Transaction | None, message_id: str = "<1@customer.example>", *,
        state: EntryState = EntryState.JOINED, sender: str = ANN, direction: str = "received", organisation: str = DESK,
    ) -> Entry:  # fmt: skip
        return Entry(
            f"id:{message_id}", organisation, "support", message_id, "00" * 32, state, "because", self.clock.now(),
            sender, direction, transaction,
        )  # fmt: skip

    async def take(
        self, transaction: Transaction | None, *changes: Change, message_id: str = "<1@customer.example>",
        tasks: tuple[NewTask, ...] = (), state: EntryState = EntryState.JOINED, direction: str = "received",
        known_ids: tuple[str, ...] = (), bounced: dict[str, str] | None = None, counted: tuple[str, ...] = (),
        participants: tuple[str, ...] = (), sender: str = ANN,
    ) -> bool:  # fmt: skip
        entry = self.entry(transaction, message_id, state=state, direction=direction, sender=sender)
        return await self.store.take(Intake(entry, participants, known_ids, changes, tasks, bounced or {}, counted))

    async def ticket(self, title: str = "Printer", message_id: str = "<1@customer.example>", **how: str) -> Transaction:
        """A record with its first note."""
        transaction = await self.open(message_id)
        await self.take(
            transaction, create(transaction, title=title, **how), note(transaction, title), message_id=message_id
        )
        return transaction

    def task(
        self, key: str, transaction: Transaction | None = None, *, kind: TaskKind = TaskKind.CALL, target: str = "hook",
        payload: bytes = b"{}", wait_s: float = 0, organisation: str = DESK,
    ) -> NewTask:  # fmt: skip
        due_at = self.clock.now() + timedelta(seconds=wait_s)
        return NewTask(key, kind, organisation, target, payload, due_at, transaction)

    async def due(self, limit: int = 100, busy: tuple[int, ...] = ()) -> list[Task]:
        return list(await self.store.due_tasks(tuple(TaskKind), self.clock.now(), limit=limit, busy=busy))


@pytest.fixture
def arrivals(tracking: TrackingStore, clock: SettableClock) -> Arrivals:
    return Arrivals(tracking, clock)


def create(
    transaction: Transaction, *, title: str = "Printer", state: str = "open", requester: str = ANN, owner: str = "",
    source: str = "support", **fields: str,
) -> CreateRecord:  # fmt: skip
    return CreateRecord(transaction, state, title, requester, owner, source, fields)


def note(transaction: Transaction, text: str = "It smokes.", *attachments: bytes, public: bool = True) -> AddNote:
    files = tuple(NewAttachment(f"file-{n}", "application/x-test", data) for n, data in enumerate(attachments))
    return AddNote(transaction, ANN, "Ann", "received", text, "<1@customer.example>", public, files)
