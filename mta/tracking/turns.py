"""What the process may have in hand at a time, over all mailboxes and targets."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime

LARGE_OCTETS = 5_000_000
"""Of such messages one is worked on at a time: reading one takes several times its size."""
MESSAGES, TASKS = "messages", "tasks"
"""Kinds of work."""


class Turns:
    """Everybody at once, but for large messages. While cautious one message or task at a time, so that only what kills
    us is begun and not ended when we die again."""

    def __init__(self, *kinds: str) -> None:
        """`kinds`: of the work that there is."""
        self._kinds = kinds
        self._cautious: set[str] = set()
        self.cautious_since = datetime.min.replace(tzinfo=UTC)
        self._large = asyncio.Lock()
        self._one = asyncio.Lock()

    @property
    def is_cautious(self) -> bool:
        return bool(self._cautious)

    def be_cautious(self, now: datetime) -> None:
        """Until all work that waits now was in hand once."""
        self._cautious, self.cautious_since = set(self._kinds), now

    def went_through(self, kind: str) -> None:
        """All work of this kind that waited was in hand."""
        self._cautious.discard(kind)

    def of_message(self, size_octets: int) -> AbstractAsyncContextManager[None]:
        """0 where its size isn't known."""
        if self.is_cautious:
            return self._one
        return self._large if size_octets >= LARGE_OCTETS else nullcontext()

    def of_task(self) -> AbstractAsyncContextManager[None]:
        return self._one if self.is_cautious else nullcontext()
