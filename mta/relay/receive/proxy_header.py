"""The PROXY protocol, versions 1 and 2: a load balancer says who its client is. Pure.

It is described in haproxy's doc/proxy-protocol.txt.

The header stands before everything else, a TLS handshake included, and nothing behind it may be read with it: `wanted`
says how many octets are surely its own.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from mta.relay.receive.access import plain_ip

_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED_OCTETS = 16
_V2_MAX_OCTETS = 4096
_V2_LOCAL, _V2_PROXY = 0x20, 0x21
_V2_UNSPECIFIED, _V2_TCP4, _V2_TCP6 = 0x00, 0x11, 0x21
_V1_NAME = b"PROXY "
_V1_MIN_OCTETS, _V1_MAX_OCTETS = 15, 107
_V1_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})\r\n\Z")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n\Z")
_PORT_MAX = 65_535


class ProxyHeaderError(ValueError):
    """What came is no header, or none for TCP; its text says why."""


def wanted(begun: bytes) -> int:
    """How many octets more surely belong to the header that has begun like this; 0 when it is whole.

    Raises ProxyHeaderError as soon as it can't become one.
    """
    if len(begun) < len(_V2_SIGNATURE):
        if not (_V2_SIGNATURE.startswith(begun) or _V1_NAME.startswith(begun) or begun.startswith(_V1_NAME)):
            raise ProxyHeaderError("no PROXY header")
        return len(_V2_SIGNATURE) - len(begun)
    if begun.startswith(_V2_SIGNATURE):
        return _wanted_of_v2(begun)
    if not begun.startswith(_V1_NAME):
        raise ProxyHeaderError("no PROXY header")
    if begun.endswith(b"\r\n"):
        return 0
    if len(begun) >= _V1_MAX_OCTETS or b"\n" in begun:
        raise ProxyHeaderError("malformed PROXY line")
    return max(_V1_MIN_OCTETS - len(begun), 1 if begun.endswith(b"\r") else 2)


def _wanted_of_v2(begun: bytes) -> int:
    if len(begun) < _V2_FIXED_OCTETS:
        return _V2_FIXED_OCTETS - len(begun)
    octets = _V2_FIXED_OCTETS + int.from_bytes(begun[14:16], "big")
    if octets > _V2_MAX_OCTETS:
        raise ProxyHeaderError(f"PROXY header of {octets} octets")
    return octets - len(begun)


def client_of(header: bytes) -> tuple[str, int] | None:
    """Address and port of the client; None where the load balancer speaks for itself (LOCAL) or doesn't know.

    `header` is whole. Raises ProxyHeaderError.
    """
    return _client_of_v2(header) if header.startswith(_V2_SIGNATURE) else _client_of_v1(header)


def _client_of_v1(line: bytes) -> tuple[str, int] | None:
    if _V1_UNKNOWN.match(line):
        return None
    match = _V1_LINE.match(line)
    if match is None or len(line) > _V1_MAX_OCTETS:
        raise ProxyHeaderError("malformed PROXY line")
    kind, source, destination, *ports = (part.decode("ascii") for part in match.groups())
    version = IPv4Address if kind == "TCP4" else IPv6Address
    try:
        address, _ = version(source), version(destination)
    except ValueError:
        raise ProxyHeaderError("malformed address in PROXY line") from None
    if any(int(port) > _PORT_MAX or port != str(int(port)) for port in ports):
        raise ProxyHeaderError("malformed port in PROXY line")
    return _plain(address), int(ports[0])


def _client_of_v2(header: bytes) -> tuple[str, int] | None:
    command, family, addresses = header[12], header[13], header[_V2_FIXED_OCTETS:]
    if command == _V2_LOCAL:
        return None
    if command != _V2_PROXY:
        raise ProxyHeaderError(f"unknown PROXY version or command {command:#04x}")
    if family == _V2_UNSPECIFIED:
        return None
    if family == _V2_TCP4 and len(addresses) >= 12:
        return _plain(IPv4Address(addresses[:4])), int.from_bytes(addresses[8:10], "big")
    if family == _V2_TCP6 and len(addresses) >= 36:
        return _plain(IPv6Address(addresses[:16])), int.from_bytes(addresses[32:34], "big")
    raise ProxyHeaderError("PROXY header for something other than TCP, or too short")


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return plain_ip(str(mapped or address))
