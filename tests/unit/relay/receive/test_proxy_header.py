"""PROXY headers, whole and broken."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mta.relay.receive.proxy_header import ProxyHeaderError, client_of, wanted

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(
    source: str, port: int, *, command: int = 0x21, family: int = 0x11, tlvs: bytes = b"", octets: int | None = None
) -> bytes:
    address = ip_address(source).packed
    body = address * 2 + port.to_bytes(2, "big") + (25).to_bytes(2, "big") + tlvs
    length = len(body) if octets is None else octets
    return SIGNATURE + bytes([command, family]) + length.to_bytes(2, "big") + body


def _read(stream: bytes) -> tuple[tuple[str, int] | None, bytes]:
    """As from a socket: never more than is surely the header's. The client, and what is left of the stream."""
    header = b""
    while octets := wanted(header):
        assert stream, "the stream ends within the header"
        header, stream = header + stream[:octets], stream[octets:]
    return client_of(header), stream


@pytest.mark.parametrize("behind", [b"", b"EHLO x\r\n", b"\x16\x03\x01", b"\r\n", b"PROXY "])
@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n", ("192.0.2.1", 56324)),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", ("1.1.1.1", 0)),
        (b"PROXY TCP6 2001:DB8::1 2001:db8::2 65535 25\r\n", ("2001:db8::1", 65535)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", ("192.0.2.1", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 whatever stands here\r\n", None),
        (v2("192.0.2.1", 56324), ("192.0.2.1", 56324)),
        (v2("192.0.2.1", 56324, tlvs=b"\x04\x00\x03abc"), ("192.0.2.1", 56324)),
        (v2("2001:db8::1", 1, family=0x21), ("2001:db8::1", 1)),
        (v2("::ffff:192.0.2.1", 1, family=0x21), ("192.0.2.1", 1)),
        (SIGNATURE + b"\x20\x00\x00\x00", None),
        (v2("192.0.2.1", 1, command=0x20), None),
        (SIGNATURE + b"\x21\x00\x00\x03xyz", None),
    ],
)
def test_the_client_and_not_an_octet_more(header: bytes, client: tuple[str, int] | None, behind: bytes) -> None:
    assert _read(header + behind) == (client, behind)


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO client.example.com\r\n",
        b"\r\n\r\n\x00\r\nQUIX\n..........",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
        b"proxy TCP4 192.0.2.1 198.51.100.1 56324 25\r\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1_0 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 0123 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1 -5\r\n",
        b"PROXY TCP4 192.0.2.1  198.51.100.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.1 2001:db8::1 1 25\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::1 1 25\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.1 1 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1 25\n" + b"x" * 100,
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1 25 \r\n",
        b"PROXY UNKNOWN" + b" x" * 60 + b"\r\n",
        b"PROXY " + b"x" * 200,
        v2("192.0.2.1", 1, command=0x22),
        v2("192.0.2.1", 1, command=0x11),
        v2("192.0.2.1", 1, family=0x12),
        v2("192.0.2.1", 1, family=0x31),
        v2("192.0.2.1", 1, family=0x21),
        v2("192.0.2.1", 1, octets=11),
        v2("192.0.2.1", 1, octets=4081) + b"x" * 5000,
    ],
)
def test_what_is_no_header(header: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        _read(header)
