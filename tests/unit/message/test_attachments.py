"""What attachments are by their content, what they hold, and what their names say."""

from __future__ import annotations

import binascii
import struct

import pytest

from mta.message.attachments import Attachment, Wanted, attachments
from mta.message.attachments.held import NAMES_MAX
from mta.message.attachments.libmagic import by_libmagic
from mta.message.parse import parse
from tests.unit.message.attachment_samples import (
    GZIP,
    HEADER,
    OLE_MAGIC,
    PDF,
    PDF_ENCRYPTED,
    PE,
    PNG,
    TEXT,
    attached,
    compound,
    mixed,
    office,
    open_document,
    part,
    rar_4,
    rar_5,
    seven_zip,
    word,
    workbook,
    zipped,
)

_OOXML = "application/vnd.openxmlformats-officedocument"
_MSI = bytes.fromhex("84100c0000000000c000000000000046")
TYPES = {
    "application/pdf": [PDF, b"\r\njunk before\n" + PDF],
    "application/vnd.microsoft.portable-executable": [PE],
    "application/x-executable": [b"\x7fELF\x02\x01\x01" + bytes(60)],
    "application/x-mach-binary": [b"\xcf\xfa\xed\xfe" + bytes(60), b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(60)],
    "application/java-vm": [b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60)],
    "application/x-ms-shortcut": [bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(60)],
    "application/zip": [zipped(["a.txt"]), b"stub" * 100 + zipped(["a.txt"]), b"\0stub" + zipped(["a.txt"])],
    f"{_OOXML}.wordprocessingml.document": [office("word")],
    f"{_OOXML}.spreadsheetml.sheet": [office("xl")],
    f"{_OOXML}.presentationml.presentation": [office("ppt")],
    "application/vnd.ms-word.document.macroenabled.12": [office("word", "word/vbaProject.bin")],
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": [office("xl", "xl/workbook.bin")],
    "application/vnd.oasis.opendocument.text": [open_document("text")],
    "application/java-archive": [zipped(["META-INF/MANIFEST.MF", "A.class"])],
    "application/vnd.android.package-archive": [zipped(["AndroidManifest.xml", "classes.dex"])],
    "application/msix": [zipped(["AppxManifest.xml"])],
    "application/msword": [compound({"WordDocument": word()})],
    "application/vnd.ms-excel": [compound({"Workbook": workbook()})],
    "application/vnd.ms-powerpoint": [compound({"PowerPoint Document": b""})],
    "application/vnd.ms-outlook": [compound({"__properties_version1.0": b""})],
    "application/encrypted": [compound({"EncryptedPackage": b"", "EncryptionInfo": b""})],
    "application/x-msi": [compound({"a": b""}, _MSI)],
    "application/x-ole-storage": [compound({"Contents": b""}), OLE_MAGIC, OLE_MAGIC + bytes(2000)],
    "application/vnd.rar": [rar_4(["a"]), rar_5(["a"])],
    "application/x-7z-compressed": [seven_zip(["a"])],
    "application/gzip": [GZIP],
    "application/x-iso9660-image": [bytes(32769) + b"CD001\x01" + bytes(3000)],
    "image/png": [PNG],
    "image/jpeg": [b"\xff\xd8\xff\xe1" + bytes(40)],
    "image/svg+xml": [b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', b"<svg:svg/>"],
    "text/html": [
        b"  \n<!DOCTYPE html>\n<p>x",
        b"<script>location='x'</script>",
        "\ufeff<html>".encode("utf_16"),
        b"<!-- a -->\r\n<body>",
        b"<html>\x01\x02<script>",
    ],
    "application/hta": [b"<html><HTA:APPLICATION ID='x'><script>"],
    "text/x-shellscript": [b"#!/bin/sh\nrm -rf x\n"],
    "application/rtf": [b"{\\rtf1\\ansi x}"],
    "application/xml": [b"<?xml version='1.0'?>\n<a/>"],
    "application/json": [b'{"a": [1, 2]}\n'],
    "text/calendar": [b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"],
    "message/rfc822": [b"Received: by a\r\n\tfrom b\r\nFrom: a@example.com\r\nSubject: x\r\n\r\nx"],
    "text/plain": [b"Hello,\n<name> wrote: a < b\n", "Grüße".encode(), "Grüße".encode("latin_1"), b"a,b\n1,2\n"],
    "application/x-empty": [b""],
    "application/octet-stream": [bytes(range(1, 200)) + bytes(40)],
}


@pytest.mark.parametrize(("media_type", "data"), [(kind, data) for kind, samples in TYPES.items() for data in samples])
def test_type_by_content(media_type: str, data: bytes) -> None:
    assert attached(data, "innocent.dat").media_type == media_type


def test_types_that_our_signatures_lack_come_from_libmagic() -> None:
    sun_audio = b".snd\0\0\0\x18" + bytes(4) + struct.pack(">III", 1, 8000, 1) + bytes(60)
    assert attached(sun_audio).media_type == by_libmagic(sun_audio) == "audio/basic"


ENCRYPTED = {
    "zip": zipped(["a.txt"], flags=1),
    "zip with an encrypted directory": zipped(["a.txt"], flags=0x2000),
    "zip without a directory": zipped(["a.txt"], flags=1).partition(b"PK\x01\x02")[0],
    "rar 4": rar_4(["a.txt"], encrypted=True),
    "rar 4 with encrypted headers": rar_4(["a.txt"], hidden=True),
    "rar 5": rar_5(["a.txt"], encrypted=True),
    "rar 5 with encrypted headers": rar_5(["a.txt"], hidden=True),
    "7z": seven_zip(["a.txt"], encrypted=True),
    "7z with a packed header": seven_zip(["a.txt"], encrypted=True, packed=True),
    "7z with an encrypted header": seven_zip(["a.txt"], hidden=True),
    "pdf": PDF_ENCRYPTED,
    "pdf with the dictionary inside": PDF.replace(b"/Root", b"/Encrypt<</V 4>>/Root"),
    "new office": compound({"EncryptedPackage": b"", "EncryptionInfo": b""}),
    "word": compound({"WordDocument": word(encrypted=True)}),
    "excel": compound({"Workbook": workbook(encrypted=True)}),
    "powerpoint": compound({"PowerPoint Document": b"", "EncryptedSummary": b""}),
    "pgp": b"-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n",
}
READABLE = {
    "zip": zipped(["a.txt"]),
    "rar 4": rar_4(["a.txt"]),
    "rar 5": rar_5(["a.txt"]),
    "7z": seven_zip(["a.txt"]),
    "7z with a packed header": seven_zip(["a.txt"], packed=True),
    "pdf": PDF,
    "pdf that speaks of it": PDF.replace(b"Catalog", b"Catalog/Title(How to /Encrypt files)"),
    "word": compound({"WordDocument": word()}),
    "excel": compound({"Workbook": workbook()}),
    "text": b"/Encrypt 1 0 R",
    "docx": office("word"),
}


@pytest.mark.parametrize("name", ENCRYPTED)
def test_encrypted(name: str) -> None:
    assert attached(ENCRYPTED[name]).is_encrypted


@pytest.mark.parametrize("name", READABLE)
def test_not_encrypted(name: str) -> None:
    assert not attached(READABLE[name]).is_encrypted


@pytest.mark.parametrize(
    ("data", "name", "because"),
    [
        (PE, "holiday.jpg", "is application/vnd.microsoft.portable-executable"),
        (b"echo", "run.CMD", "is called .cmd"),
        (b"x", "invoice.pdf.exe. .", "is called .exe"),
        (b"x", "..\\..\\start\\evil.vbs", "is called .vbs"),
        (b"x", "cod\u202eexe.doc", ""),
        (b"x", "doc\u202e.scr", "is called .scr"),
        (zipped(["docs/a.txt", "docs/Setup.EXE"]), "a.zip", "holds setup.exe"),
        (rar_4(["a.js"]), "a.rar", "holds a.js"),
        (rar_5(["a.lnk"]), "a.rar", "holds a.lnk"),
        (seven_zip(["a.txt", "b.scr"]), "a.7z", "holds b.scr"),
        (seven_zip(["a.txt", "b.scr"], packed=True), "a.7z", "holds b.scr"),
        (office("word", "word/vbaProject.bin"), "letter.docx", "has macros"),
        (office("xl", "xl/macrosheets/sheet1.xml"), "sheet.xlsx", "has macros"),
        (open_document("text", "Basic/Standard/Module1.xml"), "letter.odt", "has macros"),
        (compound({"WordDocument": word(), "VBA": b""}), "letter.doc", "has macros"),
        (b"#!/usr/bin/perl\n", "notes.txt", "is text/x-shellscript"),
        (office("word"), "letter.docx", ""),
        (zipped(["a.txt"]), "a.zip", ""),
        (PDF, "a.pdf", ""),
        (b"an .exe is mentioned", "a.txt", ""),
    ],
)
def test_what_runs(data: bytes, name: str, because: str) -> None:
    assert attached(data, name).runs_because == because


def test_a_second_name_does_not_hide_the_first() -> None:
    field = (
        b'Content-Type: application/octet-stream; name="a.exe"\r\nContent-Disposition: attachment; filename=a.txt\r\n'
    )
    (found,) = attachments(parse(mixed(TEXT, field + b"\r\nx")))
    assert found.runs_because == "is called .exe"
    assert found.names == ("a.txt", "a.exe")


@pytest.mark.parametrize(
    "disposition",
    [
        b"attachment; filename=a.txt\r\nContent-Disposition: attachment; filename=b.exe",
        b"attachment; filename=a.txt; filename=b.exe",
        b"attachment; filename=\"b.exe\"; filename*=utf-8''a.txt",
        b"attachment; filename*=utf-8''a.txt; filename*=utf-8''b%2Eexe",
    ],
)
def test_of_several_names_none_is_passed_over(disposition: bytes) -> None:
    field = b"Content-Type: application/octet-stream\r\nContent-Disposition: " + disposition + b"\r\n"
    (found,) = attachments(parse(mixed(TEXT, field + b"\r\nx")))
    assert found.names == ("a.txt", "b.exe")


@pytest.mark.parametrize(
    "kind", ["application/pgp-signature", "application/pkcs7-signature", "message/feedback-report"]
)
@pytest.mark.parametrize(("data", "name"), [(b"x", "invoice.exe"), (PE, "invoice")])
def test_a_program_that_poses_as_a_signature_is_a_file(kind: str, data: bytes, name: str) -> None:
    (found,) = attachments(parse(mixed(TEXT, part(data, name, kind))))
    assert found.runs_because
    assert attachments(parse(mixed(TEXT, part(b"x", "invoice", kind)))) == []


def test_an_attached_message_holds_its_files() -> None:
    inner = mixed(TEXT, part(b"x", "virus.exe"), boundary=b"=_inner")
    (found,) = attachments(parse(mixed(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner)))
    assert (found.media_type, found.runs_because) == ("message/rfc822", "holds virus.exe")


@pytest.mark.parametrize(
    ("data", "name", "lies"),
    [
        (PE, "a.pdf", True),
        (PDF, "a.pdf", False),
        (zipped(["a"]), "a.docx", True),
        (office("word"), "a.docx", False),
        (office("xl"), "a.docx", True),
        (b"{\\rtf1 x}", "a.doc", False),
        (b"a;b\n1;2\n", "table.xls", False),
        (b"a;b\n1;2\n", "table.xlsx", True),
        (b"<html><script>", "a.txt", False),
        (PNG, "a.jpg", False),
        (b"<html>", "a.png", True),
        (bytes(range(200)), "a.png", True),
        (bytes(range(200)), "a.txt", False),
        (PE, "a.unknown", False),
        (b"", "a.pdf", False),
        (compound({"EncryptedPackage": b""}), "a.xlsx", False),
    ],
)
def test_an_extension_that_lies(data: bytes, name: str, lies: bool) -> None:
    assert attached(data, name).lies is lies


def test_size_is_that_of_the_decoded_content() -> None:
    for length in (0, 1, 2, 3, 57, 1000, 74_999, 75_000, 200_001):
        assert attached(bytes(length)).size_octets == length
    quoted = b"Content-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc"
    (found,) = attachments(parse(mixed(TEXT, quoted)))
    assert (found.octets, found.size_octets) == (b"a=bc", 4)


def test_a_size_in_the_header_counts_for_nothing() -> None:
    field = b'Content-Type: a/b\r\nContent-Disposition: attachment; size=99999999; filename="a"\r\n\r\nxy'
    (found,) = attachments(parse(mixed(TEXT, field)))
    assert found.size_octets == 2


def test_broken_base64_is_read_as_mail_readers_do() -> None:
    letters = part(PE).replace(b"TVoA", b"T!V\to-A", 1)
    (found,) = attachments(parse(mixed(TEXT, letters)))
    assert found.octets == PE


def test_uuencoded() -> None:
    lines = b"".join(binascii.b2a_uu(PDF[at : at + 45]) for at in range(0, len(PDF), 45)).replace(b"\n", b"\r\n")
    body = b"begin 644 a.pdf\r\n" + lines + b"`\r\nend"
    (found,) = attachments(parse(mixed(TEXT, b"Content-Type: a/b\r\nContent-Transfer-Encoding: x-uue\r\n\r\n" + body)))
    assert found.octets == PDF


def test_a_directory_of_many_entries_is_read_to_a_bound() -> None:
    entry = struct.pack("<4s4xHH8xIIHHH8xI", b"PK\x01\x02", 0, 0, 0, 0, 5, 0, 0, 0) + b"a.txt"
    count = 60_000
    directory = entry * count
    end = struct.pack("<4s8xII2x", b"PK\x05\x06", len(directory), 0)
    found = attached(b"PK\x03\x04" + directory + end)
    assert len(found.held_names) == NAMES_MAX
    assert found.media_type == "application/zip"


def hostile() -> dict[str, bytes]:
    """Content made to be slow or to lead in circles."""
    looping = bytearray(compound({"a": b""}))
    looping[512:1024] = struct.pack("<I", 1) * 128  # every sector follows on sector 1
    lines = b"\n" * 100_000
    return {
        "compound file in circles": bytes(looping),
        "zip that points outside": b"PK\x03\x04" + b"PK\x05\x06" + struct.pack("<8xII2x", 0xFFFFFFF0, 0xFFFFFFF0),
        "zip of local headers": b"PK\x03\x04" * 30_000,
        "zip 64 of nonsense": b"PK\x03\x04" + b"PK\x06\x06" * 50 + b"PK\x06\x07" + bytes(16) + (
            b"PK\x05\x06" + struct.pack("<8xII2x", 0xFFFFFFFF, 0xFFFFFFFF)
        ),
        "rar of nothing": b"Rar!\x1a\x07\x01\x00" + b"\x80" * 100_000,
        "rar 4 of zeros": b"Rar!\x1a\x07\x00" + bytes(100_000),
        "7z of places": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + struct.pack("<QQI", 0, 90_000, 0) + b"\x11" * 90_000,
        "7z that unpacks to much": seven_zip([], packed=True)[:40] + bytes(4000),
        "lines": lines,
        "binary lines": b"\0" + lines,
        "tags": b"<" * 100_000,
        "comments": b"<!--" * 25_000,
        "declarations": b"<?xml " * 20_000,
        "xml": b"<?xml version='1.0'?>" + b"<a>" * 30_000,
        "header": b"a: b\r\n" * 20_000,
        "pdf": b"%PDF-1.4" + b"/Encrypt " * 12_000,
        "utf-16": b"\xff\xfe" + b"<\0" * 50_000,
        "ebcdic": b"\x05" * 100_000,
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile())
@pytest.mark.timeout(20)
def test_hostile_content_takes_no_time(name: str) -> None:
    found = attached(hostile()[name])
    assert "/" in found.media_type
    assert found.is_encrypted in (True, False)
    assert found.runs_because in ("", found.runs_because)
    assert found.lies in (True, False)


def test_ten_thousand_names_in_one_field() -> None:
    field = b"Content-Type: a/b;" + b"".join(b"\r\n name*%d*=%%41" % n for n in range(3000)) + b"\r\n\r\nx"
    (found,) = attachments(parse(mixed(TEXT, field)))
    assert set(found.name) <= {"A"}


def test_wanted_asks_one_attachment_for_everything() -> None:
    bill, song = attached(PDF, "Bill 2026.PDF"), attached(PNG, "song.mp3")
    assert Wanted().meets(bill)
    assert Wanted(("bill*.pdf",), ("pdf",), ("application/*",), 10, 1000, False, False, False).meets(bill)
    assert not Wanted(types=("image/*",)).meets(bill)
    assert Wanted(types=("IMAGE/X-PNG",)).meets(song)
    assert Wanted(mismatch=True).meets(song)
    assert Wanted(mismatch=True).explain(song) == "called .mp3, is image/png"
    assert Wanted(extensions=("mp3",), encrypted=True).explain(song) == "is not encrypted"
    assert not Wanted(over=len(PNG)).meets(song)
    assert not Wanted(under=len(PNG)).meets(song)


def test_an_attached_message_may_be_encoded() -> None:
    inner = mixed(TEXT, part(b"x", "virus.exe"), boundary=b"=_inner").replace(b"\r\n", b"\n")
    raw = mixed(TEXT, part(b"Received: by a\nReceived: by b\n" + inner, "mail.eml", "message/rfc822"))
    (found,) = attachments(parse(raw))
    assert found.runs_because == "holds virus.exe"


@pytest.mark.parametrize(
    ("data", "name", "kind", "is_file"),
    [
        (PNG, "a.png", "image/png", False),
        (PNG, "a.png", "image/x-png", False),
        (b"p { color: red }", "a.css", "text/css", False),
        (PE, "a.png", "image/png", True),
        (PNG, "a.exe", "image/png", True),
        (PDF, "a.pdf", "application/pdf", True),
        (b"x", "a.js", "text/css", True),
    ],
)
def test_what_only_poses_as_a_picture_of_the_text_is_a_file(data: bytes, name: str, kind: str, is_file: bool) -> None:
    shown = b'Content-Type: text/html\r\n\r\n<img src="cid:a">'
    beside = part(data, name, kind, b"Content-ID: <a>\r\n")
    assert [each.name for each in attachments(parse(mixed(shown, beside, kind="related")))] == [name] * is_file


def test_parts_that_are_no_files_are_none() -> None:
    def found(raw: bytes) -> list[Attachment]:
        return attachments(parse(raw))

    assert found(HEADER + b"\r\nHello") == []
    shown = b'Content-Type: text/html\r\n\r\n<img src="cid:a">'
    picture = part(PNG, "a.png", "image/png", b"Content-ID: <a>\r\n").replace(b"attachment;", b"inline;")
    assert found(mixed(shown, picture, kind="related")) == []
