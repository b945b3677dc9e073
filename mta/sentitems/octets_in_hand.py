"""A bound on the messages that are worked on at a time, by their size."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class OctetsInHand:
    """Who asks first comes first, so that large messages are not overtaken for ever; one alone may be of any size."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def some(self, octets: int) -> AsyncIterator[None]:
        """So many, for as long as the context lasts."""
        octets = min(octets, self._most)
        await self._take(octets)
        try:
            yield
        finally:
            self._give_back(octets)

    async def _take(self, octets: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((octets, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(octets)
            else:
                with suppress(ValueError):
                    self._queue.remove((octets, turn))
                self._admit()
            raise

    def _give_back(self, octets: int) -> None:
        self._taken -= octets
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._taken + self._queue[0][0] <= self._most:
            octets, turn = self._queue.popleft()
            if not turn.cancelled():
                self._taken += octets
                turn.set_result(None)
