"""The window in which a message can arrive twice (RFC 1047): no patience but the protocol's own makes it wider."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from mta.adapters.transport.client_tls import ClientTls
from mta.adapters.transport.smtp_commands import Transaction
from mta.adapters.transport.smtp_connection import Content, SessionSettings, SmtpConnection
from mta.adapters.transport.smtp_protocol import SmtpSession
from mta.config.delivery_schema import HopTls
from mta.model.address import parse_address
from tests.unit.adapters.transport.peer import Session, deliver, hop, leap, peer, replies, transport


async def test_who_has_the_whole_message_is_waited_for_beyond_the_callers_patience() -> None:
    """A caller that got its turn late would else send the same message again, and again."""

    async def slow(session: Session) -> None:
        await session.open("PIPELINING")
        for verb, answer in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            await session.expect(verb, answer)
        await session.content()
        leap(30)
        await asyncio.sleep(0.05)  # time for the caller's patience to make itself felt
        session.say("250 2.0.0 taken")

    async with peer(slow) as server, transport(hop(server.port, reply_timeout=timedelta(hours=1))) as way:
        assert replies(await deliver(way, deadline_s=20)) == ["250 2.0.0"]


async def test_that_wait_has_an_end() -> None:
    async def silent(session: Session) -> None:
        await session.open("PIPELINING")
        for verb, answer in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            await session.expect(verb, answer)
        await session.content()
        leap(7300)
        await asyncio.Event().wait()

    async with peer(silent) as server, transport(hop(server.port, reply_timeout=timedelta(hours=1))) as way:
        assert replies(await deliver(way, deadline_s=20)) == ["451 4.4.2"]
        assert len(server.sessions) == 1


class _FullAtTheDot(asyncio.Transport):
    """A transport whose buffer runs full with the very last octets; the server has them all the same, and answers."""

    def __init__(self, connection: SmtpConnection) -> None:
        super().__init__()
        self._connection = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if bytes(data).endswith(b".\r\n"):
            self._connection.pause_writing()
            asyncio.get_running_loop().call_soon(self._connection.data_received, b"250 2.0.0 taken\r\n")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


async def test_a_buffer_that_is_full_at_the_final_dot_makes_no_failure_of_a_success() -> None:
    settings = SessionSettings("relay.example.com", ClientTls(HopTls(mode="none"), "peer"))
    connection = SmtpConnection(SmtpSession("relay.example.com"), settings)
    connection.connection_made(_FullAtTheDot(connection))
    connection.data_received(b"220 peer.example\r\n250 PIPELINING\r\n")
    loop = asyncio.get_running_loop()
    await connection.open(loop.time() + 60)
    content = Content.of((b"x" * 998 + b"\r\n",) * 1000)
    assert content.stuffed is None, "it goes in chunks"
    loop.call_soon(connection.data_received, b"250 ok\r\n250 ok\r\n354 go on\r\n")
    transaction = Transaction(parse_address("jane@example.com"), (parse_address("joe@example.org"),), 1_000_000)
    async with asyncio.timeout(60):
        done = await connection.send(transaction, content, loop.time() + 60)
    assert [str(answer.reply) for answer in done.answers] == ["250 2.0.0 taken"]
