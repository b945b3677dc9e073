"""The part of ASN.1's Basic Encoding Rules (X.690) that LDAP uses (RFC 4511 §5.1): definite lengths, one-octet tags."""

from __future__ import annotations

from collections.abc import Iterator

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
ENUMERATED = 0x0A
SEQUENCE = 0x30


class BerError(ValueError):
    """Octets that are no such BER."""


def tlv(tag: int, *content: bytes) -> bytes:
    """One element: tag, length, content."""
    body = b"".join(content)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A whole number, zero or more."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    return tlv(tag, b"\xff" if value else b"\0")


def text(value: str, tag: int = OCTET_STRING) -> bytes:
    """A string as UTF-8."""
    return tlv(tag, value.encode())


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag of the element at `at`, where its content begins, and where it ends. Raises BerError."""
    if at + 2 > end:
        raise BerError("an element is cut off")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise BerError("a tag of several octets")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > end:
            raise BerError("a length that LDAP doesn't have")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > end:
        raise BerError("an element longer than what is around it")
    return tag, start, start + length


def elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements that stand one behind the other. Raises BerError."""
    while at < end:
        found = element(data, at, end)
        yield found
        at = found[2]


def number(data: bytes, start: int, end: int) -> int:
    """The content of an integer or enumerated. Raises BerError."""
    if not 1 <= end - start <= 8:
        raise BerError("a number of a size that LDAP doesn't have")
    return int.from_bytes(data[start:end], "big", signed=True)
