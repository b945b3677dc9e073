"""Keeps the database open for one process: opens it, closes it when it can't be trusted, and tries again.

What happens to a store whose disk fails, whose files are taken away, or that is damaged:

- At once nothing is acknowledged from it any more; every call raises TemporaryError, so clients get 451 4.3.0 and keep
  their mail, and what has been sent but not yet settled is settled later, by the same lease.
- It is opened anew only after `damage.verify`, again and again with growing pauses.
- Damaged, it is left as it is (`refuse`), until an administrator has it set aside; or it is set aside at once and a
  fresh one is begun (`begin-anew`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mta import events
from mta.adapters.store import database
from mta.adapters.store.damage import EXAMINED_S, examine, set_aside, verify
from mta.adapters.store.errors import DamagedError, MovedError, SlotTakenError, StoreError, Trouble, described, trouble
from mta.adapters.store.place import FILE
from mta.adapters.store.reader import Reader
from mta.adapters.store.room import Room
from mta.adapters.store.slots import Slot
from mta.adapters.store.writer import OnFailure, Writer
from mta.model.reply import INTERNAL_ERROR, TemporaryError

AGAIN_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between tries to open it; the last one repeats."""
TOLD_EVERY_S = 60.0
SLOW_S = 15.0
"""A commit that takes so long: new mail is refused until it ends, so that clients don't hang by the hundred."""
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An open database: the writer with its thread, and the reader."""

    writer: Writer
    reader: Reader

    @classmethod
    async def open(cls, folder: Path, room: Room, read_thread: Executor, on_failure: OnFailure) -> Self:
        """Open a prepared database. Raises StoreError, MovedError."""

        def open_reader() -> Reader:
            return Reader(database.connect_reader(folder), folder / "bodies")

        async with AsyncExitStack() as opened:
            try:
                writing = await asyncio.to_thread(database.connect, folder)
                opened.push_async_callback(asyncio.to_thread, writing.close)
                reader = await asyncio.get_running_loop().run_in_executor(read_thread, open_reader)
                opened.push_async_callback(_close_reader, reader, read_thread)
                engine = cls(Writer(writing, folder, room, on_failure), reader)
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"{folder / FILE} can't be opened: {described(error)}") from error
            opened.pop_all()
        return engine

    async def close(self, read_thread: Executor) -> None:
        """Commit what waits, where it can be, and close both connections."""
        await _close_reader(self.reader, read_thread)
        await self.writer.close()  # the last to close carries the log over, which a reader could not


async def _close_reader(reader: Reader, read_thread: Executor) -> None:
    with suppress(sqlite3.Error):
        await asyncio.get_running_loop().run_in_executor(read_thread, reader.close)


class Keeper:
    """One process's hold on the store. `slot` None is an administrator's, which gives up at the first trouble."""

    def __init__(
        self, folder: Path, slot: int | None, room: Room, *, begin_anew: bool, on_open: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        """`on_open` runs each time when the database has been opened, before others use it."""
        self.folder = folder
        self._slot = slot
        self._room = room
        self._begin_anew = begin_anew
        self._on_open = on_open
        self._claim: Slot | None = None
        self.read_thread = ThreadPoolExecutor(1, "spool-reader")
        """Readers belong to it, one after the other."""
        self._engine: Engine | None = None
        self._anchor: Reader | None = None
        """The reader of an engine that has failed. As long as a connection is open nobody recovers the log, and finds
        the commit in it whose sync has failed."""
        self._is_open = False
        self._closed_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def engine(self) -> Engine:
        """The open database. Raises TemporaryError while there is none."""
        if self._engine is None:
            raise TemporaryError(INTERNAL_ERROR)
        return self._engine

    def is_usable(self) -> bool:
        """Whether mail may be taken: it is open, and its disk answers."""
        return self._is_open and self._engine is not None and self._engine.writer.busy_s < SLOW_S

    async def start(self, *, patient: bool) -> None:
        """Open it. Where that fails, a patient one goes on trying beside; else it raises StoreError."""
        try:
            await self._open(is_first=True)
        except StoreError as error:
            await self._let_go()
            if not patient or isinstance(error, SlotTakenError):
                raise
            self._note_closed(str(error))
        if patient:
            self._begin(self._watch())

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._let_go()
        await asyncio.to_thread(self.read_thread.shutdown)
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    async def examine(self) -> None:
        """Look through the database for damage that nobody has come upon yet, for a moment. Raises sqlite3.Error."""
        if self._is_open:
            try:
                self.engine.writer.check_place()
                await asyncio.to_thread(examine, self.folder, EXAMINED_S, mode="ro")
            except MovedError as error:
                self.failed(Trouble.FAILING, described(error))
            except StoreError as error:
                self.failed(Trouble.DAMAGED, str(error))
            except sqlite3.Error as error:
                if trouble(error) is not Trouble.FAILING:
                    raise
                self.failed(Trouble.FAILING, described(error))

    def failed(self, what: Trouble, error: str) -> None:
        """The database can't be trusted any more; said by whoever finds it out, on the event loop."""
        if not self._is_open:
            return
        if self._engine is not None:
            self._engine.writer.has_failed = True  # what waits is not committed any more, whoever found it out
        self._note_closed(error)

    def _note_closed(self, error: str) -> None:
        self._is_open = False
        self._closed_at = time.monotonic()
        events.spool_closed(error=error, again_in_s=AGAIN_S[0])
        self._begin(self._reopen())

    async def _open(self, *, is_first: bool) -> None:
        """Raises StoreError."""
        try:
            if not is_first and (self.folder / FILE).exists():
                await asyncio.to_thread(_verified, self.folder)
            if self._slot is None:
                await asyncio.to_thread(database.visit, self.folder)
            else:
                await asyncio.to_thread(database.prepare, self.folder, may_make=is_first or self._begin_anew)
        except DamagedError:
            await self._weigh_anchor()
            if self._slot is None or not self._begin_anew:
                raise
            await self._set_aside()
        if self._slot is not None and (self._claim is None or not self._claim.is_in_place):
            await self._claim_slot(self._slot)
        try:
            self._engine = await Engine.open(self.folder, self._room, self.read_thread, self.failed)
        except MovedError as error:
            raise StoreError(str(error)) from error
        finally:
            await self._weigh_anchor()  # `_verified` has written over that commit; and it may hold a file taken away
        try:
            await self._on_open()
        except (TemporaryError, OSError) as error:
            raise StoreError(f"{self.folder / FILE} can't be used: {error}") from error
        if self._engine.writer.has_failed:  # so soon that `failed` found nothing open
            raise StoreError(f"{self.folder / FILE} failed as soon as it was open")
        self._is_open = True

    async def _claim_slot(self, number: int) -> None:
        """Raises StoreError."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.close()
        try:
            self._claim = await asyncio.to_thread(Slot, self.folder / "slots", number)
        except OSError as error:
            raise StoreError(f"{self.folder / 'slots'} can't be used: {error.strerror}") from error

    async def _set_aside(self) -> None:
        try:
            aside = await asyncio.to_thread(set_aside, self.folder)
        except OSError as error:
            raise StoreError(f"{self.folder / FILE} is damaged and can't be set aside: {error}") from error
        if aside is not None:
            events.spool_set_aside(aside)
        await asyncio.to_thread(database.prepare, self.folder)

    async def _let_go(self) -> None:
        await self._weigh_anchor()
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close(self.read_thread)

    async def _cast_anchor(self) -> None:
        """Close the writer, and the reader only where the files are others by now."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        await engine.writer.close()
        if engine.writer.is_in_place:
            self._anchor = engine.reader
        else:
            await _close_reader(engine.reader, self.read_thread)

    async def _weigh_anchor(self) -> None:
        reader, self._anchor = self._anchor, None
        if reader is not None:
            await _close_reader(reader, self.read_thread)

    async def _reopen(self) -> None:
        """Until it is open again."""
        tries, told_at = 0, time.monotonic()
        while not self._is_open:
            pause_s = AGAIN_S[min(tries, len(AGAIN_S) - 1)]
            tries += 1
            try:
                if self._anchor is None:
                    await self._cast_anchor()
                await asyncio.sleep(pause_s)
                await self._open(is_first=False)
            except Exception as error:  # noqa: BLE001  whatever it is, the next try may go well
                if tries == 1 or time.monotonic() - told_at >= TOLD_EVERY_S:
                    told_at = time.monotonic()
                    events.spool_closed(error=_told(error), again_in_s=AGAIN_S[min(tries, len(AGAIN_S) - 1)])
        events.spool_opened(closed_s=time.monotonic() - self._closed_at)

    async def _watch(self) -> None:
        """Tell of commits that don't end."""
        slow_since = told_at = 0.0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            busy_s = self._engine.writer.busy_s if self._engine is not None else 0.0
            if busy_s >= SLOW_S and now - told_at >= TOLD_EVERY_S:
                slow_since, told_at = slow_since or now - busy_s, now
                events.spool_slow(waited_s=busy_s)
            elif slow_since and busy_s < SLOW_S:
                events.spool_swift_again(slow_s=now - slow_since)
                slow_since = told_at = 0.0

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else repr(error)


def _verified(folder: Path) -> None:
    try:
        verify(folder)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{folder / FILE} can't be trusted: {described(error)}") from error
