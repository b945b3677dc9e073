"""Servers that say nonsense, and without end: an answer within bounds, and never a final one for the message."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tracemalloc
import weakref
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
import trustme

from mta.adapters.transport.smtp_transport import SmtpTransport, session_settings
from mta.adapters.transport.targets import Target
from mta.config.delivery_schema import HopTls
from tests.servers.wait import free_port
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


UNTOLD = r"\000" * 20 + ".example"
"""A label of 20 NULs, as DNS may hold it and dnspython writes it: in this form it is longer than a label may be."""


@pytest.mark.parametrize(("mode", "reply"), [("opportunistic", "250 2.0.0"), ("required", "451 4.7.5")])
async def test_a_server_whose_name_no_certificate_can_have(
    mode: Literal["opportunistic", "required"], reply: str
) -> None:
    """An MX record names it so. Another server of the domain, or clear text, is tried as after any other handshake."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("peer.example").configure_cert(context)

    async def script(session: Session) -> None:
        await session.open("STARTTLS")
        if session.number == 1:
            await session.expect("STARTTLS", "220 go")
            await session.start_tls(context)
        await session.serve()

    async with peer(script) as server:

        async def targets() -> Sequence[Target]:
            return [Target(UNTOLD, server.port, ("127.0.0.1",))]

        settings = hop(server.port, tls=HopTls(mode=mode))
        way = SmtpTransport(settings, targets, session_settings(settings, "relay.example.com"))
        try:
            assert replies(await deliver(way)) == [reply]
        finally:
            await way.close()


async def test_messages_for_a_next_hop_that_is_left_alone_are_not_kept_in_memory() -> None:
    """Errors know by which calls they came, and so everything that these had at hand."""

    class Text(list[bytes]):
        """Segments that can be watched."""

    async def failed(way: SmtpTransport) -> weakref.ref[Text]:
        content = Text([b"Subject: x\r\n\r\n"])
        assert replies(await deliver(way, content=content)) == ["451 4.4.1"]
        return weakref.ref(content)

    async with transport(hop(free_port())) as way:
        kept = [await failed(way) for _ in range(6)]
        assert way.is_blocked("")
        gc.collect()
        assert [each() for each in kept] == [None] * 6
