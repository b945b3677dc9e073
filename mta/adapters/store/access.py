"""One process's way to the store: its threads, its keeper, and errors sorted into what callers can act on."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import ParamSpec, TypeVar

from mta import events
from mta.adapters.store.bodies import Bodies
from mta.adapters.store.errors import Trouble, as_mail_error, described, trouble
from mta.adapters.store.keeper import Keeper
from mta.adapters.store.reader import Reader
from mta.adapters.store.room import Room
from mta.adapters.store.rows import microseconds
from mta.adapters.store.writer import Writer
from mta.model.reply import INTERNAL_ERROR, MailError, TemporaryError
from mta.ports.clock import Clock
from mta.ports.spool import SpoolFullError

_BODY_THREADS = 8

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Access(ABC):
    """What the spool, the Sent Items jobs and tracking have in common."""

    def __init__(self, folder: Path, slot: int | None, room: Room, clock: Clock, *, begin_anew: bool) -> None:
        self._folder = folder = folder.absolute()
        self._slot = slot
        self._room = room
        self._clock = clock
        # The host is not part of it: one database serves one machine, whose name may change under a container.
        self._owner = f"{'admin' if slot is None else slot}:{token_hex(8)}"
        self._bodies = Bodies(folder / "bodies", self._owner)
        self._body_threads = ThreadPoolExecutor(_BODY_THREADS, "spool-body")
        self._keeper = Keeper(folder, slot, room, begin_anew=begin_anew, on_open=self._start)
        self._chores: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def _writer(self) -> Writer:
        return self._keeper.engine.writer

    @property
    def _reader(self) -> Reader:
        return self._keeper.engine.reader

    @property
    def is_usable(self) -> bool:
        """Whether it can be worked with; False while the store is closed, or its disk does not answer."""
        return self._keeper.is_usable()

    @abstractmethod
    async def _start(self) -> None:
        """Each time when the database has been opened. Leases that this process has had stay its own."""

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for chore in tuple(self._chores):
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self._keeper.close()
        await asyncio.to_thread(self._body_threads.shutdown)

    def _begin(self, chore: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(_quietly(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _read(self, read: Callable[[], Value]) -> Value:
        try:
            return await _in_thread(self._keeper.read_thread, read)
        except sqlite3.Error as error:
            what = trouble(error)
            if what in (Trouble.DAMAGED, Trouble.FAILING):
                self._keeper.failed(what, described(error))
            else:
                events.internal_error("spool-reader", error=repr(error))
            raise TemporaryError(INTERNAL_ERROR) from error

    async def _look(self, look: Callable[[sqlite3.Cursor], Value]) -> Value:
        """What it gives of one state of the database."""

        def read() -> Value:
            with self._reader.snapshot() as cursor:
                return look(cursor)

        return await self._read(read)

    async def _on_body_thread(
        self, call: Callable[Arguments, Value], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        try:
            return await _in_thread(self._body_threads, lambda: call(*args, **kwargs))
        except OSError as error:
            mail_error = as_mail_error(error)
            if isinstance(mail_error, SpoolFullError):
                self._room.note_full()
            else:
                events.internal_error("spool-body", error=repr(error))
            raise mail_error from error

    async def _discard(self, paths: Sequence[Path]) -> None:
        if paths:
            await self._on_body_thread(self._bodies.remove, paths)

    def _paths(self, files: Sequence[str]) -> list[Path]:
        return [self._bodies.folder / file for file in files]

    def _now(self) -> int:
        return microseconds(self._clock.now())


async def _in_thread(threads: Executor, call: Callable[[], Value]) -> Value:
    return await asyncio.get_running_loop().run_in_executor(threads, call)


async def _quietly(chore: Callable[[], Awaitable[None]]) -> None:
    """A chore's failure is nobody's answer: it is logged."""
    try:
        await chore()
    except (MailError, OSError, sqlite3.Error) as error:
        events.internal_error("spool-chore", error=repr(error))
