"""TLS towards the next hop, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import HopTls
from mta.model.delivery import RecipientResult
from tests.unit.adapters.transport.peer import MAIL, Session, deliver, hop, peer, replies, transport

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one of the loops."""

    def on_loop(coroutine: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(coroutine, 30))

    return on_loop


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_tls(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def speaking_tls(context: ssl.SSLContext) -> Callable[[Session], Coroutine[Any, Any, None]]:
    async def script(session: Session) -> None:
        await session.open("PIPELINING", "STARTTLS")
        if (await session.command()) == b"STARTTLS":
            session.say("220 go")
            await session.start_tls(context)
            await session.hello("PIPELINING", "SIZE 100000000")
            await session.serve()

    return script


async def clear_text(session: Session) -> None:
    await session.open("PIPELINING")
    await session.serve()


async def sent(port: int, tls: HopTls, host: str = "localhost") -> RecipientResult:
    async with transport(hop(port, host=host, tls=tls)) as way:
        [result] = await deliver(way)
        return result


def test_opportunistic_encrypts_without_verifying(run: Run, authority: trustme.CA) -> None:
    async def test() -> None:
        async with peer(speaking_tls(server_tls(authority, "other.example"))) as server:
            result = await sent(server.port, HopTls(mode="opportunistic"))
            assert replies([result]) == ["250 2.0.0"]
            assert result.tls.startswith("TLSv1.3 ")
            assert server.contents == [MAIL]
            assert any(b"SIZE=" in command for command in server.commands), "the second EHLO counts"

    run(test())


def test_opportunistic_falls_back_where_the_handshake_fails(run: Run) -> None:
    async def broken(session: Session) -> None:
        await session.open("PIPELINING", "STARTTLS")
        await session.expect("STARTTLS", "220 go")
        await session.reader.read(10)
        session.writer.write(b"this is not TLS at all\r\n")

    async def unbroken(session: Session) -> None:
        await session.open("PIPELINING", "STARTTLS")
        await session.serve()

    async def test() -> None:
        async with peer(broken, unbroken) as server:
            result = await sent(server.port, HopTls(mode="opportunistic"))
            assert (replies([result]), result.tls) == (["250 2.0.0"], "")
            assert len(server.sessions) == 2

    run(test())


def test_opportunistic_takes_clear_text_where_there_is_no_other(run: Run) -> None:
    async def test() -> None:
        async with peer(clear_text) as server:
            result = await sent(server.port, HopTls(mode="opportunistic"))
            assert (replies([result]), result.tls) == (["250 2.0.0"], "")

    run(test())


def test_required_verifies_the_name(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    async def test() -> None:
        async with peer(speaking_tls(server_tls(authority))) as server:
            result = await sent(server.port, HopTls(mode="required", ca_file=ca_file))
            assert replies([result]) == ["250 2.0.0"]
            assert result.tls.startswith("TLSv1.3 ")

    run(test())


@pytest.mark.parametrize(
    ("certified", "host", "verify_name", "reply"),
    [
        ("other.example", "localhost", None, "451 4.7.5"),
        ("other.example", "localhost", "other.example", "250 2.0.0"),
        ("localhost", "localhost", "other.example", "451 4.7.5"),
        ("127.0.0.1", "127.0.0.1", None, "250 2.0.0"),
        ("localhost", "127.0.0.1", None, "451 4.7.5"),
    ],
)
def test_the_name_that_counts(
    run: Run, authority: trustme.CA, ca_file: Path, certified: str, host: str, verify_name: str | None, reply: str
) -> None:
    async def test() -> None:
        async with peer(speaking_tls(server_tls(authority, certified))) as server:
            tls = HopTls(mode="required", ca_file=ca_file, verify_name=verify_name)
            assert replies([await sent(server.port, tls, host)]) == [reply]
            assert bool(server.contents) == reply.startswith("250")

    run(test())


def test_required_refuses_an_unknown_authority(run: Run, ca_file: Path) -> None:
    async def test() -> None:
        async with peer(speaking_tls(server_tls(trustme.CA()))) as server:
            result = await sent(server.port, HopTls(mode="required", ca_file=ca_file))
            assert replies([result]) == ["451 4.7.5"]
            assert "self-signed certificate in certificate chain" in result.reply.text or "issuer" in result.reply.text
            assert server.contents == []

    run(test())


def test_required_defers_where_tls_is_not_offered(run: Run, ca_file: Path) -> None:
    async def test() -> None:
        async with peer(clear_text) as server:
            assert replies([await sent(server.port, HopTls(mode="required", ca_file=ca_file))]) == ["451 4.7.4"]
            assert [c for c in server.commands if c.startswith(b"MAIL")] == []

    run(test())


def test_answers_injected_behind_starttls_are_never_read(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    """CVE-2011-0411 from the other side: what a man in the middle adds in clear text must not count inside TLS."""
    context = server_tls(authority)

    async def injecting(session: Session) -> None:
        await session.open("PIPELINING", "STARTTLS")
        await session.command()
        session.writer.write(b"220 go\r\n250-peer.example\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        await session.start_tls(context)
        await session.serve()

    async def test() -> None:
        async with peer(injecting) as server:
            assert replies([await sent(server.port, HopTls(mode="required", ca_file=ca_file))]) == ["451 4.5.0"]
            assert [c for c in server.commands if c.startswith(b"MAIL")] == []

    run(test())


def test_a_server_that_hangs_up_in_the_handshake(run: Run, ca_file: Path) -> None:
    async def hangs_up(session: Session) -> None:
        await session.open("STARTTLS")
        await session.expect("STARTTLS", "220 go")

    async def test() -> None:
        async with peer(hangs_up) as server:
            assert replies([await sent(server.port, HopTls(mode="required", ca_file=ca_file))]) == ["451 4.7.5"]

    run(test())


def test_tls_connections_are_kept_and_carry_large_messages(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    async def test() -> None:
        big = [MAIL, b"\r\n".join([b".x" * 100] * 20_000)]
        async with peer(speaking_tls(server_tls(authority))) as server:
            async with transport(
                hop(server.port, host="localhost", tls=HopTls(mode="required", ca_file=ca_file))
            ) as way:
                assert replies(await deliver(way)) == ["250 2.0.0"]
                assert replies(await deliver(way, content=big)) == ["250 2.0.0"]
            assert len(server.sessions) == 1
            assert server.contents == [MAIL, b"".join(big) + b"\r\n"]

    run(test())


def test_a_ca_file_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing in it")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(OSError, match=r".+"):
            SmtpTransport.to_hosts(
                hop(25, tls=HopTls(mode="required", ca_file=tmp_path / name)), hostname="relay.example.com"
            )
