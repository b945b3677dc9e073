"""Entries that others name by their distinguished names: groups, managers. Each is read once and remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from mta.adapters.directory.ldap.connection import LdapError
from mta.adapters.directory.ldap.protocol import Entry, Scope, Search
from mta.adapters.directory.ldap.servers import LdapServers
from mta.model.ldap_filter import Present

T = TypeVar("T")
REMEMBERED_MAX = 100_000
_AT_ONCE = 16
_AGAIN_AFTER_S = 60.0


class EntriesByName(Generic[T]):
    """What is made of the entries, each for `ttl_s`. `make` gets the name, and None where there is no such entry."""

    def __init__(
        self, servers: LdapServers, attributes: tuple[str, ...], make: Callable[[str, Entry | None], T], ttl_s: float
    ) -> None:
        self._servers = servers
        self._attributes = attributes
        self._make = make
        self._ttl_s = ttl_s
        self._known: dict[str, tuple[T, float]] = {}
        """By the name in lower case; the time is when it has to be read again."""
        self._reading: asyncio.Lock | None = None

    async def get(self, names: Iterable[str]) -> dict[str, T]:
        """By the names as given. Raises LdapError where one can't be read and wasn't before."""
        now = time.monotonic()
        found: dict[str, T] = {}
        due: list[str] = []
        for name in names:
            known = self._known.get(name.lower())
            if known is not None and now <= known[1]:
                found[name] = known[0]
            else:
                due.append(name)
        return found | await self._read(due) if due else found

    def remember(self, name: str, value: T) -> None:
        """What is known without asking."""
        self._known[name.lower()] = (value, time.monotonic() + self._ttl_s)

    async def _read(self, due: list[str]) -> dict[str, T]:
        if self._reading is None:
            self._reading = asyncio.Lock()
        found: dict[str, T] = {}
        async with self._reading:  # who waited finds most of what it wanted read already
            now = time.monotonic()
            still = [name for name in due if (known := self._known.get(name.lower())) is None or now > known[1]]
            for start in range(0, len(still), _AT_ONCE):
                names = still[start : start + _AT_ONCE]
                found |= dict(zip(names, await asyncio.gather(*map(self._read_one, names)), strict=True))
            found |= {name: self._known[name.lower()][0] for name in due if name not in found}
            while len(self._known) > REMEMBERED_MAX:
                del self._known[next(iter(self._known))]
        return found

    async def _read_one(self, name: str) -> T:
        search = Search(name, Scope.BASE, Present("objectClass"), self._attributes, limit=1)
        try:
            entries = await self._servers.search(search)
        except LdapError:
            known = self._known.get(name.lower())
            if known is None:
                raise
            # What was so a while ago is better than nothing.
            self._known[name.lower()] = (known[0], time.monotonic() + _AGAIN_AFTER_S)
            return known[0]
        value = self._make(name, entries[0] if entries else None)
        self.remember(name, value)
        return value
