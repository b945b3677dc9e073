"""PROXY headers and implicit TLS over real sockets: who is let in as whom, and what never is."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from mta import events
from mta.relay.receive import accepting, server_context
from tests.e2e.receive.running import Running, Talk, listener_configuration, running
from tests.unit.relay.receive.test_proxy_header import SIGNATURE, v2

BALANCERS = ("127.0.0.0/8",)
V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n"
V2 = v2("192.0.2.7", 4711)
OURS = ("192.0.2.0/24",)


async def _said(server: Running, header: bytes) -> str:
    """The first line that is said to who begins like this."""
    talk = await server.connect()
    talk.write(header)
    return await talk.reply()


@pytest.mark.parametrize("header", [V1, V2])
async def test_the_client_is_whom_the_balancer_names(header: bytes) -> None:
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS) as server:
        talk = await server.connect()
        talk.write(header + b"EHLO client.example.com\r\n")
        assert await talk.reply() == "220 mx.example.com ESMTP"
        assert (await talk.reply()).startswith("250-")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert (client.ip, client.port) == ("192.0.2.7", 4711)


@pytest.mark.parametrize("header", [V1, V2])
async def test_a_header_may_come_octet_by_octet(header: bytes) -> None:
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS) as server:
        talk = await server.connect()
        for octet in header:
            talk.write(bytes([octet]))
            await talk.writer.drain()
        assert await talk.reply() == "220 mx.example.com ESMTP"


async def test_networks_and_limits_judge_the_client_not_the_balancer() -> None:
    limits = {"connections_per_client": 1}
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS, limits=limits) as server:
        assert await _said(server, V1.replace(b"192.0.2.7", b"203.0.113.7")) == "554 5.7.1 Access denied"
        assert (await _said(server, V1)).startswith("220")
        assert await _said(server, V1) == "421 4.7.0 Too many connections, try again later"
        assert (await _said(server, V1.replace(b"192.0.2.7", b"192.0.2.8"))).startswith("220")


@pytest.mark.parametrize("beginning", [b"EHLO client.example.com\r\n", b"PROXY TCP4 1.2.3.4\r\n", SIGNATURE + b"\x33"])
async def test_a_balancer_that_names_nobody_is_closed_without_a_word(beginning: bytes) -> None:
    async with running(proxy_networks=BALANCERS, allowed_networks=("0.0.0.0/0",)) as server:
        talk = await server.connect()
        talk.write(beginning + b"NOOP\r\n" * 10)
        assert await talk.rest() == b""
        assert server.listener.counters.connections == 0


async def test_a_balancer_that_says_nothing_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "_PROXY_HEADER_S", 0.05)
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS) as server:
        talk = await server.connect()
        talk.write(V1[:20])
        assert await talk.rest() == b""


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\x00\x00\x00"])
async def test_a_balancer_may_look_whether_we_are_well(header: bytes) -> None:
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS) as server:
        talk = await server.connect()
        talk.write(header)
        assert (await talk.reply()).startswith("220")
        assert (await talk.say(b"EHLO balancer.example.com")).startswith("250")
        assert await talk.say(b"MAIL FROM:<a@example.com>") == "554 5.7.1 Access denied"
        assert await talk.say(b"QUIT") == "221 2.0.0 Bye"


@pytest.mark.parametrize("header", [V1, V2, V1 + V1])
async def test_from_anybody_else_it_is_a_command_that_is_refused(header: bytes) -> None:
    async with running(proxy_networks=("198.51.100.0/24",), allowed_networks=BALANCERS) as server:
        talk = await server.connect()
        assert (await talk.reply()).startswith("220")
        talk.write(header + b"\r\nEHLO client.example.com\r\n")
        while (reply := await talk.reply())[:3] == "500":
            pass
        assert reply.startswith("250")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.ip == "127.0.0.1"


async def test_stop_gives_up_connections_that_are_no_sessions_yet() -> None:
    async with running(proxy_networks=BALANCERS, allowed_networks=OURS) as server:
        talk, other = await server.connect(), await server.connect()
        talk.write(V1[:10])
        assert await _said(server, V1) != ""
        assert await server.listener.stop(0.1) in (0, 1)
        assert await talk.rest() == b""
        assert await other.rest() == b""


# --- implicit TLS ---

IMPLICIT = {"mode": "implicit"}


async def _tls(talk: Talk, trusting: ssl.SSLContext) -> None:
    await talk.writer.start_tls(trusting, server_hostname="mx.example.com")


@pytest.mark.parametrize("header", [b"", V1, V2])
async def test_tls_from_the_first_octet(context: ssl.SSLContext, trusting: ssl.SSLContext, header: bytes) -> None:
    proxies, clients = (BALANCERS, OURS) if header else ((), BALANCERS)
    async with running(context=context, tls=IMPLICIT, proxy_networks=proxies, allowed_networks=clients) as server:
        talk = await server.connect()
        if header:
            talk.write(header)
        await _tls(talk, trusting)
        assert (await talk.reply()).startswith("220")
        assert "STARTTLS" not in await talk.say(b"EHLO client.example.com")
        assert await talk.say(b"STARTTLS") == "503 5.5.1 TLS is already active"
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert client.tls.startswith("TLSv1.3 TLS_")
        assert client.ip == ("192.0.2.7" if header else "127.0.0.1")


async def test_a_client_may_be_asked_for_its_certificate_at_once(
    authority: trustme.CA, certificate_files: tuple[Path, Path], tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = server_context(*certificate_files, asks_clients=True, client_ca_file=tmp_path / "ca.pem")
    client = ssl.create_default_context()
    authority.configure_trust(client)
    authority.issue_cert("exchange.example.com").configure_cert(client)
    peer = {"name": "exchange", "certificates": ["exchange.example.com"]}
    async with running(context=context, tls=IMPLICIT, clients=[peer]) as server:
        talk = await server.connect()
        await _tls(talk, client)
        assert (await talk.reply()).startswith("220")
        await talk.say(b"EHLO client.example.com")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.certificate == "exchange.example.com"


async def test_clear_text_is_no_handshake(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=IMPLICIT) as server:
        talk = await server.connect()
        talk.write(b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\n")
        assert b"250" not in await talk.rest()
        await server.all_gone()
        assert server.listener.counters.failed_handshakes == 1


async def test_who_may_not_connect_gets_no_handshake(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=IMPLICIT, allowed_networks=OURS) as server:
        talk = await server.connect()
        assert await talk.rest() == b""
        assert server.listener.counters.failed_handshakes == 0


async def test_silent_client_in_the_handshake_is_cut_off(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=IMPLICIT, limits={"idle": 0.1}) as server:
        talk = await server.connect()
        assert await talk.rest() == b""
        await server.all_gone()
        assert server.listener.counters.failed_handshakes == 1


async def test_stop_gives_up_handshakes(context: ssl.SSLContext) -> None:
    async with running(context=context, tls=IMPLICIT) as server:
        talk = await server.connect()
        async with asyncio.timeout(60):
            while not server.listener.counters.connections:
                await asyncio.sleep(0)
        assert await server.listener.stop(0.1) == 0
        assert await talk.rest() == b""
        assert server.listener.counters.connections == 0


class _Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)


def _distrust(address: tuple[str, int], *, starttls: bool) -> None:
    """A client that doesn't know our authority. asyncio's would leave without its alert."""
    with socket.create_connection(address, timeout=60) as connection:
        if starttls:
            connection.recv(512)
            connection.sendall(b"STARTTLS\r\n")
            connection.recv(512)
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connection, server_hostname="mx.example.com")


@pytest.mark.parametrize("mode", ["implicit", "offered"])
async def test_the_clients_reason_is_logged(context: ssl.SSLContext, mode: str) -> None:
    lines = _Lines()
    events.configure([lines])
    try:
        async with running(context=context, tls={"mode": mode}) as server:
            await asyncio.to_thread(_distrust, server.listener.address, starttls=mode == "offered")
            await server.all_gone()
            assert server.listener.counters.failed_handshakes == 1
    finally:
        events.configure([])
    (line,) = [line for line in lines.lines if "tls-failed" in line]
    assert "the client says: unknown ca" in line


async def test_a_reload_may_turn_implicit_tls_on(context: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with running() as server:
        assert (await _said(server, b"")).startswith("220")
        server.listener.reconfigure(listener_configuration(tls=IMPLICIT), "mx.example.com", context)
        talk = await server.connect()
        await _tls(talk, trusting)
        assert (await talk.reply()).startswith("220")
