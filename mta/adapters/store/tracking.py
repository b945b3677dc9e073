"""What tracking keeps, on SQLite: the port mta/ports/tracking_store.py, in the database of the spool.

Contents of attachments and tasks stand in it once each, large ones as body files, durable before the commit that names
them. Nothing here holds up mail for longer than one message's rows take.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mta import events
from mta.adapters.store import tracking_reader
from mta.adapters.store.administration import pattern
from mta.adapters.store.conversations import ConversationAccess
from mta.adapters.store.operations import Statement
from mta.adapters.store.room import Room
from mta.adapters.store.rows import microseconds, moment
from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_conversations import Merge
from mta.adapters.store.tracking_operations import CHUNK, AddTasks, DecidePending, Take
from mta.adapters.store.tracking_reader import LoadedTask, record_conditions, task_conditions
from mta.adapters.store.tracking_rows import StoredOctets, microseconds_or_none, storable
from mta.adapters.store.tracking_work import (
    BeginMessage,
    DropTasks,
    ForgetTracking,
    LetAnswerGo,
    NoteMailbox,
    PurgeRecords,
    ReplayTasks,
    SettleTask,
)
from mta.model.record import AddNote, Note, Record, RecordAttachment, RecordFilter
from mta.model.reply import INTERNAL_ERROR, MailError, TemporaryError
from mta.model.tracking import (
    Entry,
    EntryState,
    HeldAnswer,
    Intake,
    MailboxNotes,
    NewTask,
    Task,
    TaskFilter,
    TaskKind,
    TaskOutcome,
    TaskState,
    TaskTarget,
)
from mta.model.transaction import Transaction
from mta.ports.clock import Clock, SystemClock
from mta.ports.spool import SpoolFullError

SLOT = 1021
"""Of the tracking process: a lock like those of the workers, of which there are never so many."""
_INLINE_UP_TO = 64_000
_PURGED = 20
"""Records in one step of a purge: each may have many notes."""
_EXPORTED = 100
"""Records in one step of an export."""
_NOTES_EXPORTED = 2000
"""Notes in one step, where a record alone doesn't have more."""


