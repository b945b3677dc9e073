"""How many messages are in hand at a time, over all mailboxes."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

LARGE_OCTETS = 5_000_000
"""Of such messages one is worked on at a time: reading one takes several times its size."""


class Turns:
    """Everybody at once, but for large messages. While cautious one message at a time, so that only the message that
    kills us is begun and not ended when we die again."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()
        self._one = asyncio.Lock()
        self.is_cautious = False

    def of(self, size_octets: int) -> AbstractAsyncContextManager[None]:
        """A message's; 0 where its size isn't known."""
        if self.is_cautious:
            return self._one
        return self._large if size_octets >= LARGE_OCTETS else nullcontext()
