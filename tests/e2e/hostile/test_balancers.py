"""PROXY headers that lie: only load balancers are believed, and only what is a header."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from tests.e2e.hostile.site import BALANCER, Site
from tests.servers.client import SmtpClient

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
FRIEND, STRANGER = "192.0.2.7", "198.51.100.7"
COMMANDS = b"EHLO x\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<victim@elsewhere.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"


def _v2(source: str, *, command: int = 0x21, family: int = 0x11, extra: bytes = b"") -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4711, 25) + extra
    return V2 + bytes([command, family]) + struct.pack("!H", len(addresses)) + addresses


def _v1(source: str) -> bytes:
    return f"PROXY TCP4 {source} 127.0.0.1 4711 25\r\n".encode()


def _heard(site: Site, said: bytes, source: str) -> bytes:
    with socket.create_connection(("127.0.0.1", site.port("balanced")), 60, (source, 0)) as client:
        heard = b""
        with contextlib.suppress(OSError):
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65_536):
                heard += more
        return heard


@pytest.mark.parametrize("header", [_v1(FRIEND), _v2(FRIEND), _v2(FRIEND, command=0x20), b"PROXY UNKNOWN\r\n"])
def test_a_stranger_is_no_load_balancer(site: Site, header: bytes) -> None:
    assert _heard(site, header + COMMANDS, "127.0.0.9") in (b"554 5.7.1 Access denied\r\n", b"")  # or a reset
    assert site.arrived() == []


def test_a_header_from_an_ordinary_client_is_a_bad_command(site: Site) -> None:
    with SmtpClient(site.port("balanced"), helo="") as client:
        assert client.command(_v1(FRIEND).strip()).code == 500
    assert b"500" in _heard(site, _v2(FRIEND) + b"NOOP\r\n", "127.0.0.1")


@pytest.mark.parametrize("header", [_v1(STRANGER), _v2(STRANGER), _v2(STRANGER, extra=b"\4\0\1x")])
def test_whom_the_balancer_names_is_judged(site: Site, header: bytes) -> None:
    assert _heard(site, header + COMMANDS, BALANCER) in (b"554 5.7.1 Access denied\r\n", b"")
    assert site.arrived() == []


@pytest.mark.parametrize(
    "header", [_v2(STRANGER, command=0x20), _v2(STRANGER, family=0), b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ff::1 x\r\n"]
)
def test_a_balancer_that_names_nobody_sends_nothing(site: Site, header: bytes) -> None:
    heard = _heard(site, header + COMMANDS, BALANCER)
    assert heard.startswith(b"220 ")
    assert b"354" not in heard
    assert site.arrived() == []


BROKEN: dict[str, bytes] = {
    "none": COMMANDS,
    "nothing": b"",
    "half": b"PROXY TCP4 192.0.2.7",
    "half of version 2": V2[:8],
    "length that never comes": V2 + b"\x21\x11\xff\xff" + b"x" * 100,
    "longer than a header": V2 + b"\x21\x11\xff\xff" + b"x" * 70_000,
    "too short for its family": V2 + b"\x21\x11\x00\x04" + b"\xc0\x00\x02\x07" + COMMANDS,
    "no addresses": V2 + b"\x21\x11\x00\x00" + COMMANDS,
    "version 3": V2 + b"\x31\x11\x00\x0c" + b"x" * 12 + COMMANDS,
    "unknown command": _v2(FRIEND, command=0x2F) + COMMANDS,
    "UDP": _v2(FRIEND, family=0x12) + COMMANDS,
    "a path": _v2(FRIEND, family=0x31) + COMMANDS,
    "lower case": _v1(FRIEND).lower() + COMMANDS,
    "bare LF": _v1(FRIEND).replace(b"\r", b"") + COMMANDS,
    "bare CR": _v1(FRIEND).replace(b"\n", b"") + COMMANDS,
    "two spaces": _v1(FRIEND).replace(b" 127", b"  127") + COMMANDS,
    "tab": _v1(FRIEND).replace(b" ", b"\t") + COMMANDS,
    "IPv6 as TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n" + COMMANDS,
    "octal": b"PROXY TCP4 0300.0.2.7 127.0.0.1 1 2\r\n" + COMMANDS,
    "short address": b"PROXY TCP4 192.0.519 127.0.0.1 1 2\r\n" + COMMANDS,
    "number for an address": b"PROXY TCP4 3221225991 127.0.0.1 1 2\r\n" + COMMANDS,
    "zone": b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n" + COMMANDS,
    "port too high": b"PROXY TCP4 192.0.2.7 127.0.0.1 65536 2\r\n" + COMMANDS,
    "negative port": b"PROXY TCP4 192.0.2.7 127.0.0.1 -1 2\r\n" + COMMANDS,
    "NUL": b"PROXY TCP4 192.0.2.7\0 127.0.0.1 1 2\r\n" + COMMANDS,
    "too long": b"PROXY TCP4 192.0.2.7 " + b"1" * 200 + b"\r\n" + COMMANDS,
    "in the midst": b"EHLO x\r\n" + _v1(FRIEND) + COMMANDS,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
}  # fmt: skip


@pytest.mark.parametrize("header", BROKEN)
def test_what_is_no_header_is_no_session(site: Site, header: str) -> None:
    before = site.open_files()
    assert _heard(site, BROKEN[header], BALANCER) == b""
    site.wait_until_all_left(before)
    assert site.arrived() == []


def test_a_second_header_is_a_bad_command(site: Site) -> None:
    for first, second in ((_v1(FRIEND), _v1(STRANGER)), (_v2(FRIEND), _v2(STRANGER)), (_v1(FRIEND), _v2(STRANGER))):
        heard = _heard(site, first + second + b"NOOP\r\n", BALANCER)
        assert heard.startswith(b"220 ")
        assert b"500 5.5" in heard
    assert site.arrived() == []


def test_headers_come_in_any_pieces(site: Site) -> None:
    for header in (_v1(FRIEND), _v2(FRIEND), _v2(FRIEND, extra=b"\4\0\3xyz")):
        for cut in range(1, len(header), 5):
            with socket.create_connection(("127.0.0.1", site.port("balanced")), 60, (BALANCER, 0)) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(header[:cut])
                client.sendall(header[cut:] + b"NOOP\r\nQUIT\r\n")
                heard = b""
                while more := client.recv(4096):
                    heard += more
                assert [line[:3] for line in heard.splitlines()] == [b"220", b"250", b"221"]


def test_silent_connections_of_a_balancer_keep_nobody_out(site: Site) -> None:
    before = site.open_files()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            silent = socket.create_connection(("127.0.0.1", site.port("balanced")), 60, (BALANCER, 0))
            stack.enter_context(silent).sendall(b"PROXY ")
        assert _heard(site, _v1(FRIEND) + b"QUIT\r\n", BALANCER).startswith(b"220 ")
        assert site.is_sane()
    site.wait_until_all_left(before)
