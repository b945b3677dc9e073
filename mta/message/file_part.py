"""A file as a MIME part: its fields, with a name in any script (RFC 2231, RFC 2183), and its content in base64."""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import quote

from mta.message.encoded_words import encode_words
from mta.message.transfer import encode_base64

_SECTION = 60
"""Characters of a name in one RFC 2231 section."""
_TYPES = {
    "pdf": "application/pdf", "doc": "application/msword", "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint", "rtf": "application/rtf", "txt": "text/plain", "csv": "text/csv",
    "html": "text/html", "htm": "text/html", "xml": "application/xml", "json": "application/json",
    "ics": "text/calendar", "vcf": "text/vcard", "zip": "application/zip", "png": "image/png", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml", "webp": "image/webp", "tif": "image/tiff",
    "tiff": "image/tiff", "mp3": "audio/mpeg", "mp4": "video/mp4", "cer": "application/pkix-cert",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
}  # fmt: skip


def media_type(filename: str) -> str:
    """By the extension; the same on every machine."""
    return _TYPES.get(PurePath(filename).suffix.lstrip(".").lower(), "application/octet-stream")


def file_part(filename: str, data: bytes) -> bytes:
    """Header and body of an attachment, no line longer than 78 characters, without a line end behind the body."""
    header = b"".join((
        b"Content-Type: ", media_type(filename).encode("ascii"), b";\r\n\t", name_parameter("name", filename),
        b"\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Disposition: attachment;\r\n\t", name_parameter("filename", filename), b"\r\n\r\n",
    ))  # fmt: skip
    return header + encode_base64(data)


def name_parameter(parameter: str, filename: str) -> bytes:
    """`name="terms.pdf"`, or in other scripts RFC 2231 for `filename`, RFC 2047 for `name`, which Outlook reads so."""
    clean = "".join(character for character in filename if character.isprintable()).replace("\\", "/")
    if clean.isascii() and len(clean) <= _SECTION:
        return f'{parameter}="{clean.replace(chr(34), chr(39))}"'.encode("ascii")
    if parameter == "name":
        return b'name="' + b"\r\n\t".join(encode_words(clean, whole=True)) + b'"'
    octets = quote(clean, safe="")
    pieces = [""]
    while octets:
        length = 3 if octets[0] == "%" else 1
        if len(pieces[-1]) + length > _SECTION:
            pieces.append("")
        pieces[-1] += octets[:length]
        octets = octets[length:]
    if len(pieces) == 1:
        return f"filename*=utf-8''{pieces[0]}".encode("ascii")
    sections = [f"filename*{n}*={'utf-8' + chr(39) * 2 if not n else ''}{piece}" for n, piece in enumerate(pieces)]
    return ";\r\n\t".join(sections).encode("ascii")
