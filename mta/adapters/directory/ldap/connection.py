"""One connection to an LDAP server: TCP, TLS, bind, then searches, several at a time. Every wait is bounded."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from mta.adapters.directory.cache import SourceError
from mta.adapters.directory.ldap.ber import BerError
from mta.adapters.directory.ldap.protocol import (
    Code,
    Entry,
    Incoming,
    Message,
    Result,
    Search,
    bind_request,
    search_request,
    start_tls_request,
    unbind_request,
)

ENTRIES_MAX = 100_000
"""Entries of one search that are held at once; where there may be more, it is made by pages."""
ANSWER_OCTETS_MAX = 200_000_000
"""Of one search's entries: a page of the largest size whose entries all have the largest photo takes half of that."""
PAGES_MAX = 100_000
"""Of one listing: a server that always has another page is not believed."""
CLOSE_S = 1.0
_EMPTY = frozenset((Code.NO_SUCH_OBJECT, Code.REFERRAL, Code.INVALID_DN))
_PARTIAL = frozenset((Code.SUCCESS, Code.SIZE_LIMIT_EXCEEDED))
_NO_TIME = frozenset((Code.BUSY, Code.UNAVAILABLE))
_AD_REASON = re.compile(r"\bdata ([0-9a-f]{3,8})\b")
_AD_REASONS = {
    "525": "no such account", "52e": "wrong password", "530": "not at this hour", "531": "not from this machine",
    "532": "the password has expired", "533": "the account is disabled", "701": "the account has expired",
    "773": "the password must be changed", "775": "the account is locked",
}  # fmt: skip


class LdapError(SourceError):
    """The server can't be reached or used; the text says why, without any value."""


class LdapRefusedError(LdapError):
    """The server is there, and refuses this operation."""


class LdapCredentialsError(LdapRefusedError):
    """It refuses the account or its password; another server of the domain would, too."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and how to talk to it."""

    host: str
    port: int
    tls: Literal["ldaps", "starttls", "none"]
    tls_context: ssl.SSLContext | None
    verify_name: str
    connect_timeout_s: float
    answer_timeout_s: float

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True, eq=False)
class _Operation:
    done: asyncio.Future[Result]
    entries: list[Entry] = field(default_factory=list)
    octets: int = 0


