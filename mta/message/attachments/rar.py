"""RAR archives, versions 1.5 to 5: names and encryption by their block headers; nothing is unpacked."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mta.message.attachments.held import NAMES_MAX, Held

_RAR_4, _RAR_5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_BLOCK_4 = struct.Struct("<xxBHH")
_MAIN_4, _FILE_4 = 0x73, 0x74
_HEADERS_ENCRYPTED_4, _ENCRYPTED_4, _LARGE_4, _UNICODE_4 = 0x0080, 0x0004, 0x0100, 0x0200
_FILE_5, _ENCRYPTION_5 = 2, 4
_EXTRA_5, _DATA_5, _DIRECTORY_5, _TIME_5, _CRC_5 = 0x0001, 0x0002, 0x0001, 0x0002, 0x0004
_ENCRYPTION_RECORD_5 = 1


class _BrokenError(Exception):
    """The archive ends inside a block, or says what can't be."""


def look_into(octets: bytes) -> Held:
    """Names of the files, and whether they or the headers are encrypted."""
    names: list[str] = []
    is_encrypted = False
    blocks = _blocks_5(octets) if octets.startswith(_RAR_5) else _blocks_4(octets)
    try:
        for name, encrypted in blocks:
            is_encrypted |= encrypted
            if name:
                names.append(name)
    except (_BrokenError, IndexError, struct.error):
        pass  # what was found up to there counts
    return Held(tuple(names), is_encrypted)


def _blocks_4(octets: bytes) -> Iterator[tuple[str, bool]]:
    """Of each block that tells something: a file's name or "", and whether something is encrypted."""
    place = len(_RAR_4)
    for _ in range(NAMES_MAX):
        kind, flags, size = _BLOCK_4.unpack_from(octets, place)
        if size < 7:
            raise _BrokenError
        behind = place + size
        if kind == _FILE_4:
            packed = int.from_bytes(octets[place + 7 : place + 11], "little")
            if flags & _LARGE_4:
                packed |= int.from_bytes(octets[place + 32 : place + 36], "little") << 32
            start = place + (40 if flags & _LARGE_4 else 32)
            raw = octets[start : start + int.from_bytes(octets[place + 26 : place + 28], "little")]
            name = raw.partition(b"\0")[0] if flags & _UNICODE_4 else raw
            yield name.decode("utf_8", "replace"), bool(flags & _ENCRYPTED_4)
            behind += packed
        elif kind == _MAIN_4:
            yield "", bool(flags & _HEADERS_ENCRYPTED_4)
            if flags & _HEADERS_ENCRYPTED_4:
                return
        elif flags & 0x8000:
            behind += int.from_bytes(octets[place + 7 : place + 11], "little")
        place = behind


def _blocks_5(octets: bytes) -> Iterator[tuple[str, bool]]:
    place = len(_RAR_5)
    for _ in range(NAMES_MAX):
        size, start = _number(octets, place + 4)
        end = start + size
        kind, at = _number(octets, start)
        flags, at = _number(octets, at)
        extra, at = _number(octets, at) if flags & _EXTRA_5 else (0, at)
        data, at = _number(octets, at) if flags & _DATA_5 else (0, at)
        if not size:
            raise _BrokenError
        if kind == _ENCRYPTION_5:
            yield "", True
            return
        if kind == _FILE_5:
            yield _name_5(octets, at), _is_encrypted_5(octets, end - extra, end)
        place = end + data


def _name_5(octets: bytes, at: int) -> str:
    flags, at = _number(octets, at)
    _, at = _number(octets, at)
    _, at = _number(octets, at)
    at += (4 if flags & _TIME_5 else 0) + (4 if flags & _CRC_5 else 0)
    _, at = _number(octets, at)
    _, at = _number(octets, at)
    length, at = _number(octets, at)
    return "" if flags & _DIRECTORY_5 else octets[at : at + length].decode("utf_8", "replace")


def _is_encrypted_5(octets: bytes, at: int, end: int) -> bool:
    """Whether the extra area has a record of the encryption."""
    while at < end:
        size, start = _number(octets, at)
        kind, _ = _number(octets, start)
        if kind == _ENCRYPTION_RECORD_5:
            return True
        at = start + max(size, 1)
    return False


def _number(octets: bytes, at: int) -> tuple[int, int]:
    """RAR 5's numbers of varying length, seven bits to an octet. Raises IndexError behind the end."""
    value = shift = 0
    while shift < 70:
        octet = octets[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return value, at
        shift += 7
    raise _BrokenError
