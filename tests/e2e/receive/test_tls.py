"""STARTTLS over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from mta.relay.receive import RelayListener
from tests.e2e.receive.running import RememberingReceiver, listener_configuration, running

OFFERED = {"mode": "offered"}
REQUIRED = {"mode": "required"}


async def test_message_under_tls(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.connect()
        await talk.reply()
        assert "STARTTLS" in await talk.say(b"EHLO client.example.com")
        await talk.start_tls(trusting)
        assert (await talk.say(b"MAIL FROM:<>")).startswith("503 5.5.1")  # the greeting counts no more
        assert "STARTTLS" not in await talk.say(b"EHLO again.example.com")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert client.helo == "again.example.com"
        assert client.tls.startswith("TLSv1.3 TLS_")


async def test_large_message_under_tls(context: ssl.SSLContext, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    async with running(receiver=RememberingReceiver(folder=tmp_path), context=context, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        content = b"y" * 6_000_000 + b"\r\n"
        assert (await talk.submit(content + b".\r\n")).startswith("250")
        assert server.receiver.contents == [content]


async def test_required_tls_refuses_all_else_before_it(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(context=context, tls=REQUIRED) as server:
        talk = await server.talk()
        for line in (b"MAIL FROM:<>", b"RCPT TO:<a@example.net>", b"DATA", b"HELO x", b"VRFY x", b"RSET"):
            assert await talk.say(line) == "530 5.7.0 Send STARTTLS first"
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"R", b"MAIL FROM:<evil@example.org>\r\n", b"\r\n"])
async def test_nothing_pipelined_behind_starttls_lives_on(context: ssl.SSLContext, injected: bytes) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        talk.write(b"STARTTLS\r\n" + injected)
        assert await talk.rest() == b"554 5.5.1 Nothing may follow STARTTLS before the handshake\r\n"
        await server.all_gone()


async def test_clear_text_after_the_go_ahead_ends_the_connection(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.say(b"STARTTLS")
        talk.write(b"EHLO evil.example.org\r\nMAIL FROM:<evil@example.org>\r\n")
        assert b"250" not in await talk.rest()
        await server.all_gone()


async def test_client_that_leaves_in_the_handshake_is_counted_out(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.say(b"STARTTLS")
        await talk.close()
        await server.all_gone()


async def test_silent_client_in_the_handshake_is_cut_off(context: ssl.SSLContext) -> None:
    async with running(context=context, limits={"idle": 0.7}, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.say(b"STARTTLS")
        assert await talk.rest() == b""
        await server.all_gone()


async def test_second_starttls_is_refused(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        assert await talk.say(b"STARTTLS") == "503 5.5.1 TLS is already active"
        await talk.say(b"EHLO client.example.com")
        assert await talk.say(b"STARTTLS") == "503 5.5.1 TLS is already active"
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")


async def test_starttls_takes_no_argument_and_ends_the_transaction(
    context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        assert (await talk.say(b"STARTTLS now")).startswith("501 5.5.4")
        await talk.say(b"MAIL FROM:<a@example.com>")
        await talk.say(b"RCPT TO:<b@example.net>")
        await talk.start_tls(trusting)
        assert (await talk.say(b"DATA")).startswith("503 5.5.1")
        await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"RCPT TO:<b@example.net>")).startswith("503 5.5.1")


async def test_tls_before_1_2_is_refused(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(context=context, tls=OFFERED) as server:
        talk = await server.talk()
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        trusting.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            trusting.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            trusting.maximum_version = ssl.TLSVersion.TLSv1_1
        await talk.say(b"STARTTLS")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await talk.writer.start_tls(trusting, server_hostname="mx.example.com")


async def test_message_that_is_handed_over_survives_the_end_of_tls(
    context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    receiver = RememberingReceiver(hold=asyncio.Event())
    async with running(receiver=receiver, context=context, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        await talk.say(b"EHLO client.example.com")
        await talk.begin()
        talk.write(b"x\r\n.\r\n")
        await receiver.started.wait()
        await talk.close()
        assert receiver.hold is not None
        receiver.hold.set()
        await server.all_gone()
        assert receiver.contents == [b"x\r\n"]


async def test_idle_client_under_tls_is_told_and_closed(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running(context=context, limits={"idle": 1}, tls=OFFERED) as server:
        talk = await server.talk()
        await talk.start_tls(trusting)
        assert (await talk.rest()).startswith(b"421 4.4.2")
        await server.all_gone()


async def test_tls_without_a_certificate_is_no_configuration() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        RelayListener(listener_configuration(tls=OFFERED), "mx.example.com", RememberingReceiver())
