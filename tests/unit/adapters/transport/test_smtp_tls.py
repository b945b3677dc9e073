"""TLS towards the next hop, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from mta.adapters.transport.client_tls import CLEAR_TEXT_FOR_S
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import HopTls, Host
from mta.model.delivery import RecipientResult
from tests.unit.adapters.transport.peer import MAIL, Session, deliver, hop, peer, replies, transport

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one of the loops."""

    def on_loop(coroutine: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(coroutine, 100))

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


# --- what is demanded of certificates, and our own -------------------------------------------------------------------


def fingerprint(certificate: trustme.LeafCert) -> str:
    return sha256(ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())).hexdigest()


@pytest.mark.parametrize("is_colons", [True, False])
def test_a_fingerprint_stands_for_authority_and_name(run: Run, is_colons: bool) -> None:
    """A certificate of an authority that nobody knows, for another name: the fingerprint says that it is the one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = trustme.CA().issue_cert("other.example")
    certificate.configure_cert(context)
    plain = fingerprint(certificate)
    written = ":".join(plain[i : i + 2] for i in range(0, 64, 2)).upper() if is_colons else plain

    async def test() -> None:
        async with peer(speaking_tls(context)) as server:
            result = await sent(server.port, HopTls(mode="required", fingerprints=("0" * 64, written)))
            assert (replies([result]), result.tls[:5]) == (["250 2.0.0"], "TLSv1")
            result = await sent(server.port, HopTls(mode="required", fingerprints=("0" * 64,)))
            assert replies([result]) == ["451 4.7.5"]
            assert plain in result.reply.text, "so that an administrator can compare it"
            assert len(server.contents) == 1

    run(test())


def test_a_wildcard_covers_one_label(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    async def test() -> None:
        async with peer(speaking_tls(server_tls(authority, "*.mail.example"))) as server:
            for name, reply in (("a.mail.example", "250 2.0.0"), ("a.b.mail.example", "451 4.7.5")):
                tls = HopTls(mode="required", ca_file=ca_file, verify_name=name)
                assert replies([await sent(server.port, tls)]) == [reply]

    run(test())


def test_implicit_tls(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    async def greets(session: Session) -> None:
        await session.open("PIPELINING", "STARTTLS")
        await session.serve()

    async def test() -> None:
        tls = HopTls(mode="required", implicit=True, ca_file=ca_file)
        async with peer(greets, tls=server_tls(authority)) as server:
            result = await sent(server.port, tls)
            assert (replies([result]), result.tls[:5]) == (["250 2.0.0"], "TLSv1")
        async with peer(greets, tls=server_tls(authority, "other.example")) as server:
            result = await sent(server.port, tls)
            assert (replies([result]), server.commands) == (["451 4.7.5"], [])
            assert "mismatch" in result.reply.text
        async with peer(greets) as server:
            result = await sent(server.port, tls)
            assert (replies([result]), server.commands) == (["451 4.7.5"], []), "a greeting in clear text is not read"

    run(test())


def test_our_certificate_is_shown_and_a_changed_one_is_used_at_once(
    run: Run, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    certificate, key, seen = tmp_path / "own.pem", tmp_path / "own.key", list[str]()
    context = server_tls(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def issue(name: str) -> None:
        issued = authority.issue_cert(name)
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        key.write_bytes(issued.private_key_pem.bytes())

    async def script(session: Session) -> None:
        await session.open("STARTTLS")
        await session.expect("STARTTLS", "220 go")
        await session.start_tls(context)
        shown = session.writer.get_extra_info("peercert")
        seen.append(shown["subjectAltName"][0][1])
        await session.hello()
        await session.serve()

    async def test() -> None:
        issue("first.example")
        tls = HopTls(mode="required", ca_file=ca_file, certificate=certificate, key=key)
        async with (
            peer(script) as server,
            transport(hop(server.port, host="localhost", tls=tls, messages_per_connection=1)) as way,
        ):
            assert replies(await deliver(way)) == ["250 2.0.0"]
            issue("second.example")
            assert replies(await deliver(way)) == ["250 2.0.0"]
            certificate.write_text("half a file")
            assert replies(await deliver(way)) == ["250 2.0.0"], "a bad one does no harm"
            assert seen == ["first.example", "second.example", "second.example"]

    run(test())


def test_a_server_that_asks_for_a_certificate_and_gets_none(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    context = server_tls(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    async def test() -> None:
        async with peer(speaking_tls(context)) as server:
            result = await sent(server.port, HopTls(mode="required", ca_file=ca_file))
            assert result.reply.is_temporary
            assert server.contents == []

    run(test())


def test_a_failed_handshake_is_remembered_for_a_while(run: Run) -> None:
    clock = [1000.0]

    async def broken(session: Session) -> None:
        await session.open("STARTTLS")
        if (await session.command()) == b"STARTTLS":
            session.say("220 go")
            await session.reader.read(10)
            session.writer.write(b"this is not TLS at all\r\n")

    async def serving(session: Session) -> None:
        await session.open("STARTTLS")
        await session.serve()

    async def test() -> None:
        settings = hop(0, tls=HopTls(mode="opportunistic"), messages_per_connection=1)
        async with peer(broken, serving, serving, broken, serving) as server:
            hosts = (Host(host="127.0.0.1", port=server.port),)
            way = SmtpTransport.to_hosts(
                settings.model_copy(update={"hosts": hosts}), hostname="relay.example.com", clock=lambda: clock[0]
            )
            for _ in range(2):
                assert replies(await deliver(way)) == ["250 2.0.0"]
            assert len(server.sessions) == 3, "one handshake for two messages"
            clock[0] += CLEAR_TEXT_FOR_S + 1
            assert replies(await deliver(way)) == ["250 2.0.0"]
            assert server.commands.count(b"STARTTLS") == 2
            await way.close()

    run(test())


def test_a_handshake_takes_no_longer_than_the_caller_has(run: Run, ca_file: Path) -> None:
    async def silent(session: Session) -> None:
        await session.open("STARTTLS")
        await session.expect("STARTTLS", "220 go")
        await session.reader.read()

    async def test() -> None:
        tls = HopTls(mode="required", ca_file=ca_file)
        patience = timedelta(hours=1)
        async with (
            peer(silent) as server,
            transport(hop(server.port, host="localhost", tls=tls, connect_timeout=patience)) as way,
        ):
            assert replies(await deliver(way, deadline_s=2)) == ["451 4.7.5"]

    run(test())
