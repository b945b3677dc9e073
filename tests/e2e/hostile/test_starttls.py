"""Attacks on STARTTLS (CVE-2011-0411 and its kin): what was said in clear text counts for nothing under TLS."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient
from tests.servers.load import simple_message

TRANSACTION = b"MAIL FROM:<evil@elsewhere.example>\r\nRCPT TO:<john@example.com>\r\nDATA\r\nx\r\n.\r\n"
INJECTED: dict[str, bytes] = {
    "a command": b"NOOP\r\n",
    "an octet": b"R",
    "an empty line": b"\r\n",
    "EHLO": b"EHLO evil.example.org\r\n",
    "a transaction": b"EHLO evil.example.org\r\n" + TRANSACTION,
    "chunks": b"EHLO x\r\nMAIL FROM:<evil@elsewhere.example>\r\nRCPT TO:<john@example.com>\r\nBDAT 3 LAST\r\nx\r\n",
    "AUTH": b"AUTH PLAIN AGphbmUAc2VjcmV0\r\n",
    "a second STARTTLS": b"STARTTLS\r\n",
    "RSET": b"RSET\r\n",
    "QUIT": b"QUIT\r\n",
    "NUL": b"\0" * 100,
    "much": b"NOOP\r\n" * 20_000,
    "a line without end": b"x" * 200_000,
}
BEHIND = b"554 5.5.1 Nothing may follow STARTTLS before the handshake\r\n"


@pytest.fixture
def context(site: Site) -> ssl.SSLContext:
    """A client's, that trusts the relay's certificate."""
    context = ssl.create_default_context()
    site.authority.configure_trust(context)
    return context


@pytest.mark.parametrize("listener", ["internet", "secure"])
@pytest.mark.parametrize("injected", INJECTED)
def test_nothing_behind_starttls_in_its_segment_is_obeyed(site: Site, listener: str, injected: str) -> None:
    with SmtpClient(site.port(listener)) as client:
        with contextlib.suppress(ConnectionError):
            client.write(b"STARTTLS\r\n" + INJECTED[injected])
        said = client.rest()
        assert said in (BEHIND, b"")  # a reset may overtake the reply where much was sent
    assert site.arrived() == []


@pytest.mark.parametrize("injected", INJECTED)
def test_nothing_that_comes_after_the_go_ahead_in_clear_text_is_obeyed(site: Site, injected: str) -> None:
    with SmtpClient(site.port("internet")) as client:
        assert client.command(b"STARTTLS").code == 220
        with contextlib.suppress(ConnectionError):
            client.write(INJECTED[injected])
            client.half_close()
        assert b"250" not in client.rest()
    assert site.arrived() == []


@pytest.mark.parametrize("position", range(1, len(b"STARTTLS\r\n")))
def test_injection_is_found_however_it_is_cut(site: Site, position: int) -> None:
    whole = b"STARTTLS\r\nRSET\r\n"
    with SmtpClient(site.port("internet")) as client:
        client.write(whole[:position])
        client.write(whole[position:])
        assert client.rest() == BEHIND


def test_what_was_said_before_tls_is_forgotten(site: Site, context: ssl.SSLContext) -> None:
    with SmtpClient(site.port("internet")) as client:
        client.write(b"MAIL FROM:<evil@elsewhere.example>\r\nRCPT TO:<john@example.com>\r\n")
        assert [client.answer().code for _ in range(2)] == [250, 250]
        client.start_tls(context, helo="")
        for line in (b"DATA", b"RCPT TO:<john@example.com>", b"MAIL FROM:<a@elsewhere.example>"):
            assert client.command(line).code == 503
        assert "STARTTLS" not in client.command(b"EHLO client.example.org").text
        assert client.command(b"STARTTLS").code == 503
        for line in (b"DATA", b"RCPT TO:<john@example.com>"):
            assert client.command(line).code == 503
        good = simple_message("tls", sender="s@elsewhere.example", to="john@example.com")
        assert client.send("s@elsewhere.example", ["john@example.com"], good).code == 250
    assert [each.mail_from for each in site.arrived()] == ["s@elsewhere.example"]


def test_nothing_but_tls_begins_a_message_where_it_is_required(site: Site, context: ssl.SSLContext) -> None:
    with SmtpClient(site.port("secure")) as client:
        for line in TRANSACTION.split(b"\r\n")[:3]:
            assert client.command(line).code == 530
    with SmtpClient(site.port("secure")) as client:
        client.write(b"MAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<john@example.com>\r\nBDAT 6 LAST\r\nNOOP\r\n")
        said = client.rest() if client.answer().code == 530 else b""
        assert b"250" not in said  # the chunk is no command
    with SmtpClient(site.port("secure")) as client:
        client.start_tls(context)
        good = simple_message("tls", sender="s@elsewhere.example", to="john@example.com")
        assert client.send("s@elsewhere.example", ["john@example.com"], good).code == 250
    assert len(site.arrived()) == 1


HANDSHAKES: dict[str, bytes] = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "SSLv2": b"\x80\x2e\x01\x00\x02" + b"\0" * 60,
    "a record of another kind": b"\x17\x03\x03\x00\x10" + b"x" * 16,
    "a record that is too large": b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "text": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("handshake", HANDSHAKES)
def test_a_broken_handshake_costs_its_connection_only(site: Site, handshake: str) -> None:
    before = site.open_files()
    clients = []
    for _ in range(20):
        client = SmtpClient(site.port("internet"))
        assert client.command(b"STARTTLS").code == 220
        with contextlib.suppress(ConnectionError):
            client.write(HANDSHAKES[handshake])
        clients.append(client)
    assert site.is_sane()
    for client in clients:
        client.reset()
    site.wait_until_all_left(before)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(site: Site, context: ssl.SSLContext, version: str) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion[version]
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion[version]
    with SmtpClient(site.port("internet")) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        client.start_tls(context)
