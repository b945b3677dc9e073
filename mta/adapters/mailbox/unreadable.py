"""Messages at which a server fails each time: some that it can't convert, a bad block on its disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mta.ports.mailbox import EndpointDownError, MailboxUnavailableError, RefusedError

TRIES = 3
_KEPT = 1000


class Unreadable:
    """Counts how often reading a message broke off; the third time it is the message's own fault. One thread's."""

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}

    @contextmanager
    def reading(self, ref: str) -> Iterator[None]:
        """Raises RefusedError in place of what went wrong when that is the third time for this message."""
        try:
            yield
        except (MailboxUnavailableError, EndpointDownError) as exc:
            tries = self._failed.pop(ref, 0) + 1
            if tries >= TRIES:
                raise RefusedError("unreadable", f"the server failed at it {TRIES} times: {exc}"[:200]) from exc
            while len(self._failed) >= _KEPT:
                del self._failed[next(iter(self._failed))]
            self._failed[ref] = tries
            raise
        self._failed.pop(ref, None)
