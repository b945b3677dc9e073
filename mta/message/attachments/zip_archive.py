"""ZIP files and the formats built on them, by their directory alone: nothing is unpacked (APPNOTE 6.3.10 §4.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from mta.message.attachments.held import NAMES_MAX, NOTHING, Held

_END = b"PK\x05\x06"
_END_REACH = 65_557  # octets: the record and the longest comment behind it
_ENTRY = struct.Struct("<4s4xHH8xIIHHH8xI")
_LOCAL = struct.Struct("<4s2xHH8xIIHH")
_END_RECORD = struct.Struct("<4s8xII")
_END_64 = struct.Struct("<4s36xQQ")
_ENCRYPTED, _DIRECTORY_ENCRYPTED, _UTF_8, _STREAMED = 0x0001, 0x2000, 0x0800, 0x0008
_AES = 99
_MIMETYPE_MAX = 100

_OOXML = "application/vnd.openxmlformats-officedocument."
WORD, WORD_MACRO = _OOXML + "wordprocessingml.document", "application/vnd.ms-word.document.macroenabled.12"
SHEET, SHEET_MACRO = _OOXML + "spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12"
SLIDES, SLIDES_MACRO = (
    _OOXML + "presentationml.presentation",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12",
)
SHEET_BINARY = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
JAR, APK, MSIX = "application/java-archive", "application/vnd.android.package-archive", "application/msix"
OFFICE = "application/vnd.openxmlformats-officedocument"
"""Of a kind that is not known, or cut off."""
_OFFICE = (("word/", WORD, WORD_MACRO), ("xl/", SHEET, SHEET_MACRO), ("ppt/", SLIDES, SLIDES_MACRO))


def holds_archive(octets: bytes) -> bool:
    """Whether a ZIP file's directory is at the end, whatever stands before it."""
    return next(_directory(octets), None) is not None


class _Entry(NamedTuple):
    name: str
    flags: int
    method: int


def look_into(octets: bytes) -> Held:
    """Names, type and encryption of a ZIP file, from its directory, or where that is broken from its entries."""
    entries = list(_directory(octets)) or list(_local_entries(octets))
    if not entries:
        return NOTHING
    names = tuple(entry.name for entry in entries)
    is_encrypted = any(entry.flags & (_ENCRYPTED | _DIRECTORY_ENCRYPTED) or entry.method == _AES for entry in entries)
    has_macros = any(_is_macro(name.lower()) for name in names)
    return Held(names, is_encrypted, _media_type(octets, names, has_macros=has_macros), has_macros)


def _is_macro(name: str) -> bool:
    """VBA, Excel 4 macro sheets, and the Basic of OpenDocument."""
    return name.endswith("/vbaproject.bin") or name.startswith(("xl/macrosheets/", "basic/"))


def _media_type(octets: bytes, names: tuple[str, ...], *, has_macros: bool) -> str:
    if mimetype := _mimetype(octets):
        return mimetype
    known = {name.lower().replace("\\", "/") for name in names}
    if "[content_types].xml" in known:
        if "xl/workbook.bin" in known:
            return SHEET_BINARY
        for folder, plain, macro in _OFFICE:
            if any(name.startswith(folder) for name in known):
                return macro if has_macros else plain
        return OFFICE
    if "appxmanifest.xml" in known or "appxmetadata/appxbundlemanifest.xml" in known:
        return MSIX
    if "androidmanifest.xml" in known:
        return APK
    return JAR if "meta-inf/manifest.mf" in known else ""


def _mimetype(octets: bytes) -> str:
    """Of OpenDocument and EPUB: the first entry, not compressed, holds it."""
    if octets[30:38] != b"mimetype" or octets[8:10] != b"\0\0":
        return ""
    size, extra = int.from_bytes(octets[18:22], "little"), int.from_bytes(octets[28:30], "little")
    value = octets[38 + extra : 38 + extra + min(size, _MIMETYPE_MAX)]
    text = value.decode("ascii", "replace").strip().lower()
    return text if text.startswith("application/") and text.isprintable() else ""


def _directory(octets: bytes) -> Iterator[_Entry]:
    """The entries of the central directory; offsets in it may be wrong where something stands before the archive."""
    end = octets.rfind(_END, max(0, len(octets) - _END_REACH))
    if end < 0 or len(octets) < end + _END_RECORD.size:
        return
    _, size, offset = _END_RECORD.unpack_from(octets, end)
    behind = end
    if 0xFFFFFFFF in (size, offset):
        size, behind = _size_64(octets, end)
    place = behind - size if 0 < size <= behind else offset
    if octets[place : place + 4] != b"PK\x01\x02":
        place = offset
    for _ in range(NAMES_MAX):
        if len(octets) < place + _ENTRY.size:
            return
        signature, flags, method, _, _, name, extra, comment, _ = _ENTRY.unpack_from(octets, place)
        if signature != b"PK\x01\x02":
            return
        start = place + _ENTRY.size
        yield _Entry(_name(octets[start : start + name], flags), flags, method)
        place = start + name + extra + comment


def _size_64(octets: bytes, end: int) -> tuple[int, int]:
    """Size of a ZIP64 directory, and where it ends."""
    locator = end - 20
    if locator < 0 or octets[locator : locator + 4] != b"PK\x06\x07":
        return 0, end
    record = octets.rfind(b"PK\x06\x06", max(0, locator - _END_REACH), locator)
    if record < 0 or len(octets) < record + _END_64.size:
        return 0, end
    _, size, _ = _END_64.unpack_from(octets, record)
    return size, record


def _local_entries(octets: bytes) -> Iterator[_Entry]:
    """What the headers before the entries say: unpackers use them where there is no directory."""
    place = octets.find(b"PK\x03\x04")
    for _ in range(NAMES_MAX):
        if place < 0 or len(octets) < place + _LOCAL.size:
            return
        _, flags, method, packed, _, name, extra = _LOCAL.unpack_from(octets, place)
        start = place + _LOCAL.size
        yield _Entry(_name(octets[start : start + name], flags), flags, method)
        behind = start + name + extra + (0 if flags & _STREAMED else packed)
        place = octets.find(b"PK\x03\x04", behind)


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf_8" if flags & _UTF_8 else "cp437", "replace")
