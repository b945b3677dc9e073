"""Files of many kinds, made as small as their format allows, and messages that carry them."""

from __future__ import annotations

import base64
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

from mta.message.attachments import Attachment, attachments
from mta.message.parse import parse

HEADER = b"From: jane@example.com\r\nTo: bob@example.net\r\nSubject: Files\r\nMIME-Version: 1.0\r\n"
OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")


def zipped(names: Sequence[str], *, flags: int = 0) -> bytes:
    """A ZIP file with entries of these names; `flags` are set in each header, as an encrypting packer would."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"content " * 20, zipfile.ZIP_DEFLATED)  # the same at any time
    data = bytearray(buffer.getvalue())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0 and flags:
            data[start + place] |= flags & 0xFF
            data[start + place + 1] |= flags >> 8
            start = data.find(signature, start + 4)
    return bytes(data)


def open_document(kind: str, *more: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), f"application/vnd.oasis.opendocument.{kind}")
        for name in ("content.xml", *more):
            archive.writestr(zipfile.ZipInfo(name), "<a/>")
    return buffer.getvalue()


def office(folder: str, *more: str) -> bytes:
    return zipped(["docProps/app.xml", "[Content_Types].xml", "_rels/.rels", f"{folder}/document.xml", *more])


def compound(streams: Mapping[str, bytes], class_id: bytes = bytes(16)) -> bytes:
    """A compound file of one allocation sector, one directory sector chain and streams of whole sectors."""
    sectors: list[bytes] = []
    table: list[int] = []

    def add(content: bytes) -> int:
        first = len(sectors)
        pieces = [content[at : at + 512].ljust(512, b"\0") for at in range(0, max(len(content), 1), 512)]
        sectors.extend(pieces)
        table.extend([*range(first + 1, first + len(pieces)), 0xFFFFFFFE])
        return first

    add(b"")  # the allocation table's own place
    entries = [_entry("Root Entry", 5, 0xFFFFFFFE, 0, class_id)]
    entries += [_entry(name, 2, add(content), len(content)) for name, content in streams.items()]
    directory = add(b"".join(entries))
    table[0] = 0xFFFFFFFD
    sectors[0] = b"".join(struct.pack("<I", number) for number in table).ljust(512, b"\xff")
    header = OLE_MAGIC + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, directory, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    return (header + struct.pack("<I", 0)).ljust(512, b"\xff") + b"".join(sectors)


def _entry(name: str, kind: int, start: int, size: int, class_id: bytes = bytes(16)) -> bytes:
    text = name.encode("utf_16_le") + b"\0\0"
    nobody = struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return (
        text.ljust(64, b"\0") + struct.pack("<HBB", len(text), kind, 1) + nobody + class_id + bytes(20)
        + struct.pack("<IQ", start, size)
    )  # fmt: skip


def word(*, encrypted: bool = False) -> bytes:
    """The first block of a Word document's main stream."""
    return (b"\xec\xa5\xc1\x00" + bytes(6) + struct.pack("<H", 0x0100 if encrypted else 0)).ljust(600, b"\0")


def workbook(*, encrypted: bool = False) -> bytes:
    """A BIFF8 stream: BOF, then FILEPASS where it is encrypted."""
    first = struct.pack("<HH", 0x0809, 16) + bytes(16)
    second = struct.pack("<HH", 0x002F, 6) + bytes(6) if encrypted else struct.pack("<HH", 0x0042, 2) + bytes(2)
    return (first + second).ljust(600, b"\0")


def rar_4(names: Sequence[str], *, encrypted: bool = False, hidden: bool = False) -> bytes:
    blocks = b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x73, 0x80 if hidden else 0, 13) + bytes(6)
    for name in () if hidden else names:
        raw = name.encode()
        flags = 0x8000 | (0x04 if encrypted else 0)
        blocks += struct.pack("<HBHH", 0, 0x74, flags, 32 + len(raw)) + struct.pack("<I", 3) + bytes(15)
        blocks += struct.pack("<H", len(raw)) + bytes(4) + raw + b"abc"
    return blocks + (bytes(40) if hidden else struct.pack("<HBHH", 0, 0x7B, 0, 7))


def rar_5(names: Sequence[str], *, encrypted: bool = False, hidden: bool = False) -> bytes:
    def block(content: bytes, data: bytes = b"") -> bytes:
        return bytes(4) + bytes([len(content)]) + content + data

    blocks = b"Rar!\x1a\x07\x01\x00"
    if hidden:
        return blocks + block(bytes([4, 0, 0, 0, 15]) + bytes(16)) + bytes(60)
    blocks += block(bytes([1, 0, 0]))
    for name in names:
        extra = bytes([2, 1, 0]) if encrypted else b""
        raw = name.encode()
        flags = 2 | (1 if extra else 0)
        sizes = bytes([len(extra), 3]) if extra else bytes([3])
        blocks += block(bytes([2, flags]) + sizes + bytes([0, 3, 0, 0, 0, len(raw)]) + raw + extra, b"abc")
    return blocks + block(bytes([5, 0, 0]))


def seven_zip(names: Sequence[str], *, encrypted: bool = False, packed: bool = False, hidden: bool = False) -> bytes:
    """The header of a 7z file: a list of coders and names, packed with LZMA or encrypted where that is asked."""
    lzma_1 = b"\x23\x03\x01\x01\x05]" + struct.pack("<I", 1 << 16)
    aes = b"\x24\x06\xf1\x07\x01\x01\x13"
    coder = aes if encrypted else lzma_1
    text = b"".join(name.encode("utf_16_le") + b"\0\0" for name in names)
    header = b"\x01\x04\x06\x00\x01\x09\x03\x00\x07\x0b\x01\x00\x01" + coder + b"\x0c\x03\x00\x00"
    header += b"\x05" + bytes([len(names)]) + b"\x11" + bytes([len(text) + 1]) + b"\0" + text + b"\0\0"
    body = b"xyz"
    if packed or hidden:
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
        stream = lzma.compress(header, lzma.FORMAT_RAW, filters=filters)
        header = b"\x17\x06" + bytes([len(body), 1]) + b"\x09" + _number(len(stream))
        header += b"\x00\x07\x0b\x01\x00\x01" + (aes if hidden else lzma_1)
        header += b"\x0c" + _number(200) + b"\x00\x00"
        body += stream
    start = struct.pack("<QQI", len(body), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + body + header


def _number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([0x80 | value >> 8, value & 0xFF])


PE = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0d\x86" + bytes(300)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PDF_ENCRYPTED = PDF.replace(b"/Root", b"/Encrypt 5 0 R/Root")
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001") + bytes(60)
GZIP = gzip.compress(b"hello" * 50, mtime=0)


def part(data: bytes, name: str = "file.bin", kind: str = "application/octet-stream", more: bytes = b"") -> bytes:
    """A part in base64; `more` are fields."""
    field = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'.encode()
    body = base64.encodebytes(data).replace(b"\n", b"\r\n").rstrip(b"\r\n")
    return field + more + b"Content-Transfer-Encoding: base64\r\n\r\n" + body


TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nPlease see the files."


def mixed(*parts: bytes, kind: str = "mixed", header: bytes = HEADER, boundary: bytes = b"=_m") -> bytes:
    content = b"".join(b"--" + boundary + b"\r\n" + piece + b"\r\n" for piece in parts)
    return header + b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (kind.encode(), boundary) + (
        content + b"--" + boundary + b"--\r\n"
    )  # fmt: skip


def attached(data: bytes, name: str = "file.bin") -> Attachment:
    """The only attachment of a message."""
    (found,) = attachments(parse(mixed(TEXT, part(data, name))))
    return found
