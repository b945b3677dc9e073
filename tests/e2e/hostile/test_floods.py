"""Slow clients and floods beside good ones: the good ones are served, and memory and files come back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.hostile.site import Site
from tests.servers.client import SmtpClient
from tests.servers.load import simple_message

OPENING = b"EHLO slow.example.org\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<john@example.com>\r\n"
SLOW: dict[str, tuple[str, bytes]] = {
    "greeting": ("exchange", b""),
    "command": ("exchange", b"EHL"),
    "transaction": ("internet", OPENING),
    "DATA": ("exchange", OPENING + b"DATA\r\nSubject: x\r\n"),
    "DATA of some size": ("exchange", OPENING + b"DATA\r\n" + b"x" * 10_000),
    "BDAT": ("exchange", OPENING + b"BDAT 10000\r\nSubject: x\r\n"),
    "TLS handshake": ("internet", b"EHLO x\r\nSTARTTLS\r\n"),
    "half a hello": ("internet", b"EHLO x\r\nSTARTTLS\r\n"),
    "never reading": ("devices", b"HELP\r\n" * 90),
    "endless line": ("devices", b"x" * 20_000),
}
EACH = 50


@contextmanager
def slow_clients(site: Site) -> Iterator[list[socket.socket]]:
    """Many of each kind, all connected, all waiting for nothing."""
    with contextlib.ExitStack() as stack:
        clients = []
        for kind, (listener, said) in SLOW.items():
            for _ in range(EACH):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", site.port(listener)), timeout=60))
                client.sendall(said)
                clients.append(client)
                if kind == "half a hello":
                    heard = b""
                    while b"\r\n220 " not in heard:
                        heard += client.recv(4096)
                    client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        yield clients


def test_500_slow_clients_keep_nobody_waiting(site: Site) -> None:
    files, memory = site.open_files(), site.rss_mb()
    with slow_clients(site) as clients:
        assert len(clients) == 500
        for number in range(20):
            with SmtpClient(site.port("exchange")) as fast:
                answer = fast.send("jane@example.com", ["john@example.com"], simple_message(f"fast-{number}"))
                assert answer.code == 250
        assert len(site.arrived()) == 20
        assert site.open_files() >= files + 500
        assert site.rss_mb() < memory + 100
    site.wait_until_all_left(files)


def _codes(client: SmtpClient, said: bytes) -> list[int]:
    """All replies to it until the server closes or has answered `RSET` with a text of its own."""
    codes = []
    with contextlib.suppress(ConnectionError):
        client.write(said)
        client.half_close()
        while True:
            codes.append(client.answer().code)
    return codes


FLOODS: dict[str, tuple[bytes, int]] = {
    # what is sent, and the code of the last reply
    "unknown commands": (b"FOO\r\n" * 1000, 421),
    "NOOP": (b"NOOP\r\n" * 50_000, 421),
    "RSET": (b"RSET\r\n" * 50_000, 421),
    "EHLO": (b"EHLO x\r\n" * 50_000, 421),
    "HELO": (b"HELO x\r\n" * 50_000, 421),
    "HELP": (b"HELP\r\n" * 50_000, 421),
    "VRFY": (b"VRFY jane\r\n" * 50_000, 421),
    "EXPN": (b"EXPN staff\r\n" * 1000, 421),
    "empty lines": (b"\r\n" * 1000, 421),
    "bare line feeds": (b"\n" * 1000, 421),
    "over-long lines": ((b"x" * 3000 + b"\r\n") * 1000, 421),
    "MAIL": (b"MAIL FROM:<jane@example.com>\r\n" * 1000, 421),
    "transactions that come to nothing": (b"MAIL FROM:<jane@example.com>\r\nRSET\r\n" * 1000, 421),
    "greeted transactions": (b"EHLO x\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<a@example.com>\r\n" * 1000, 421),
    "refused recipients": (b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@elsewhere.example>\r\n" * 1000, 421),
    "bad recipients": (b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@@example.com>\r\n" * 1000, 421),
    "too many recipients": (
        b"MAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<u%d@example.com>\r\n" % number for number in range(5000)), 421,
    ),
    "one recipient again and again": (b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@example.com>\r\n" * 50_000, 421),
    "DATA without recipients": (b"MAIL FROM:<>\r\nDATA\r\n" * 1000, 554),
    "BDAT before MAIL": (b"BDAT 1\r\nx" * 1000, 421),
    "BDAT without recipients": (b"MAIL FROM:<>\r\n" + b"BDAT 0 LAST\r\n" * 1000, 421),
    "AUTH": (b"AUTH PLAIN\r\n" * 1000, 421),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n" * 100, 421),
    "NUL": (b"\0" * 100_000, 500),
    "one endless line": (b"x" * 3_000_000, 500),
}  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_ends_its_session(site: Site, flood: str) -> None:
    said, last = FLOODS[flood]
    files = site.open_files()
    with SmtpClient(site.port("internet")) as client:
        codes = _codes(client, said)
    assert not codes or codes[-1] == last or len(said) > 100_000  # a reset may overtake the last replies
    assert len(codes) < 2500
    site.wait_until_all_left(files)
    assert site.arrived() == []


def _together(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_floods_side_by_side_cost_no_memory_and_keep_nobody_out(site: Site) -> None:
    """Every kind of flood at once, thrice over, with good mail between."""
    files, memory = site.open_files(), site.rss_mb()
    kinds = list(FLOODS.values()) * 3

    def flood() -> None:
        while kinds:
            with contextlib.suppress(OSError, IndexError), SmtpClient(site.port("internet")) as client:
                _codes(client, kinds.pop()[0])

    flooding = threading.Thread(target=_together, args=(20, flood), daemon=True)
    flooding.start()
    for number in range(10):
        with SmtpClient(site.port("exchange")) as client:
            good = simple_message(f"beside-{number}", to="john@example.com")
            assert client.send("jane@example.com", ["john@example.com"], good).code == 250
    flooding.join(60)
    assert not kinds
    site.wait_until_all_left(files)
    assert site.rss_mb() < memory + 80
    assert len(site.arrived()) == 10


def test_connections_that_come_and_go_leave_nothing(site: Site) -> None:
    files, memory = site.open_files(), site.rss_mb()
    for number in range(1000):
        client = socket.create_connection(("127.0.0.1", site.port("internet")))
        if number % 3 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert site.is_sane()
    site.wait_until_all_left(files)
    assert site.rss_mb() < memory + 30
