"""One connection at a time, for as long as a session lasts; used in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from mta.adapters.mailbox.stream import Stream
from mta.ports.mailbox import ItemGoneError, QuotaError, RefusedError

T = TypeVar("T")
_HARMLESS = (ItemGoneError, QuotaError, RefusedError)
"""What a connection says that is none the worse for it."""


class Connection(Protocol):
    @property
    def is_broken(self) -> bool:
        """It can't be used any more, though what was raised doesn't say so."""
        ...

    def close(self) -> None:
        """At once, without a word."""
        ...


C = TypeVar("C", bound=Connection)


class Session(Generic[C]):
    """After what broke its connection, the next call begins with a new one.

    `connect` raises MailboxError; it tells of the stream as soon as that is open.
    """

    def __init__(self, connect: Callable[[Callable[[Stream], None]], C], *, name: str) -> None:
        self._connect = connect
        self._connection: C | None = None
        self._stream: Stream | None = None
        """The last one that was opened."""
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[C], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def end(self, farewell: Callable[[C], None]) -> None:
        """With a last word, if there is a connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end, farewell)

    def close(self) -> None:
        """Work under way breaks off."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._stream is not None:
            self._stream.break_off()
        self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)

    # --- in its thread ------------------------------------------------------------------------------------------------

    def _work(self, work: Callable[[C], T]) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(self._opened)
        try:
            return work(connection)
        except _HARMLESS:
            if connection.is_broken:
                self._drop()
            raise
        except BaseException:
            self._drop()
            raise

    def _opened(self, stream: Stream) -> None:
        self._stream = stream
        if self._is_closed:
            stream.break_off()

    def _end(self, farewell: Callable[[C], None]) -> None:
        if self._connection is None:
            return
        try:
            farewell(self._connection)
        finally:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
