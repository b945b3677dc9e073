"""Group commit: one thread per process that owns the writing connection.

It takes what waits, takes its turn among the processes, commits once, and wakes those that waited. While it waits for
its turn the next batch grows, so contention makes batches larger, not queues longer.

What one turn of the event loop submits comes to it in one go. Were it woken for each operation, it would commit the
turn's first one alone, and take the interpreter from the loop a few times for that.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from mta import events
from mta.adapters.store.errors import MovedError, Trouble, as_mail_error, described, trouble
from mta.adapters.store.place import Place
from mta.adapters.store.room import Room
from mta.adapters.store.turnstile import Turnstile
from mta.adapters.store.who_locks import who_locks
from mta.crash import crash_point
from mta.model.reply import INTERNAL_ERROR, TemporaryError

Result = TypeVar("Result")
OnFailure = Callable[[Trouble, str], None]
"""What is wrong with the database as a whole, and the error's text."""

BATCH = 256
BATCH_OCTETS = 16_000_000
"""What one commit takes at most, so that nobody waits long for the lock and the log stays short."""


class Operation(ABC, Generic[Result]):
    """One caller's part of a transaction."""

    __slots__ = ()

    crash_before: ClassVar[str] = ""
    """Crash point between the writes and the commit."""
    crash_after: ClassVar[str] = ""
    """Crash point between the commit and the answer."""
    octets: int = 0
    """Roughly what it writes, where that is much."""

    @classmethod
    @abstractmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Self]) -> Sequence[Result | Exception]:
        """Carry out all operations of this kind in the open transaction; one outcome for each, in order.

        An exception among the outcomes refuses that operation, which must not have written anything. A raised one
        rolls back the whole batch, whose operations then run one by one.
        """


