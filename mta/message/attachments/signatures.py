"""Types by the first octets of a file: what mail brings most, and what attackers bring.

Types are IANA's where it has one, else what is usual. Longer signatures stand before shorter ones of the same kind.
"""

from __future__ import annotations

import re

PE = "application/vnd.microsoft.portable-executable"
ELF = "application/x-executable"
MACH_O = "application/x-mach-binary"
JAVA_CLASS = "application/java-vm"
SHORTCUT = "application/x-ms-shortcut"
ZIP = "application/zip"
OLE = "application/x-ole-storage"
RAR = "application/vnd.rar"
SEVEN_ZIP = "application/x-7z-compressed"
PDF = "application/pdf"
ISO = "application/x-iso9660-image"
UNKNOWN = "application/octet-stream"
EMPTY = "application/x-empty"

_AT_START: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", ZIP), (b"PK\x05\x06", ZIP), (b"PK\x07\x08PK\x03\x04", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"), (b"II*\0", "image/tiff"), (b"MM\0*", "image/tiff"), (b"II+\0", "image/tiff"),
    (b"\0\0\x01\0", "image/vnd.microsoft.icon"), (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"Rar!\x1a\x07", RAR), (b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP), (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"), (b"\xfd7zXZ\0", "application/x-xz"), (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"), (b"LZIP", "application/x-lzip"),
    (b"\x60\xea", "application/x-arj"),
    (b"\x7fELF", ELF), (b"\xce\xfa\xed\xfe", MACH_O), (b"\xcf\xfa\xed\xfe", MACH_O), (b"\xfe\xed\xfa\xce", MACH_O),
    (b"\xfe\xed\xfa\xcf", MACH_O),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", SHORTCUT), (b"ITSF\x03\0\0\0", "application/vnd.ms-htmlhelp"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),
    (b"dex\n", "application/x-dex"), (b"\0asm", "application/wasm"),
    (b"!<arch>\ndebian", "application/x-debian-package"),
    (b"\xed\xab\xee\xdb", "application/x-rpm"), (b"xar!", "application/x-xar"),
    (b"conectix", "application/x-vhd"), (b"vhdxfile", "application/x-vhdx"), (b"KDMV", "application/x-vmdk"),
    (b"CWS", "application/vnd.adobe.flash.movie"), (b"FWS", "application/vnd.adobe.flash.movie"),
    (b"!BDN", "application/vnd.ms-outlook-pst"), (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"wOFF", "font/woff"), (b"wOF2", "font/woff2"), (b"OTTO", "font/otf"), (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"), (b"ID3", "audio/mpeg"), (b"\x1aE\xdf\xa3", "video/x-matroska"), (b"#!AMR", "audio/amr"),
)  # fmt: skip
_FOUND_AT: tuple[tuple[int, bytes, str], ...] = (
    (257, b"ustar", "application/x-tar"), (32769, b"CD001", ISO), (34817, b"CD001", ISO), (36865, b"CD001", ISO),
    (7, b"**ACE**", "application/x-ace-compressed"), (2, b"-lh", "application/x-lzh-compressed"),
    (4, b"Standard Jet DB\0", "application/vnd.ms-access"), (4, b"Standard ACE DB\0", "application/vnd.ms-access"),
)  # fmt: skip
HEAD_OCTETS = 36_870
"""As far as the signatures reach."""
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/vnd.wave", b"AVI ": "video/vnd.avi", b"ACON": "image/x-ani"}
_FTYP = {
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif",
    b"avif": "image/avif", b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4",
}  # fmt: skip
_BY_FIRST: dict[int, list[tuple[bytes, str]]] = {}
for _signature, _type in _AT_START:
    _BY_FIRST.setdefault(_signature[0], []).append((_signature, _type))
_PDF = re.compile(rb"%PDF-\d")
_PDF_WITHIN = 1024  # octets: readers look for the beginning so far


def by_signature(head: bytes) -> str:
    """The type that the first octets show; "" where they show none."""
    if not head:
        return EMPTY
    for signature, media_type in _BY_FIRST.get(head[0], ()):
        if head.startswith(signature):
            return media_type
    if _PDF.search(head, 0, _PDF_WITHIN):
        return PDF
    for place, signature, media_type in _FOUND_AT:
        if head.startswith(signature, place):
            return media_type
    return _by_structure(head)


def _by_structure(head: bytes) -> str:
    if head.startswith(b"MZ"):
        return PE
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A count of architectures in fat Mach-O; in Java the class file version, which began at 45.
        return MACH_O if int.from_bytes(head[4:8], "big") < 40 else JAVA_CLASS
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], "video/mp4")
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0" and len(head) > 17 and head[14:18] in _BITMAP_HEADERS:
        return "image/bmp"
    return ""


_BITMAP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