class LdapConnection(asyncio.Protocol):
    """Made by `open`, which has bound it; gone for good after the first failure."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._incoming = Incoming()
        self._operations: dict[int, _Operation] = {}
        self._last_id = 0
        self._lost: LdapError | None = None
        self._drained: asyncio.Event | None = None
        self._gone = asyncio.Event()
        self.is_at_fault = False
        """Whether it is gone because the server was silent, or has no time for us."""

    @classmethod
    async def open(cls, endpoint: Endpoint, name: str, password: bytes) -> LdapConnection:
        """Connect, verify and bind. Raises LdapError, within twice the time-outs at most."""
        connection = cls(endpoint)
        try:
            async with asyncio.timeout(endpoint.connect_timeout_s):
                await connection._connect()
            await connection._bind(name, password)
        except TimeoutError as exc:
            connection.abort()
            raise LdapError(f"no connection within {endpoint.connect_timeout_s:g} s") from exc
        except ssl.SSLCertVerificationError as exc:
            connection.abort()
            raise LdapError(f"certificate not accepted: {exc.verify_message}") from exc
        except (OSError, ssl.SSLError) as exc:
            connection.abort()
            raise LdapError(f"cannot connect: {exc.strerror or type(exc).__name__}") from exc
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _connect(self) -> None:
        endpoint = self.endpoint
        context = endpoint.tls_context if endpoint.tls == "ldaps" else None
        transport, _ = await self._loop.create_connection(
            lambda: self, endpoint.host, endpoint.port, ssl=context,
            server_hostname=endpoint.verify_name if context is not None else None,
        )  # fmt: skip
        self._transport = transport
        _watch(transport)
        if endpoint.tls == "starttls":
            await self._start_tls()

    async def _start_tls(self) -> None:
        message_id = self._next_id()
        result = (await self._ask(message_id, start_tls_request(message_id)))[0]
        if result.code != Code.SUCCESS:
            raise LdapRefusedError(f"StartTLS refused: {_said(result)}")
        endpoint, transport = self.endpoint, self._transport
        assert endpoint.tls_context is not None
        assert transport is not None
        # Octets that came with the answer, in clear text, would pass for the server's: anybody may have sent them.
        self._incoming = Incoming()
        upgraded = await self._loop.start_tls(
            transport, self, endpoint.tls_context, server_hostname=endpoint.verify_name
        )
        self._transport = cast("asyncio.Transport", upgraded)

    async def _bind(self, name: str, password: bytes) -> None:
        message_id = self._next_id()
        result = (await self._ask(message_id, bind_request(message_id, name, password)))[0]
        if result.code == Code.INVALID_CREDENTIALS:
            raise LdapCredentialsError(f"bind refused: {_said(result)}")
        if result.code != Code.SUCCESS:
            raise LdapRefusedError(f"bind refused: {_said(result)}")

    # --- searching ----------------------------------------------------------------------------------------------------

    async def search(self, search: Search) -> list[Entry]:
        """All entries of a search without pages. Raises LdapError; what doesn't exist has no entries."""
        return (await self._search(search))[1]

    async def pages(self, search: Search) -> AsyncIterator[list[Entry]]:
        """The entries page by page. Raises LdapError, on the way too."""
        for _ in range(PAGES_MAX):
            result, entries = await self._search(search)
            yield entries
            if not result.cookie:
                return
            search = replace(search, cookie=result.cookie)
        raise LdapError(f"more than {PAGES_MAX} pages in one listing")

    async def _search(self, search: Search) -> tuple[Result, list[Entry]]:
        message_id = self._next_id()
        limit_s = max(1, int(self.endpoint.answer_timeout_s))
        result, entries = await self._ask(message_id, search_request(message_id, search, limit_s))
        if result.code in _EMPTY:
            return Result(Code.SUCCESS, ""), []
        if result.code in _NO_TIME:
            error = LdapError(f"the server has no time for us: {_said(result)}")
            self.is_at_fault = True
            self.abort(error)
            raise error
        if result.code not in _PARTIAL:
            raise LdapRefusedError(f"search refused: {_said(result)}")
        return result, entries

    async def _ask(self, message_id: int, request: bytes) -> tuple[Result, list[Entry]]:
        if self._lost is not None or self._transport is None:
            raise self._lost or LdapError("not connected")
        operation = _Operation(self._loop.create_future())
        self._operations[message_id] = operation
        self._transport.write(request)
        try:
            async with asyncio.timeout(self.endpoint.answer_timeout_s):
                return await operation.done, operation.entries
        except TimeoutError as exc:
            # A server that doesn't answer one question in time is not asked another one over this connection.
            error = LdapError(f"no answer within {self.endpoint.answer_timeout_s:g} s")
            self.is_at_fault = True
            self.abort(error)
            raise error from exc
        finally:
            self._operations.pop(message_id, None)
            if self._drained is not None and not self._operations:
                self._drained.set()

    def _next_id(self) -> int:
        self._last_id = self._last_id % 0x7FFFFFFE + 1
        return self._last_id

    # --- the protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._incoming.feed(data):
                self._take(message)
        except BerError as exc:
            self.abort(LdapError(f"the server sends {exc}"))

    def _take(self, message: Message) -> None:
        content = message.content
        if message.id == 0 and isinstance(content, Result):
            self.abort(LdapError(f"the server hangs up: {_said(content)}"))
            return
        operation = self._operations.get(message.id)
        if operation is None or operation.done.done():
            return
        if isinstance(content, Result):
            operation.done.set_result(content)
        elif isinstance(content, Entry):
            operation.entries.append(content)
            operation.octets += message.octets
            if len(operation.entries) > ENTRIES_MAX:
                self.abort(LdapError(f"more than {ENTRIES_MAX} entries in one answer"))
            elif operation.octets > ANSWER_OCTETS_MAX:
                self.abort(LdapError(f"more than {ANSWER_OCTETS_MAX // 1_000_000} MB in one answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(LdapError("the server closed the connection"))
        self._gone.set()

    @property
    def is_usable(self) -> bool:
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    async def close(self) -> None:
        """Say goodbye and close; what is being asked fails."""
        if self._transport is None:
            return
        if self.is_usable:
            self._transport.write(unbind_request(self._next_id()))
            self._fail(LdapError("closed"))
            self._transport.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()

    async def close_when_idle(self) -> None:
        """Close as soon as what is being asked has its answers."""
        if self._operations:
            self._drained = asyncio.Event()
            await self._drained.wait()
        await self.close()

    def abort(self, error: LdapError | None = None) -> None:
        """Drop the connection at once."""
        self._fail(error or LdapError("closed"))
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: LdapError) -> None:
        self._lost = self._lost or error
        for operation in self._operations.values():
            if not operation.done.done():
                operation.done.set_exception(self._lost)
                operation.done.exception()  # nobody may be left to ask for it


def _watch(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice when the server is gone without a word, as a firewall's forgetting of us is."""
    connected = transport.get_extra_info("socket")
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), 60),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", None), 10),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", None), 3),
    ):
        if option is not None:
            with suppress(OSError):
                connected.setsockopt(level, option, value)


def _said(result: Result) -> str:
    """Why, in words: Active Directory's reason where it gives one, else the code; the server's text may hold names."""
    reason = _AD_REASON.search(result.text)
    if reason is not None and reason[1] in _AD_REASONS:
        return _AD_REASONS[reason[1]]
    words = {Code.INVALID_CREDENTIALS: "wrong account or password", Code.TIME_LIMIT_EXCEEDED: "it takes too long"}
    return words.get(cast("Code", result.code), f"LDAP result {result.code}")
