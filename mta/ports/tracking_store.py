"""What tracking keeps. Each call is one transaction; when it returns, it is on disk and synced.

The relay opens transactions by the same store (`Spool.open_transaction`), so that a reply that comes at once is known.
Calls raise TemporaryError while the store can't be used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from mta.model.record import Note, Record, RecordAttachment, RecordFilter
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
from mta.model.transaction import Opening, Transaction

HELD_FOR = timedelta(days=3)
"""How long an answer waits for what it answers: a weekend of a mailbox that can't be polled."""


class Conversations(Protocol):
    """What correlation asks."""

    async def entry(self, organisation: str, key: str) -> Entry | None: ...

    async def transaction(self, organisation: str, module: str, number: int) -> Transaction | None:
        """The one that this number names now: of one that was merged, the one that goes on."""
        ...

    async def current(self, transaction: Transaction) -> Transaction | None:
        """What a signed reference (number and nonce) names now: itself, or the one that it was merged into; None where
        the store doesn't know it. After a loss of data two references can have one number: `transaction` knows only
        the one that has it here, this knows both."""
        ...

    async def transactions_of(self, organisation: str, message_ids: Collection[str]) -> Mapping[str, Transaction]:
        """Those of these Message-IDs (with brackets) that belong to a transaction, or were named by one that does."""
        ...

    async def entry_of_message(self, organisation: str, message_id: str) -> Entry | None:
        """Of several with this Message-ID, which strangers can use again, the first that joined; else the last."""
        ...

    async def participants(self, transaction: Transaction) -> frozenset[str]:
        """Address keys of those who take part."""
        ...

    async def count_today(self, organisation: str, address: str, now: datetime) -> int:
        """Messages counted for this address key within the last 24 hours."""
        ...


