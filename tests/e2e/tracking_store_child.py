"""The process whose store test_tracking_store_faults spoils: takes a message for each line that it reads.

Argument: the spool's folder. It answers each line when that is on disk: `taken N`, `again N`, or `refused N`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.record import AddNote, CreateRecord, NewAttachment
from mta.model.reply import MailError
from mta.model.tracking import Entry, EntryState, Intake, NewTask, TaskKind, TaskOutcome, TaskState
from mta.model.transaction import Opening

DESK = "default"
ANN = "ann@customer.example"


def large(number: int) -> bytes:
    """An attachment that is a file."""
    return b"%08d" % number * 20_000


async def take(store: SqliteTrackingStore, number: int) -> bool:
    """As the tracking process takes one; each third goes on with the transaction before."""
    now, message_id = datetime.now(UTC), f"<{number}@x>"
    await store.begin_message("support", str(number))
    opening = Opening(DESK, "ticket", f"<{number - number % 3}@x>", now, None, (ANN,))
    transaction = await store.open_transaction(opening)
    files = (NewAttachment("large", "a/b", large(number)), NewAttachment("same", "a/b", large(0)))
    changes = (
        CreateRecord(transaction, "open", f"title {number}", ANN, "", "support"),
        AddNote(transaction, ANN, "Ann", "received", f"text {number}", message_id, True, files),
    )
    entry = Entry(f"id:{message_id}", DESK, "support", message_id, "00", EntryState.JOINED, "new", now, ANN, "received",
                  transaction)  # fmt: skip
    task = NewTask(f"task:{number}", TaskKind.CALL, DESK, "hook", large(number), now, transaction)
    is_new = await store.take(Intake(entry, (ANN,), (), changes, (task,), {}, (ANN,)))
    await store.end_message("support", str(number))
    if number % 2:
        for due in await store.due_tasks([TaskKind.CALL], datetime.now(UTC), limit=1, busy=()):
            await store.settle_task(TaskOutcome(due.number, TaskState.DONE))
    return is_new


async def main() -> None:
    store = await SqliteTrackingStore.open(Path(sys.argv[1]), works=True, patient=True, reserve=0)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        number = int(line)
        try:
            word = "taken" if await take(store, number) else "again"
        except MailError:
            word = "refused"
        print(word, number, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
