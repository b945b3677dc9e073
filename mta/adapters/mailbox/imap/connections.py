"""A few signed-in connections, each for one mailbox, kept for a short while after use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mta.adapters.mailbox.imap.client import Client
from mta.ports.mailbox import AccessDeniedError, ConflictError, ItemGoneError, QuotaError, RefusedError

KEPT_S = 30.0
_FRESH_S = 2.0
"""Used again so soon, it is taken to be there still."""
_HARMLESS = (ItemGoneError, ConflictError, AccessDeniedError, QuotaError, RefusedError)
"""What a connection says that is none the worse for it."""


@dataclass
class _Kept:
    client: Client
    since: float


class Connections:
    """For any thread. `open_for` connects and signs in, and raises MailboxError."""

    def __init__(self, most: int, open_for: Callable[[str], Client]) -> None:
        self._most = most
        self._open_for = open_for
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self._opening = 0
        self._in_use: set[Client] = set()
        self._is_closed = False

    @contextmanager
    def to(self, mailbox: str) -> Iterator[Client]:
        """Used by nobody else meanwhile. After what broke it, it is not kept."""
        client = self._again(mailbox) or self._open(mailbox)
        try:
            yield client
        except _HARMLESS:
            self._keep(mailbox, client)
            raise
        except BaseException:
            self._end(client)
            raise
        self._keep(mailbox, client)

    def drop_idle(self) -> bool:
        """Close those that nobody has used for a while; whether others are left."""
        with self._lock:
            old = [mailbox for mailbox, kept in self._kept.items() if time.monotonic() - kept.since > KEPT_S]
            dropped = [self._kept.pop(mailbox) for mailbox in old]
            is_left = bool(self._kept)
        for kept in dropped:
            kept.client.close()
        return is_left

    def close(self) -> None:
        """Those in use break off, or a server that says nothing would hold us up at the end."""
        with self._lock:
            self._is_closed = True
            dropped = list(self._kept.values())
            self._kept.clear()
            for client in self._in_use:
                client.break_off()
        for kept in dropped:
            kept.client.close()

    def _again(self, mailbox: str) -> Client | None:
        with self._lock:
            kept = self._kept.pop(mailbox, None)
            if kept is not None:
                self._in_use.add(kept.client)
        if kept is None:
            return None
        if time.monotonic() - kept.since < _FRESH_S or kept.client.is_alive():
            return kept.client
        self._end(kept.client)
        return None

    def _open(self, mailbox: str) -> Client:
        """Others, unused for longest, make room for it."""
        dropped = []
        with self._lock:
            self._opening += 1
            while self._kept and self._opening + len(self._in_use) + len(self._kept) > self._most:
                dropped.append(self._kept.pop(next(iter(self._kept))))
        for kept in dropped:
            kept.client.close()
        client = None
        try:
            client = self._open_for(mailbox)
        finally:
            with self._lock:
                self._opening -= 1
                if client is not None:
                    self._in_use.add(client)
        return client

    def _keep(self, mailbox: str, client: Client) -> None:
        with self._lock:
            is_wanted = not self._is_closed and mailbox not in self._kept
            if is_wanted:
                self._in_use.discard(client)
                self._kept[mailbox] = _Kept(client, time.monotonic())
        if not is_wanted:
            self._end(client)

    def _end(self, client: Client) -> None:
        with self._lock:
            self._in_use.discard(client)
        client.close()
