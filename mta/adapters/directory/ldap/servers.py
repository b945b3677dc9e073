"""Several servers of one domain: one kept connection, to the first of them that answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from mta import events
from mta.adapters.directory.ldap.connection import Endpoint, LdapConnection, LdapCredentialsError, LdapError
from mta.adapters.directory.ldap.connection import LdapRefusedError as LdapRefusedError
from mta.adapters.directory.ldap.protocol import Entry, Search

REFUSED_PAUSE_S = 300.0
"""After a refused password. Domains lock an account after some failures, and workers are many."""
_FIRST_PAUSE_S = 1.0

Credentials = Callable[[], tuple[str, bytes]]
"""Name and password, read anew for each bind, so that a changed secret counts at once. Raises OSError or KeyError."""


@dataclass(slots=True, eq=False)
class _Server:
    endpoint: Endpoint
    failures: int = 0
    blocked_until: float = 0.0


class LdapServers:
    """Searches, on whichever server answers. After failures it pauses, and fails at once in the meantime."""

    def __init__(self, endpoints: Sequence[Endpoint], credentials: Credentials, retry_after_s: float) -> None:
        self._servers = [_Server(endpoint) for endpoint in endpoints]
        self._credentials = credentials
        self._retry_after_s = retry_after_s
        self._connection: LdapConnection | None = None
        self._connecting: asyncio.Lock | None = None
        self._failing_back: asyncio.Task[None] | None = None
        self._fail_back_at = 0.0
        self._refused: tuple[str, bytes] | None = None
        self._error = LdapError("no server answers")

    async def search(self, search: Search) -> list[Entry]:
        """All entries of a search without pages. Raises LdapError."""
        connection = await self._usable()
        try:
            return await connection.search(search)
        except LdapRefusedError:
            raise
        except LdapError as exc:
            # A kept connection may be dead for a while, so this counts against the server only if it is at fault.
            if connection.is_at_fault:
                self._failed(self._server_of(connection), exc)
            return await (await self._usable()).search(search)

    async def pages(self, search: Search) -> AsyncIterator[list[Entry]]:
        """The entries page by page. Raises LdapError, on the way too: a cookie is worth nothing on another server."""
        connection = await self._usable()
        async for entries in connection.pages(search):
            yield entries

    async def close(self) -> None:
        """Close the connection; the next search opens one again."""
        task, self._failing_back = self._failing_back, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # --- connecting ---------------------------------------------------------------------------------------------------

    async def _usable(self) -> LdapConnection:
        connection = self._connection
        if connection is not None and connection.is_usable:
            self._maybe_fail_back(connection)
            return connection
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._connection is None or not self._connection.is_usable:
                self._connection = await self._open(self._servers)
            return self._connection

    async def _open(self, servers: Sequence[_Server]) -> LdapConnection:
        """A connection to the first that answers. Raises LdapError."""
        try:
            credentials = self._credentials()
        except (OSError, KeyError) as exc:
            raise LdapError("the password can't be read") from exc
        if credentials != self._refused:
            self._refused = None
        for server in servers:
            pausing = server.blocked_until > time.monotonic()
            if pausing and (server.failures or self._refused is not None):
                continue
            try:
                connection = await LdapConnection.open(server.endpoint, *credentials)
            except LdapCredentialsError as exc:
                self._refuse(server, exc, credentials)
                raise
            except LdapError as exc:
                self._failed(server, exc)
                continue
            self._answers(server)
            return connection
        raise self._error

    def _answers(self, server: _Server) -> None:
        if server.failures:
            events.directory_server_back(str(server.endpoint))
        server.failures, server.blocked_until = 0, 0.0
        self._fail_back_at = time.monotonic() + self._retry_after_s

    def _failed(self, server: _Server, exc: LdapError) -> None:
        self._error = exc
        server.failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(server.failures - 1, 10), self._retry_after_s)
        server.blocked_until = time.monotonic() + pause_s
        events.directory_server_failed(str(server.endpoint), error=str(exc), again_in_s=pause_s)

    def _refuse(self, server: _Server, exc: LdapError, credentials: tuple[str, bytes]) -> None:
        """Nobody is asked with this password for a while, unless it changes."""
        self._error, self._refused = exc, credentials
        for each in self._servers:
            each.blocked_until = time.monotonic() + REFUSED_PAUSE_S
        events.directory_server_failed(str(server.endpoint), error=str(exc), again_in_s=REFUSED_PAUSE_S)

    def _server_of(self, connection: LdapConnection) -> _Server:
        return next(server for server in self._servers if server.endpoint is connection.endpoint)

    def _maybe_fail_back(self, connection: LdapConnection) -> None:
        """After a while on another server than the first, try those before it, beside what goes on."""
        better = self._servers[: self._servers.index(self._server_of(connection))]
        if better and time.monotonic() >= self._fail_back_at and self._failing_back is None:
            self._fail_back_at = time.monotonic() + self._retry_after_s
            self._failing_back = asyncio.create_task(self._fail_back(better))

    async def _fail_back(self, better: Sequence[_Server]) -> None:
        try:
            connection = await self._open(better)
        except LdapError:
            return
        finally:
            self._failing_back = None
        former, self._connection = self._connection, connection
        if former is not None:
            await former.close_when_idle()
