"""The directory against servers that are busy, endless, or say nonsense."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from mta.adapters.directory.ldap import connection
from mta.adapters.directory.ldap.ber import element, integer, number, text, tlv
from mta.adapters.directory.ldap.directory import LdapDirectory
from mta.config import directory_schema as schema
from mta.ports.directory import DirectoryDownError
from tests.unit.adapters.directory.ldap.test_protocol import done_message, entry_message

BIND, SEARCH = 0x60, 0x63
JANE = "jane@example.com"
PERSON = {"objectClass": [b"user"], "mail": [JANE.encode()]}
Answer = Callable[[int, int], Iterable[bytes]]
"""(message number, tag of the operation) → what the server sends, piece by piece."""


def bound(message: int, code: int = 0) -> bytes:
    return tlv(0x30, integer(message), tlv(0x61, integer(code, 0x0A), text(""), text("")))


def saying(*, code: int = 0, **attributes: list[bytes]) -> Answer:
    """A server that has one entry, and ends every search so."""

    def answer(message: int, operation: int) -> Iterator[bytes]:
        if operation == BIND:
            yield bound(message)
        elif operation == SEARCH:
            if not code:
                yield entry_message(message, "CN=Jane,DC=x", {**PERSON, **attributes})
            yield done_message(message, code)

    return answer


@asynccontextmanager
async def served(*answers: Answer, **settings: Any) -> AsyncIterator[LdapDirectory]:
    """A directory that is asked of these servers, the first before the next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        try:
            while head := await reader.readexactly(2):
                length = head[1]
                if length & 0x80:
                    length = int.from_bytes(await reader.readexactly(length & 0x7F), "big")
                body = await reader.readexactly(length)
                _, start, end = element(body, 0, len(body))
                for piece in answer(number(body, start, end), body[end]):
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with AsyncExitStack() as stack:
        ports = []
        for answer in answers:
            server = await asyncio.start_server(lambda r, w, a=answer: serve(r, w, a), "127.0.0.1", 0)  # type: ignore[misc]
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        directory = LdapDirectory(schema.LdapDirectory.model_validate({
            "kind": "ldap", "servers": [{"host": "127.0.0.1", "port": port} for port in ports], "tls": {"mode": "none"},
            "bases": ["DC=x"], **settings,
        }))  # fmt: skip
        stack.push_async_callback(directory.close)
        yield directory


@pytest.mark.parametrize("code", [51, 52], ids=["busy", "unavailable"])
async def test_a_server_that_is_busy_is_left_for_the_next(code: int) -> None:
    async with served(saying(code=code), saying()) as directory:
        assert set(await directory.people([JANE])) == {JANE}


async def test_an_answer_without_end_does_not_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_OCTETS_MAX", 10_000_000)

    def endless(message: int, operation: int) -> Iterator[bytes]:
        if operation == BIND:
            yield bound(message)
        large = entry_message(message, "CN=x", {**PERSON, "info": [bytes(1_000_000)]})
        while operation == SEARCH:
            yield large

    async with served(endless, cache={"wait": "20s"}) as directory:
        tracemalloc.start()
        try:
            with pytest.raises(DirectoryDownError):
                await directory.people([JANE])
            assert tracemalloc.get_traced_memory()[1] < 40_000_000
        finally:
            tracemalloc.stop()


async def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PAGES_MAX", 20)

    def endless(message: int, operation: int) -> Iterator[bytes]:
        if operation == BIND:
            yield bound(message)
        elif operation == SEARCH:
            yield entry_message(message, "CN=Jane,DC=x", PERSON)
            yield done_message(message, cookie=b"again")

    async with served(endless) as directory:
        with pytest.raises(DirectoryDownError):
            async for _ in directory.everybody():
                pass


@pytest.mark.parametrize("control", [b"--2", b"9" * 5000, b"\xff"])
async def test_one_senseless_entry_does_not_spoil_the_answer(control: bytes) -> None:
    async with served(saying(userAccountControl=[control])) as directory:
        assert not (await directory.people([JANE]))[JANE].disabled


async def test_an_address_that_two_have_is_the_active_ones_after_a_preload_too() -> None:
    def twice(message: int, operation: int) -> Iterator[bytes]:
        if operation == BIND:
            yield bound(message)
        elif operation == SEARCH:
            for name, control in ((b"New", b"512"), (b"Gone", b"514")):
                attributes = {**PERSON, "displayName": [name], "userAccountControl": [control]}
                yield entry_message(message, f"CN={name.decode()},DC=x", attributes)
            yield done_message(message)

    async with served(twice, preload=True) as directory:
        assert (await directory.people([JANE]))[JANE].attributes["displayName"] == "New"
        await directory.start()
        assert directory._preloading is not None
        await directory._preloading
        assert (await directory.people([JANE]))[JANE].attributes["displayName"] == "New"