class TrackingStore(Conversations, Protocol):
    # --- transactions and messages -----------------------------------------------------------------------------------

    async def open_transaction(self, opening: Opening) -> Transaction:
        """Note the message; gives its transaction: that of the Message-ID if it was noted before, else the one that it
        continues (made anew if a loss of data took it), else a new one with the module's next number.

        Who takes part is said by the first that brings a Message-ID; whoever brings it again adds nobody. Made anew it
        keeps its number, and later ones are higher; where another has that number by now, it gets the next one, and its
        old reference names it all the same (`current`).
        """
        ...

    async def merge(self, gone: Transaction, into: Transaction, at: datetime) -> None:
        """Two that turned out to be one: messages, participants, notes and open tasks of `gone` go over."""
        ...

    async def take(self, intake: Intake) -> bool:
        """Commit all of it. False, and nothing is written, where an entry with this key is there already.

        One that isn't settled (`Entry.is_settled`) gives way to this, unless this says the same of the message, or is
        not settled either and of what was received, while that one is of what ours sent.

        A transaction that the store doesn't know (a loss of data took it) is made anew. Only what is JOINED belongs to
        its transaction by its Message-ID, and only then `known_ids` count, those that nobody else has named before.
        Changes: what updates or deletes a record that isn't there, or was deleted, does nothing; CreateRecord brings
        back a deleted one, with its values and the notes that it has; a note is kept whether or not there is a record.
        Raises SpoolFullError with less than twice the reserve free: mail comes first.
        """
        ...

    async def entries(
        self, organisation: str = "", *, transaction: Transaction | None = None, states: Collection[EntryState] = (),
        mailboxes: Collection[str] = (), sender: str = "", since: datetime | None = None, limit: int = 1000,
    ) -> Sequence[Entry]:  # fmt: skip
        """Newest first; what is empty matches all, and `*` in `sender` (an address key) stands for anything."""
        ...

    async def answer_due(self, organisation: str) -> HeldAnswer | None:
        """The first of those that await messages (`Intake.awaiting`) of which one was seen since, or, for what ours
        sent, was named by others.

        They are kept for HELD_FOR at most, and only while there is room to spare; once their message is settled, they
        are gone.
        """
        ...

    async def let_go(self, organisation: str, key: str) -> None:
        """Keep the answer of this entry no longer."""
        ...

    async def accept_pending(self, organisation: str, key: str) -> Entry | None:
        """The owner lets it in: it is joined, its note its sender's, who takes part now.

        None where no such entry is pending.
        """
        ...

    async def decline_pending(self, organisation: str, key: str) -> Entry | None:
        """The owner doesn't: it is FILTERED, `declined`. None where no such entry is pending."""
        ...

    # --- records -----------------------------------------------------------------------------------------------------

    async def record(self, transaction: Transaction) -> Record | None:
        """Also one that was deleted, until it is purged."""
        ...

    async def records(
        self, which: RecordFilter, *, after: int = 0, limit: int = 1000, newest_first: bool = False
    ) -> Sequence[tuple[int, Record]]:
        """In the order of making, or from its end; each with its place in it, and pages by `after`."""
        ...

    async def count_records(self, which: RecordFilter) -> Mapping[tuple[str, str, str], int]:
        """(organisation, module, state) → how many."""
        ...

    async def notes(self, transaction: Transaction) -> Sequence[Note]:
        """Oldest first."""
        ...

    async def attachment(self, attachment: RecordAttachment) -> bytes:
        """Raises KeyError."""
        ...

    async def change(self, intake_key: str, intake: Intake) -> bool:
        """What a time-triggered rule or an administrator does: as `take`, without a message (`intake.entry` names the
        organisation and the transaction only); once for each `intake_key`."""
        ...

    async def overdue(
        self, organisation: str, module: str, states: Collection[str], rule: str, *, created_before: datetime | None,
        unchanged_since: datetime | None, limit: int,
    ) -> Sequence[Record]:  # fmt: skip
        """Records that a time-triggered rule is for, and for which it wasn't carried out (`NoteRule`) as they stand.

        What an intake with a NoteRule changes in its record makes no rule due again, and is no change for
        `unchanged_since`: only messages and people are.
        """
        ...

    async def purge(self, which: RecordFilter) -> int:
        """Remove matching records that were deleted, with notes and attachments; how many. Numbers stay given."""
        ...

    # --- tasks -------------------------------------------------------------------------------------------------------

    async def due_tasks(
        self, kinds: Collection[TaskKind], now: datetime, *, limit: int, busy: Collection[int],
        left_alone: Collection[TaskTarget] = (),
    ) -> Sequence[Task]:  # fmt: skip
        """With payload, oldest due first; none of the numbers that are `busy`, none for targets `left_alone`: one that
        is down must not keep others waiting. Order is kept for each (kind, organisation, target, transaction): a later
        task is not due before the one ahead of it is done or dead."""
        ...

    async def add_tasks(self, tasks: Sequence[NewTask]) -> int:
        """How many of them are new."""
        ...

    async def settle_task(self, outcome: TaskOutcome) -> None: ...

    async def tasks(self, which: TaskFilter, *, limit: int = 1000) -> Sequence[Task]:
        """Newest first, without payload."""
        ...

    async def task(self, number: int) -> Task | None:
        """With its payload."""
        ...

    async def replay(self, which: TaskFilter, now: datetime) -> int:
        """Dead ones are due again, with as many attempts and as much time as new ones (`begun_at`); how many.

        Where the filter's state is WAITING: those that wait are due at once.
        """
        ...

    async def drop(self, which: TaskFilter) -> int:
        """Waiting and dead ones are not to be done any more: they are done with, by an administrator; how many."""
        ...

    async def count_tasks(self, which: TaskFilter) -> Mapping[tuple[TaskTarget, TaskState], int]:
        """How many there are of each."""
        ...

    async def forget(self, before: datetime, limit: int) -> int:
        """Tasks that ended, counts and entries without a transaction from before; how many rows."""
        ...

    # --- mailboxes ---------------------------------------------------------------------------------------------------

    async def mailbox_notes(self) -> Mapping[str, MailboxNotes]: ...

    async def note_mailbox(self, notes: MailboxNotes) -> None:
        """All but `paused_at` and `paused_by`, which are administrators'."""
        ...

    async def pause(self, name: str, by_whom: str, at: datetime) -> bool:
        """False where it was paused already."""
        ...

    async def resume(self, name: str) -> bool:
        """It is tried at once. False where it was not paused and nothing was held against it."""
        ...

    async def begin_message(self, mailbox: str, ref: str) -> int:
        """How many attempts at this message were begun and not ended, this one included; for those that kill us."""
        ...

    async def end_message(self, mailbox: str, ref: str) -> None: ...

    # --- digests, and whatever else is done once in a while ----------------------------------------------------------

    async def last_run(self, name: str) -> datetime | None: ...

    async def note_run(self, name: str, at: datetime) -> None: ...

    def export(self, which: RecordFilter) -> AsyncIterator[tuple[Record, Sequence[Note]]]:
        """Everything that matches, in flat memory."""
        ...

    async def close(self) -> None: ...