class SqliteTrackingStore(ConversationAccess):
    """The port `TrackingStore`; open it with `await SqliteTrackingStore.open(...)`, end it with `close`."""

    @classmethod
    async def open(
        cls, folder: Path, *, works: bool = False, patient: bool = False, reserve: int = 100_000_000,
        clock: Clock | None = None,
    ) -> SqliteTrackingStore:  # fmt: skip
        """Open what tracking keeps in the spool `folder`.

        `works`: for the tracking process, of which there is one. Else for administrators, who find a spool or fail.
        `reserve` is the spool's: with less than twice of it free no messages are taken, so that tracking is never what
        makes mail wait. Raises StoreError with a text for the administrator. A `patient` one raises only where another
        such process lives, and its calls raise TemporaryError until the store can be opened.
        """
        store = cls(folder, reserve, clock or SystemClock(), works=works)
        try:
            await store._keeper.start(patient=patient)
        except BaseException:
            await store.close()
            raise
        return store

    def __init__(self, folder: Path, reserve: int, clock: Clock, *, works: bool) -> None:
        """Use `open`."""
        room = Room(folder, reserve=reserve, inline_up_to=0)
        super().__init__(folder, SLOT if works else None, room, clock, begin_anew=False)

    async def _start(self) -> None:
        """Nothing is leased: there is one tracking process."""

    # --- what correlation asks ---------------------------------------------------------------------------------------

    async def entry(self, organisation: str, key: str) -> Entry | None:
        return await self._entry(organisation, key=storable(key))

    async def entry_of_message(self, organisation: str, message_id: str) -> Entry | None:
        return await self._entry(organisation, message_id=storable(message_id))

    async def _entry(self, organisation: str, **wanted: str) -> Entry | None:
        found = await self._look(
            lambda cursor: tracking_reader.entries(cursor, 1, organisation=organisation, **wanted)
        )  # fmt: skip
        return found[0] if found else None

    async def count_today(self, organisation: str, address: str, now: datetime) -> int:
        values = (organisation, storable(address), microseconds(now - timedelta(days=1)), microseconds(now))
        return await self._look(lambda cursor: int(cursor.execute(SQL["counted_since"], values).fetchone()[0]))

    # --- transactions and messages -----------------------------------------------------------------------------------

    async def merge(self, gone: Transaction, into: Transaction, at: datetime) -> None:
        await self._writer.submit(Merge(gone, into, microseconds(at)))

    async def take(self, intake: Intake) -> bool:
        return await self._take(intake, "")

    async def change(self, intake_key: str, intake: Intake) -> bool:
        return await self._take(intake, f"once:{intake_key}")

    async def _take(self, intake: Intake, once: str) -> bool:
        """Where the caller is gone before the answer, it is committed all the same, and its files stay or go."""
        contents = [
            [each.data for each in change.attachments] if isinstance(change, AddNote) else []
            for change in intake.changes
        ]
        self._require_room(sum(len(data) for some in contents for data in some))
        writing = asyncio.ensure_future(self._take_with(intake, contents, once))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._begin(partial(_awaited, writing))
            raise

    async def _take_with(self, intake: Intake, contents: Sequence[Sequence[bytes]], once: str) -> bool:
        flat = [data for some in contents for data in some] + [task.payload for task in intake.tasks]
        stored = await self._store(flat)
        rest = iter(stored)
        attachments = tuple(tuple(next(rest) for _ in some) for some in contents)
        held = await self._held(intake)
        octets = _inline_octets(stored) + sum(
            len(change.text) for change in intake.changes if isinstance(change, AddNote)
        )
        operation = Take(intake, self._bodies.folder, attachments, tuple(rest), held, once, octets)
        try:
            taken = await self._writer.submit(operation)
        except MailError:
            await self._discard(self._paths(operation.files))
            raise
        await self._discard(self._paths(taken.unused))
        return taken.is_new

    async def _held(self, intake: Intake) -> StoredOctets | None:
        """What may yet be wanted is kept only with room to spare, and taken without where it can't be."""
        if intake.awaiting is None or not self._room.has_to_spare(len(intake.awaiting.data)):
            return None
        try:
            (held,) = await self._store([intake.awaiting.data])
        except MailError:
            return None
        return held

    def _require_room(self, size_octets: int) -> None:
        """Raises SpoolFullError, TemporaryError."""
        try:
            if not self._room.has_plenty() or not self._room.fits(size_octets):
                raise SpoolFullError
        except OSError as error:  # its folder is gone
            raise TemporaryError(INTERNAL_ERROR) from error

    async def _store(self, contents: Sequence[bytes]) -> list[StoredOctets]:
        """Make large ones files, each once. Raises SpoolFullError, TemporaryError."""
        files: dict[bytes, StoredOctets] = {}
        try:
            for data in contents:
                if data not in files:
                    files[data] = await self._store_one(data)
        except MailError:
            await self._discard(self._paths([each.file for each in files.values() if each.file is not None]))
            raise
        return [files[data] for data in contents]

    async def _store_one(self, data: bytes) -> StoredOctets:
        if len(data) <= _INLINE_UP_TO or self._slot is None:  # a file that root makes the service could not read
            return StoredOctets.of(data)
        path = self._bodies.fresh()
        await self._on_body_thread(self._bodies.write, path, data)
        return await self._on_body_thread(StoredOctets.of, data, self._bodies.name(path))

    async def entries(
        self, organisation: str = "", *, transaction: Transaction | None = None, states: Collection[EntryState] = (),
        mailboxes: Collection[str] = (), sender: str = "", since: datetime | None = None, limit: int = 1000,
    ) -> Sequence[Entry]:  # fmt: skip
        wanted = {
            "organisation": organisation or None,
            "states": json_list(state.value for state in states) if states else None,
            "mailboxes": json_list(mailboxes) if mailboxes else None,
            "sender": pattern(storable(sender)),
            "since": microseconds_or_none(since),
        }
        if transaction is None:
            return await self._look(lambda cursor: tracking_reader.entries(cursor, limit, **wanted))
        return await self._look(lambda cursor: tracking_reader.entries_of(cursor, transaction, limit, **wanted))

    async def answer_due(self, organisation: str) -> HeldAnswer | None:
        asked = (organisation,)
        while row := await self._look(lambda cursor: cursor.execute(SQL["answer_due"], asked).fetchone()):
            key, mailbox, file, data = row
            if file is None or (self._bodies.folder / file).exists():
                return HeldAnswer(organisation, key, mailbox, await self._octets(file, data))
            events.internal_error(f"held-answer {key}", error=f"its file {file} is missing")
            await self.let_go(organisation, key)
        return None

    async def let_go(self, organisation: str, key: str) -> None:
        unused = await self._writer.submit(LetAnswerGo(organisation, key))
        await self._discard(self._paths(unused))

    async def accept_pending(self, organisation: str, key: str) -> Entry | None:
        return await self._decide(DecidePending(organisation, key, joins=True, reason="accepted"))

    async def decline_pending(self, organisation: str, key: str) -> Entry | None:
        return await self._decide(DecidePending(organisation, key, joins=False, reason="declined"))

    async def _decide(self, decision: DecidePending) -> Entry | None:
        if not await self._writer.submit(decision):
            return None
        return await self.entry(decision.organisation, decision.key)

    # --- records -----------------------------------------------------------------------------------------------------

    async def record(self, transaction: Transaction) -> Record | None:
        return await self._look(lambda cursor: tracking_reader.record(cursor, transaction))

    async def records(
        self, which: RecordFilter, *, after: int = 0, limit: int = 1000, newest_first: bool = False
    ) -> Sequence[tuple[int, Record]]:
        wanted = record_conditions(which, self._clock.now())
        name = "records_newest_first" if newest_first else "records"
        return await self._look(lambda cursor: tracking_reader.records(cursor, wanted, name, after, limit))

    async def count_records(self, which: RecordFilter) -> Mapping[tuple[str, str, str], int]:
        wanted = record_conditions(which, self._clock.now())
        return await self._look(lambda cursor: tracking_reader.count_records(cursor, wanted))

    async def notes(self, transaction: Transaction) -> Sequence[Note]:
        return await self._look(lambda cursor: tracking_reader.notes_of(cursor, [transaction])[transaction])

    async def attachment(self, attachment: RecordAttachment) -> bytes:
        row = await self._look(lambda cursor: cursor.execute(SQL["read_octets"], (attachment.sha256,)).fetchone())
        if row is None:
            raise KeyError(attachment.sha256)
        return await self._octets(*row)

    async def _octets(self, file: str | None, data: bytes | None) -> bytes:
        """Raises TemporaryError where the file is missing, or can't be read."""
        if file is None:
            return data or b""
        return await self._on_body_thread((self._bodies.folder / file).read_bytes)

    async def overdue(
        self, organisation: str, module: str, states: Collection[str], rule: str, *, created_before: datetime | None,
        unchanged_since: datetime | None, limit: int,
    ) -> Sequence[Record]:  # fmt: skip
        values = {
            "organisation": organisation,
            "module": module,
            "states": json_list(states),
            "rule": rule,
            "created_before": microseconds_or_none(created_before),
            "unchanged_since": microseconds_or_none(unchanged_since),
            "limit": limit,
        }
        return await self._look(lambda cursor: tracking_reader.overdue(cursor, values))

    async def purge(self, which: RecordFilter) -> int:
        wanted = record_conditions(replace(which, with_deleted=True), self._clock.now())
        wanted = replace(wanted, conditions=(*wanted.conditions, SQL["which_record_deleted"]))
        return await self._in_steps(PurgeRecords(wanted.statement("records_to_purge"), wanted.values, _PURGED))

    async def _in_steps(self, asked: PurgeRecords | ReplayTasks | DropTasks) -> int:
        """Carry it out in transactions of bounded size, until nothing is left that matches; for how many."""
        total = 0
        while (done := await self._writer.submit(asked)).found:
            total += done.found
            await self._discard(self._paths(done.files))
            asked = replace(asked, after=done.last)
        return total

    async def export(self, which: RecordFilter) -> AsyncIterator[tuple[Record, Sequence[Note]]]:
        after = 0
        while page := await self.records(which, after=after, limit=_EXPORTED):
            after = page[-1][0]
            for some in _by_notes([record for _, record in page]):
                names = [record.transaction for record in some]
                notes = await self._look(partial(tracking_reader.notes_of, transactions=names))
                for record in some:
                    yield record, notes.pop(record.transaction)

    # --- tasks -------------------------------------------------------------------------------------------------------

    async def due_tasks(
        self, kinds: Collection[TaskKind], now: datetime, *, limit: int, busy: Collection[int],
        left_alone: Collection[TaskTarget] = (),
    ) -> Sequence[Task]:  # fmt: skip
        at = microseconds(now)

        def find(cursor: sqlite3.Cursor) -> list[LoadedTask]:
            due = tracking_reader.due_tasks(cursor, kinds, at, limit=limit, busy=busy, left_alone=left_alone)
            return tracking_reader.load_tasks(cursor, due)

        return [task for loaded in await self._look(find) if (task := await self._with_payload(loaded)) is not None]

    async def _with_payload(self, loaded: LoadedTask) -> Task | None:
        """None where its payload is gone for good: such a task is dead, and keeps no other waiting."""
        if loaded.file is not None and not (self._bodies.folder / loaded.file).exists():
            events.internal_error(f"task {loaded.task.number}", error=f"its payload {loaded.file} is missing")
            await self.settle_task(TaskOutcome(loaded.task.number, TaskState.DEAD, "payload-missing"))
            return None
        return replace(loaded.task, payload=await self._octets(loaded.file, loaded.data))

    async def add_tasks(self, tasks: Sequence[NewTask]) -> int:
        payloads = await self._store([task.payload for task in tasks])
        octets = _inline_octets(payloads)
        operation = AddTasks(tuple(tasks), tuple(payloads), self._bodies.folder, self._now(), octets)
        try:
            added = await self._writer.submit(operation)
        except MailError:
            await self._discard(self._paths([each.file for each in payloads if each.file is not None]))
            raise
        await self._discard(self._paths(added.unused))
        return added.found

    async def settle_task(self, outcome: TaskOutcome) -> None:
        unused = await self._writer.submit(SettleTask(outcome, self._now()))
        await self._discard(self._paths(unused))

    async def tasks(self, which: TaskFilter, *, limit: int = 1000) -> Sequence[Task]:
        wanted = task_conditions(which)
        return await self._look(lambda cursor: tracking_reader.tasks(cursor, wanted, limit))

    async def task(self, number: int) -> Task | None:
        found = await self._look(lambda cursor: tracking_reader.load_tasks(cursor, [number]))
        if not found:
            return None
        return replace(found[0].task, payload=await self._octets(found[0].file, found[0].data))

    async def replay(self, which: TaskFilter, now: datetime) -> int:
        replayed = which.state or TaskState.DEAD
        if replayed is TaskState.DONE:
            return 0
        wanted = task_conditions(which)
        values = {**wanted.values, "replayed": replayed.value}
        return await self._in_steps(ReplayTasks(wanted.statement("tasks_to_replay"), values, microseconds(now), CHUNK))

    async def drop(self, which: TaskFilter) -> int:
        wanted = task_conditions(which)
        return await self._in_steps(DropTasks(wanted.statement("tasks_to_drop"), wanted.values, self._now(), CHUNK))

    async def count_tasks(self, which: TaskFilter) -> Mapping[tuple[TaskTarget, TaskState], int]:
        wanted = task_conditions(which)
        return await self._look(lambda cursor: tracking_reader.count_tasks(cursor, wanted))

    async def forget(self, before: datetime, limit: int) -> int:
        done = await self._writer.submit(ForgetTracking(microseconds(before), self._now(), limit))
        await self._discard(self._paths(done.files))
        return done.found

    # --- mailboxes and runs ------------------------------------------------------------------------------------------

    async def mailbox_notes(self) -> Mapping[str, MailboxNotes]:
        return await self._look(tracking_reader.mailboxes)

    async def note_mailbox(self, notes: MailboxNotes) -> None:
        await self._writer.submit(NoteMailbox(notes, self._now()))

    async def pause(self, name: str, by_whom: str, at: datetime) -> bool:
        values = {"name": name, "at": microseconds(at), "by_whom": storable(by_whom)}
        return await self._writer.submit(Statement("pause_mailbox", values)) > 0

    async def resume(self, name: str) -> bool:
        return await self._writer.submit(Statement("resume_mailbox", (name,))) > 0

    async def begin_message(self, mailbox: str, ref: str) -> int:
        return await self._writer.submit(BeginMessage(mailbox, ref, self._now()))

    async def end_message(self, mailbox: str, ref: str) -> None:
        await self._writer.submit(Statement("end_message", (mailbox, storable(ref))))

    async def last_run(self, name: str) -> datetime | None:
        row = await self._look(lambda cursor: cursor.execute(SQL["last_run"], (name,)).fetchone())
        return None if row is None else moment(row[0])

    async def note_run(self, name: str, at: datetime) -> None:
        await self._writer.submit(Statement("note_run", (name, microseconds(at))))


def _inline_octets(contents: Sequence[StoredOctets]) -> int:
    return sum(len(each.data) for each in contents if each.data is not None)


def _by_notes(records: Sequence[Record]) -> list[list[Record]]:
    """In groups of so many notes that they may stand in memory together."""
    groups: list[list[Record]] = []
    notes = 0
    for record in records:
        if not groups or notes + record.notes > _NOTES_EXPORTED:
            groups.append([])
            notes = 0
        groups[-1].append(record)
        notes += record.notes
    return groups


async def _awaited(writing: asyncio.Future[bool]) -> None:
    await writing