class _Waiting:
    """An operation and who waits for it."""

    __slots__ = ("abandoned", "error", "future", "operation", "result")

    def __init__(
        self, operation: Operation[Any], future: asyncio.Future[Any], abandoned: Callable[[], None] | None
    ) -> None:
        self.operation = operation
        self.future = future
        self.abandoned = abandoned
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """The writing end of the store; `submit` from the event loop that started it."""

    def __init__(
        self, connection: sqlite3.Connection, folder: Path, room: Room, on_failure: OnFailure = lambda *_: None
    ) -> None:
        """`connection` is the thread's from here on, and must not be bound to the thread that made it.

        `on_failure` is called on the event loop when the database can't be trusted any more. From that moment on
        nothing is committed, and every operation gets a TemporaryError.
        """
        self._connection = connection
        self._folder = folder
        self._on_failure = on_failure
        self._place = Place(folder)
        self._turn = Turnstile(folder)
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Waiting] = []
        self._inbox: queue.SimpleQueue[list[_Waiting]] = queue.SimpleQueue()
        """What the thread has not seen yet; an empty list is the end."""
        self._thread = threading.Thread(target=self._work, name="spool-writer", daemon=True)
        self.is_closed = False
        self.has_failed = False
        """Nothing is committed any more, whatever waits."""
        self._busy_since: float | None = None
        self._thread.start()

    @property
    def busy_s(self) -> float:
        """How long the present commit has been under way, waiting for its turn included; 0 where there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def check_place(self) -> None:
        """Raises MovedError where the files that were opened no longer stand where they were."""
        self._place.check()

    @property
    def is_in_place(self) -> bool:
        """Whether the files that were opened still stand where they were."""
        try:
            self.check_place()
        except MovedError:
            return False
        return True

    def submit(
        self, operation: Operation[Result], abandoned: Callable[[], None] | None = None
    ) -> asyncio.Future[Result]:
        """Queue an operation; the future has its result once it is on disk and synced.

        It raises LeaseLostError, SpoolFullError or TemporaryError. Where it was cancelled and the operation has been
        committed all the same, `abandoned` is called. Raises TemporaryError here once closed.
        """
        if self.is_closed:
            raise TemporaryError(INTERNAL_ERROR)
        waiting = _Waiting(operation, self._loop.create_future(), abandoned)
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(waiting)
        return waiting.future

    def _hand_over(self) -> None:
        if self._gathered:
            self._inbox.put(self._gathered)
            self._gathered = []

    async def close(self) -> None:
        """Commit what waits, and end the thread."""
        self.is_closed = True
        self._hand_over()
        self._inbox.put([])
        await asyncio.to_thread(self._thread.join)
        self._turn.close()

    def _work(self) -> None:
        waiting: deque[_Waiting] = deque()
        while waiting or self._fetch(waiting, block=True):
            if self.has_failed:
                self._refuse(waiting)
                continue
            self._busy_since = time.monotonic()
            try:
                with self._turn:
                    while self._fetch(waiting, block=False):
                        pass  # more has come while we queued for the lock
                    self._work_off(_batch(waiting))
            except OSError as error:  # the lock itself can't be had
                self._fail(Trouble.FAILING, error)
            self._busy_since = None
        self._end()

    def _end(self) -> None:
        """Where files were taken away, and it wasn't us who noticed, the log has still to be carried over."""
        with suppress(sqlite3.Error, OSError):
            if not self.is_in_place:
                with self._turn:
                    self._leave_whole()
        with suppress(sqlite3.Error):
            self._connection.close()

    def _fetch(self, waiting: deque[_Waiting], *, block: bool) -> bool:
        """Take over what one turn of the loop has gathered; False where there is nothing, or no more to come."""
        try:
            gathered = self._inbox.get(block)
        except queue.Empty:
            return False
        if not gathered:
            self._inbox.put(gathered)  # to be found again once all is committed
        waiting.extend(gathered)
        return bool(gathered)

    def _work_off(self, batch: list[_Waiting]) -> None:
        """The thread's edge: whatever goes wrong, everybody gets an answer and the thread lives."""
        try:
            self._commit_safely(batch)
        except Exception as error:  # noqa: BLE001
            self._report_fault(error)
            self._fail(Trouble.FAILING, error)
            self._refuse(deque(batch))

    def _commit_safely(self, batch: list[_Waiting]) -> None:
        """Commit, and where that fails, do what the error asks for."""
        try:
            self._place.check()
            self._commit(batch)
        except Exception as error:  # noqa: BLE001
            what = trouble(error)
            if what is Trouble.FAILING and self._room.is_used_up:
                what = Trouble.FULL  # SQLite has no name for a full disk where its shared memory wants to grow
            self._report(error, what)
            if what is Trouble.FULL:
                self._empty_log()
            if what in (None, Trouble.FULL):
                self._commit_singly(batch)
            else:
                for waiting in batch:
                    waiting.error = TemporaryError(INTERNAL_ERROR)
            if what in (Trouble.DAMAGED, Trouble.FAILING):
                self._fail(what, error)
        self._wake(batch)
        if self._room.is_short:
            self._empty_log()

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        """One transaction for the whole batch.

        Crash safety: nobody is answered before COMMIT has returned, and with synchronous=FULL it returns only when the
        log with the commit record is synced. Killed before that, the transaction is not there at all (its frames in
        the log have no commit record, and SQLite ignores them), and nobody was told that it is.
        """
        cursor = self._connection.cursor()
        kinds: dict[type[Operation[Any]], list[_Waiting]] = {}
        for waiting in batch:
            kinds.setdefault(type(waiting.operation), []).append(waiting)
        cursor.execute("BEGIN IMMEDIATE")
        try:
            for kind, members in kinds.items():
                outcomes = kind.run(cursor, [waiting.operation for waiting in members])
                for waiting, outcome in zip(members, outcomes, strict=True):
                    if isinstance(outcome, BaseException):
                        waiting.error = outcome
                    else:
                        waiting.result = outcome
            for kind in kinds:
                crash_point(kind.crash_before)
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise
        for kind in kinds:
            crash_point(kind.crash_after)

    def _empty_log(self) -> None:
        """Carry the log over into the database, so that the next commit begins it anew and needs no more room.

        So what was delivered can be settled on a full disk: that only changes pages that are there. The log's file is
        not cut off, because others might take its room.
        """
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _commit_singly(self, batch: Sequence[_Waiting]) -> None:
        """One bad operation must not spoil the others: each gets a transaction of its own."""
        for waiting in batch:
            waiting.result = waiting.error = None
            try:
                self._commit([waiting])
            except Exception as single:  # noqa: BLE001
                waiting.error = as_mail_error(single)

    def _fail(self, what: Trouble, error: Exception) -> None:
        """Trust the database no more.

        A commit whose sync has failed is not there: SQLite has rolled it back, and who waited gets an error. The next
        one's sync might succeed although pages before it never reached the disk (fsync(2), EIO), so there is no next.
        """
        self.has_failed = True
        if isinstance(error, MovedError):
            with suppress(sqlite3.Error):
                self._leave_whole()
        with suppress(sqlite3.Error):
            self._connection.close()
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._on_failure, what, described(error))

    def _leave_whole(self) -> None:
        """Carry the log over into the database: one without a name is lost with its last connection.

        The first process that notices does this. One that comes later may find others at work already, who have another
        log, or another index of the same log: what it knows of frames is then no longer true, and carrying them over,
        or cutting the log off, would ruin what the others have acknowledged. So it leaves everything alone.
        """
        if not self._place.is_taken_over:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _refuse(self, waiting: deque[_Waiting]) -> None:
        batch = [*waiting]
        waiting.clear()
        for each in batch:
            each.error = TemporaryError(INTERNAL_ERROR)
        self._wake(batch)

    def _report(self, error: Exception, what: Trouble | None) -> None:
        if what is Trouble.FULL:
            self._room.note_full()
        elif what is Trouble.LOCKED:
            events.spool_locked(by=who_locks(self._folder), waited_s=self.busy_s)
        elif what is None:
            self._report_fault(error)

    def _report_fault(self, error: Exception) -> None:
        events.internal_error("spool-writer", error=repr(error), traceback=traceback.format_exc())

    def _wake(self, batch: list[_Waiting]) -> None:
        try:
            self._loop.call_soon_threadsafe(_answer, batch)
        except RuntimeError:
            return  # the loop has ended, and with it everybody who waited


def _batch(waiting: deque[_Waiting]) -> list[_Waiting]:
    """What the next transaction takes of what waits."""
    batch: list[_Waiting] = []
    octets = 0
    while waiting and len(batch) < BATCH and octets < BATCH_OCTETS:
        batch.append(waiting.popleft())
        octets += batch[-1].operation.octets
    return batch


def _answer(batch: Sequence[_Waiting]) -> None:
    for waiting in batch:
        if waiting.future.done():
            if waiting.error is None and waiting.abandoned is not None:
                waiting.abandoned()
        elif waiting.error is not None:
            waiting.future.set_exception(waiting.error)
        else:
            waiting.future.set_result(waiting.result)
