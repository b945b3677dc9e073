"""7z archives: whether files or headers are encrypted, and names, by the header at their end.

7-Zip packs that header with LZMA; it is unpacked up to a bound, and nothing else is.
"""

from __future__ import annotations

import lzma

from mta.message.attachments.held import NAMES_MAX, NOTHING, Held

_HEADER, _ENCODED_HEADER = 0x01, 0x17
_AES = b"\x06\xf1\x07\x01"
_LZMA, _LZMA_2 = b"\x03\x01\x01", b"\x21"
_HEADER_MAX = 4_000_000
_UNPACKED_MAX = 500_000
_DICTIONARY_MAX = 1 << 24
_PLACES_MAX = 200
"""Octets that may begin the names, tried from the end."""


class _BrokenError(Exception):
    """The header says what can't be, or more than we read."""


def look_into(octets: bytes) -> Held:
    """Encryption by the header's list of coders, names by its list of files."""
    offset, size = int.from_bytes(octets[12:20], "little"), int.from_bytes(octets[20:28], "little")
    header = octets[32 + offset : 32 + offset + size]
    if not 0 < size <= _HEADER_MAX or len(header) < size:
        return NOTHING
    if header[0] == _ENCODED_HEADER:
        if _AES in header:
            return Held(is_encrypted=True)
        try:
            header = _unpacked(octets, header)
        except (_BrokenError, IndexError, lzma.LZMAError):
            return NOTHING
    return Held(_names(header), _AES in header)


def _unpacked(octets: bytes, header: bytes) -> bytes:
    """An encoded header's content: one packed stream, one coder."""
    reader = _Reader(header, 1)
    reader.expect(0x06)
    place = 32 + reader.number()
    if reader.number() != 1:
        raise _BrokenError
    reader.expect(0x09)
    packed = octets[place : place + reader.number()]
    reader.skip_to(0x07)
    reader.expect(0x0B)
    if reader.number() != 1 or reader.octet() != 0 or reader.number() != 1:
        raise _BrokenError
    flags = reader.octet()
    coder = reader.take(flags & 0x0F)
    properties = reader.take(reader.number()) if flags & 0x20 else b""
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(coder, properties)]).decompress(
        packed, max_length=_UNPACKED_MAX
    )


def _filter(coder: bytes, properties: bytes) -> dict[str, int]:
    if coder == _LZMA and len(properties) == 5:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        size = int.from_bytes(properties[1:5], "little")
        found = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    elif coder == _LZMA_2 and len(properties) == 1:
        size = (2 | properties[0] & 1) << (properties[0] // 2 + 11)
        found = {"id": lzma.FILTER_LZMA2}
    else:
        raise _BrokenError
    # A small header needs no more of a dictionary than itself, whatever it asks for.
    return {**found, "dict_size": min(max(size, 4096), _DICTIONARY_MAX)}


def _names(header: bytes) -> tuple[str, ...]:
    """UTF-16 names, each closed by a NUL, in the property that follows the files' other ones."""
    start = header.rfind(b"\x11")
    for _ in range(_PLACES_MAX):
        if start < 0:
            break
        reader = _Reader(header, start + 1)
        try:
            size = reader.number()
            if reader.octet() == 0 and size > 3 and size % 2 and reader.place + size - 1 <= len(header):
                text = reader.take(size - 1).decode("utf_16_le")
                if text.endswith("\0") and text.replace("\0", "").isprintable():
                    return tuple(text.split("\0")[:-1][:NAMES_MAX])
        except (IndexError, UnicodeDecodeError, _BrokenError):
            pass
        start = header.rfind(b"\x11", 0, start)
    return ()


class _Reader:
    """Reads 7z's numbers one after the other. Raises IndexError behind the end."""

    def __init__(self, octets: bytes, place: int) -> None:
        self._octets = octets
        self.place = place

    def octet(self) -> int:
        self.place += 1
        return self._octets[self.place - 1]

    def take(self, count: int) -> bytes:
        self.place += count
        return self._octets[self.place - count : self.place]

    def number(self) -> int:
        """The first octet's leading ones tell how many octets follow."""
        first = self.octet()
        value, mask = 0, 0x80
        for position in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * position)
            value |= self.octet() << (8 * position)
            mask >>= 1
        return value

    def expect(self, kind: int) -> None:
        if self.octet() != kind:
            raise _BrokenError

    def skip_to(self, kind: int) -> None:
        """Over digests to the next property."""
        while self.octet() != kind:
            pass
