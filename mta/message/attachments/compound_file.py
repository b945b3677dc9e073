"""Compound files (OLE 2, [MS-CFB]): old Office documents, Outlook messages, installers, and encrypted new documents."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from mta.message.attachments.held import NOTHING, Held

WORD, SHEET, SLIDES = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
ENCRYPTED, MSG, MSI = "application/encrypted", "application/vnd.ms-outlook", "application/x-msi"

_SECTORS_MAX = 64
"""Of the directory; 4 entries to a sector of 512 octets."""
_ENTRY = struct.Struct("<64sHBB12x16s20xIQ")
_END_OF_CHAIN = 0xFFFFFFFA
_MSI_CLASSES = frozenset({
    bytes.fromhex("84100c0000000000c000000000000046"), bytes.fromhex("86100c0000000000c000000000000046"),
    bytes.fromhex("82100c0000000000c000000000000046"),
})  # fmt: skip
_FILEPASS = b"\x2f\x00"
_TYPES = (
    ("encryptedpackage", ENCRYPTED), ("__properties_version1.0", MSG), ("powerpoint document", SLIDES),
    ("worddocument", WORD), ("workbook", SHEET), ("book", SHEET), ("visiodocument", "application/vnd.visio"),
)  # fmt: skip
_MACROS = frozenset({"vba", "_vba_project_cur", "macros", "_vba_project"})
_STREAM, _ROOT = 2, 5


class _Entry(NamedTuple):
    name: str
    kind: int
    class_id: bytes
    start: int
    size: int


def look_into(octets: bytes) -> Held:
    """Type, macros and encryption, from the first entries of the directory."""
    entries = list(_entries(octets))
    if not entries:
        return NOTHING
    by_name = {entry.name.lower(): entry for entry in entries}
    media_type = next((kind for name, kind in _TYPES if name in by_name), "")
    if not media_type and any(entry.kind == _ROOT and entry.class_id in _MSI_CLASSES for entry in entries):
        media_type = MSI
    names = () if media_type != MSG else tuple(entry.name for entry in entries)
    is_encrypted = media_type == ENCRYPTED or "encryptedsummary" in by_name or _says_encrypted(octets, by_name)
    return Held(names, is_encrypted, media_type, not _MACROS.isdisjoint(by_name))


def _entries(octets: bytes) -> Iterator[_Entry]:
    sector_octets = _sector_octets(octets)
    if not sector_octets:
        return
    sector = int.from_bytes(octets[48:52], "little")
    for _ in range(_SECTORS_MAX):
        start = (sector + 1) * sector_octets
        if sector >= _END_OF_CHAIN or start >= len(octets):
            return
        for place in range(start, min(start + sector_octets, len(octets) - _ENTRY.size + 1), 128):
            name, length, kind, _, class_id, first, size = _ENTRY.unpack_from(octets, place)
            if kind:
                text = name[: max(0, min(length, 64) - 2)].decode("utf_16_le", "replace")
                yield _Entry(text.lstrip("\x01\x05\x06"), kind, class_id, first, size)
        sector = _next_sector(octets, sector, sector_octets)


def _sector_octets(octets: bytes) -> int:
    """512 or 4096; 0 for what is no compound file."""
    return 1 << octets[30] if len(octets) >= 512 and octets[30] in (9, 12) else 0


def _next_sector(octets: bytes, sector: int, sector_octets: int) -> int:
    """By the allocation table, of which the header names the first 109 sectors: enough for 7 MB."""
    per_sector = sector_octets // 4
    table = 76 + 4 * (sector // per_sector)
    if table >= 512:
        return _END_OF_CHAIN
    place = (int.from_bytes(octets[table : table + 4], "little") + 1) * sector_octets + 4 * (sector % per_sector)
    found = octets[place : place + 4]
    return int.from_bytes(found, "little") if len(found) == 4 else _END_OF_CHAIN


def _says_encrypted(octets: bytes, by_name: dict[str, _Entry]) -> bool:
    """Word's flag in its first block ([MS-DOC] 2.5.2), Excel's FILEPASS record behind the first ([MS-XLS] 2.4.117)."""
    sector_octets = _sector_octets(octets)
    word = by_name.get("worddocument")
    if word is not None and word.kind == _STREAM:
        start = (word.start + 1) * sector_octets
        return bool(octets[start + 11 : start + 12] and octets[start + 11] & 0x01)
    book = by_name.get("workbook") or by_name.get("book")
    if book is None or book.kind != _STREAM:
        return False
    place = (book.start + 1) * sector_octets
    for _ in range(5):
        kind, length = octets[place : place + 2], int.from_bytes(octets[place + 2 : place + 4], "little")
        if kind == _FILEPASS:
            return True
        place += 4 + length
    return False
