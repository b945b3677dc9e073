"""Servers that say nonsense, and without end: an answer within bounds, and never a final one for the message."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.adapters.transport.peer import Session, deliver, hop, peer, replies, transport

Script = Callable[[Session], Coroutine[Any, Any, None]]


def endless(octets: bytes, *, after: int = 0) -> Script:
    """Says the same again and again, from the greeting on or after so many commands."""

    async def script(session: Session) -> None:
        if after == 1:
            session.say("220 peer.example")
        elif after == 2:
            await session.open("PIPELINING")
        if after:
            await session.command()
        while True:
            session.writer.write(octets * (65536 // len(octets)))
            await session.writer.drain()

    return script


def dialogue(*turns: str) -> Script:
    """Says each turn, and waits for a command after each; `|` is a line end."""

    async def script(session: Session) -> None:
        for turn in turns:
            session.writer.write(turn.replace("|", "\r\n").encode("latin-1") + b"\r\n")
            await session.command()

    return script


HELLO = ("220 peer.example", "250 peer.example")
CASES: dict[str, tuple[Script, str]] = {
    "one-endless-line": (endless(b"2"), "451 4.5.0"),
    "endless-lines-in-the-greeting": (endless(b"220-x\r\n"), "451 4.5.0"),
    "endless-lines-in-ehlo": (endless(b"250-X\r\n", after=1), "451 4.5.0"),
    "endless-replies": (endless(b"250 ok\r\n", after=2), "451 4.5.0"),
    "endless-nul": (endless(b"\0"), "451 4.5.0"),
    "not-smtp": (dialogue("HTTP/1.1 400 Bad Request"), "451 4.5.0"),
    "two-codes-in-one-reply": (dialogue("220-a|250 b"), "451 4.5.0"),
    "354-to-rcpt": (dialogue(*HELLO, "250 ok", "354 go"), "451 4.5.0"),
    "334-to-mail": (dialogue(*HELLO, "334 abc"), "451 4.5.0"),
    "250-to-data": (dialogue(*HELLO, "250 ok", "250 ok", "250 done"), "451 4.5.0"),
    "an-answer-too-many": (dialogue(*HELLO, "250 ok|250 ok|250 ok|250 ok"), "451 4.5.0"),
    "554-at-the-greeting": (dialogue("554 5.7.1 you are listed"), "451 4.3.2"),
    "554-to-ehlo-and-helo": (dialogue("220 x", "554 no", "554 no"), "451 4.3.2"),
    "421-to-ehlo": (dialogue("220 x", "421 4.3.2 later"), "421 4.3.2"),
    "421-to-mail": (dialogue(*HELLO, "421 4.4.2 bye"), "421 4.4.2"),
    "421-to-rcpt": (dialogue(*HELLO, "250 ok", "421 4.4.2 bye"), "421 4.4.2"),
    "421-to-data": (dialogue(*HELLO, "250 ok", "250 ok", "421 4.4.2 bye"), "421 4.4.2"),
}


@pytest.mark.parametrize("name", CASES)
async def test_nonsense_ends_in_a_deferral_within_bounds(name: str) -> None:
    script, reply = CASES[name]
    tracemalloc.start()
    try:
        async with peer(script) as server, transport(hop(server.port)) as way:
            assert replies(await deliver(way)) == [reply]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_lines_that_trickle_in_are_not_waited_for_without_end() -> None:
    async def script(session: Session) -> None:
        while True:
            session.say("220-wait")
            await session.writer.drain()
            await asyncio.sleep(0.05)

    async with peer(script) as server, transport(hop(server.port, reply_timeout=timedelta(milliseconds=200))) as way:
        assert replies(await deliver(way)) == ["451 4.4.2"]


async def test_nul_in_replies_is_only_text() -> None:
    async def script(session: Session) -> None:
        session.say("220 \0peer")
        await session.hello("SIZE \0", "X\0Y")
        await session.serve(end="250 2.0.0 \0taken")

    async with peer(script) as server, transport(hop(server.port)) as way:
        [result] = await deliver(way)
        assert str(result.reply) == "250 2.0.0 ?taken"


async def test_what_comes_after_the_250_changes_nothing_and_ends_the_connection() -> None:
    async def script(session: Session) -> None:
        await session.open()
        for verb, answer in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            await session.expect(verb, answer)
        await session.content()
        session.say("250 2.0.0 taken\r\n550 5.0.0 or not")
        await session.reader.read()

    async def polite(session: Session) -> None:
        await session.open()
        await session.serve()

    async with peer(script, polite) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert len(server.sessions) == 2
