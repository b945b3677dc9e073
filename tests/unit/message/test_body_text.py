"""Texts that readers see: which parts they are, how they are decoded, and how changes go back into their octets."""

from __future__ import annotations

import base64
import html
import quopri
from itertools import pairwise

import pytest

from mta.message.body_text import Change, displayed
from mta.message.edit import CannotEditError, joined
from mta.message.flowed import Paragraph, paragraphs
from mta.message.parse import parse
from tests.unit.message.samples import append, by_stdlib, changed, crlf, insert, only_body, read, text_message, tree

# --- which parts -----------------------------------------------------------------------------------------------------


def part(content_type: str, body: str = "text", fields: str = "") -> str:
    return f"Content-Type: {content_type}\n{fields}\n{body}"


def multipart(subtype: str, *parts: str, boundary: str = "b", params: str = "") -> str:
    inner = "".join(f"--{boundary}\n{content}\n" for content in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}{params}\n\n{inner}--{boundary}--\n"


PLAIN, HTML = part("text/plain", "plain"), part("text/html", "<p>html</p>")
PICTURE = part("image/png", "x", "Content-ID: <a@b>\n")


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        (part("text/plain", "one"), ["one"]),
        ("\nno header", ["no header"]),
        (multipart("alternative", PLAIN, HTML), ["plain", "<p>html</p>"]),
        (multipart("related", HTML, PICTURE), ["<p>html</p>"]),
        (multipart("related", multipart("alternative", PLAIN, HTML, boundary="c"), PICTURE), ["plain", "<p>html</p>"]),
        (
            multipart("related", PICTURE, part("text/html", "root", "Content-ID: <r@b>\n"), params='; start="<r@b>"'),
            ["root"],
        ),
        (multipart("related", HTML, part("text/html", "a frame", "Content-ID: <f@b>\n")), ["<p>html</p>"]),
        (multipart("mixed", PLAIN, part("application/pdf"), part("text/plain", "more")), ["plain", "more"]),
        (multipart("mixed", PLAIN, part("text/plain; name=a.txt", "file")), ["plain"]),
        (multipart("mixed", PLAIN, part("text/html", "x", "Content-Disposition: attachment\n")), ["plain"]),
        (multipart("mixed", part("text/plain; name=body.txt", "body"), part("application/pdf")), ["body"]),
        (multipart("mixed", PLAIN, part("message/rfc822", "Subject: x\n\ninside")), ["plain"]),
        (multipart("mixed", PLAIN, multipart("digest", "\nSubject: x\n\ninside", boundary="c")), ["plain"]),
        (multipart("mixed", multipart("signed", PLAIN, boundary="c"), part("text/plain", "footer")), ["footer"]),
        (multipart("signed", PLAIN, part("application/pkcs7-signature")), []),
        (multipart("encrypted", part("application/pgp-encrypted"), part("application/octet-stream")), []),
        (multipart("report", PLAIN, part("message/delivery-status"), part("text/rfc822-headers")), ["plain"]),
        (part("text/calendar"), []),
        (multipart("alternative", PLAIN, part("text/calendar; method=REQUEST")), ["plain"]),
        (part("application/pdf"), []),
        (part("text/plain", "x", "Content-Disposition: attachment; filename=x.txt\n"), []),
        (multipart("mixed", part("text/plain", ""), part("application/pdf")), [""]),
    ],
)
def test_displayed_texts(message: str, texts: list[str]) -> None:
    assert [body.text.rstrip("\r\n") for body in displayed(parse(crlf(message)))] == texts


def test_a_text_that_is_too_large_to_change_is_not_displayed() -> None:
    data = crlf(multipart("mixed", part("text/plain", "x" * 5_000_001), part("text/plain", "small")))
    assert [body.text for body in displayed(parse(data))] == ["small"]


# --- decoding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "content_type", "text"),
    [
        ("grüße €".encode(), "text/plain; charset=utf-8", "grüße €"),
        ("grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "grüße"),
        (b"\x93quoted\x94 \x80", "text/plain; charset=iso-8859-1", "“quoted” €"),
        ("grüße".encode(), "text/plain", "grüße"),
        ("grüße".encode(), "text/plain; charset=us-ascii", "grüße"),
        ("grüße".encode("latin-1"), "text/plain", "grüße"),
        ("grüße".encode(), "text/plain; charset=no-such-charset", "grüße"),
        ("grüße".encode("latin-1"), "text/plain; charset=utf-8", "gr\udcfc\udcdfe"),
        ("привет".encode("koi8-r"), "text/plain; charset=koi8-r", "привет"),
        ("日本語".encode("iso-2022-jp"), "text/plain; charset=iso-2022-jp", "日本語"),
        ("日本語 ①".encode("cp932"), "text/plain; charset=Shift_JIS", "日本語 ①"),
        ("中文 €".encode("gb18030"), "text/plain; charset=gb2312", "中文 €"),
        ("한국어 똠".encode("cp949"), "text/plain; charset=ks_c_5601-1987", "한국어 똠"),
        (b"Hi Mom +Jjo--!", "text/plain; charset=utf-7", "Hi Mom ☺-!"),
        ("ab".encode("utf-16"), "text/plain; charset=utf-16", "\ufeffab"),
        ("ab".encode("utf-16-be"), "text/plain; charset=utf-16", "ab"),
        ("ab".encode("utf-16-le"), "text/plain; charset=utf-16", "ab"),
        (b"really ascii", "text/plain; charset=utf-16", "really ascii"),
        ("\ufeffbom".encode(), "text/plain; charset=utf-8", "\ufeffbom"),
        (b"68656c6c6f", "text/plain; charset=hex", "68656c6c6f"),
        ("привет".encode("cp1251"), "text/html", "<meta charset=windows-1251>привет"),
    ],
)
def test_texts_are_decoded_by_label_or_by_what_they_show(octets: bytes, content_type: str, text: str) -> None:
    if "meta" in text:
        octets = b"<meta charset=windows-1251>" + octets
    for encoding, raw in (("base64", base64.encodebytes(octets)), ("quoted-printable", quopri.encodestring(octets))):
        data = text_message(raw.replace(b"\n", b"\r\n"), content_type, encoding)
        assert read(data).rstrip("\r\n") == text


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        (b"a=20b=\r\nc=\n=C3=BC", "quoted-printable", "a bcü"),
        (b"broken =XY and = and =", "quoted-printable", "broken =XY and = and "),
        (b"YWJj\r\nZGVm", "base64", "abcdef"),
        (b"YWJjZA", "base64", "abcd"),
        (b"YW Jj\r\n\r\nZA==\r\n", "base64", "abcd"),
        (b"not base64, surely!", "base64", "not base64, surely!"),
        (b"plain text", "x-no-such-encoding", "plain text"),
        (b"plain text", "utf-8", "plain text"),
    ],
)
def test_transfer_encodings_are_taken_off_tolerantly(raw: bytes, encoding: str, text: str) -> None:
    assert read(text_message(raw, "text/plain; charset=utf-8", encoding)) == text


# --- changing --------------------------------------------------------------------------------------------------------

LINES = (
    "First line of the text, long enough.\nSecond line = with signs.\n\nThe third, with trailing space \nand the end.\n"
)


def encoded(text: str, charset: str, encoding: str) -> bytes:
    octets = text.replace("\n", "\r\n").encode(charset)
    if encoding == "base64":
        return base64.encodebytes(octets).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return octets


CASES = [
    ("utf-8", "quoted-printable", LINES + "grüße 日本 €\n"),
    ("utf-8", "base64", LINES + "grüße 日本 €\n"),
    ("utf-8", "8bit", LINES + "grüße 日本 €\n"),
    ("utf-8", "7bit", LINES),
    ("us-ascii", "7bit", LINES),
    ("us-ascii", "7-bit", LINES),
    ("iso-8859-1", "8bit", LINES + "grüße\n"),
    ("iso-8859-1", "quoted-printable", LINES + "grüße\n"),
    ("koi8-r", "base64", LINES + "привет, как дела\n"),
    ("shift_jis", "base64", LINES + "日本語テスト\n"),
    ("gb2312", "quoted-printable", LINES + "中文测试\n"),
    ("euc-kr", "8bit", LINES + "한국어 시험\n"),
    ("iso-2022-jp", "7bit", LINES + "日本語テスト、それだけ\n"),
    ("iso-2022-jp", "base64", LINES + "日本語テスト、それだけ\n"),
    ("utf-16", "base64", LINES + "grüße 日本 €\n"),
    ("utf-7", "7bit", LINES + "grüße 日本 €\n"),
    ("hz-gb-2312", "7bit", LINES + "中文测试\n"),
    ("iso-2022-kr", "7bit", LINES + "한국어 시험\n"),
    ("windows-1252", "quoted-printable", LINES + "“quoted” – € …\n"),
]
CODECS = {"hz-gb-2312": "hz", "7-bit": "7bit"}
ADDED = ["\nadded\n", "x", "\n-- \nJörg Müller, 10 €\n日本\n", "long words " * 40 + "end", "\n" + "ü" * 300 + "\n"]


@pytest.mark.parametrize("is_html", [False, True])
@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize(("charset", "encoding", "text"), CASES)
def test_what_is_inserted_anywhere_is_read_there_and_nowhere_else(
    charset: str, encoding: str, text: str, added: str, is_html: bool
) -> None:
    kind = "text/html" if is_html else "text/plain"
    data = text_message(encoded(text, CODECS.get(charset, charset), encoding), f"{kind}; charset={charset}", encoding)
    old = read(data)
    assert old.lstrip("\ufeff") == text.replace("\n", "\r\n")
    for place in range(0, len(old) + 1, 7):
        start = place - 1 if old[place - 1 : place + 1] == "\r\n" else place
        if old[:1] == "\ufeff" and start == 0:
            start = 1
        result = insert(data, place, added)
        new = read(result)
        new = html.unescape(new) if is_html else new
        needs_line_end = start == len(old) and not added.endswith("\n") and only_body(result).part.encoding != "base64"
        assert new == old[:start] + added.replace("\n", "\r\n") + old[start:] + ("\r\n" if needs_line_end else "")
        limit = 76 if only_body(result).part.encoding in ("quoted-printable", "base64") else 998
        assert max(map(len, only_body(result).part.raw_body.split(b"\r\n"))) <= limit
        if charset not in ("hz-gb-2312", "iso-2022-kr", "utf-16"):
            assert (html.unescape(by_stdlib(result)[0]) if is_html else by_stdlib(result)[0]).replace("\r\n", "\n") == (
                new.replace("\r\n", "\n")
            )


@pytest.mark.parametrize(("charset", "encoding", "text"), CASES)
def test_replacing_and_removing_anywhere(charset: str, encoding: str, text: str) -> None:
    data = text_message(
        encoded(text, CODECS.get(charset, charset), encoding), f"text/plain; charset={charset}", encoding
    )
    old = read(data)
    places = [place for place in range(1, len(old), 11) if old[place - 1 : place + 1] != "\r\n"]
    for start, end in pairwise(places):
        for added in ("", "new\r\nlines "):
            assert read(changed(data, Change(start, end, added))) == old[:start] + added + old[end:]


@pytest.mark.parametrize(("charset", "encoding", "text"), CASES)
def test_several_changes_at_once(charset: str, encoding: str, text: str) -> None:
    data = text_message(
        encoded(text, CODECS.get(charset, charset), encoding), f"text/plain; charset={charset}", encoding
    )
    old = read(data)
    changes = [Change(60, 70, "HERE"), Change(5, 5, "one "), Change(20, 25, ""), Change(80, 80, "\nlast\n")]
    new = old[:5] + "one " + old[5:20] + old[25:60] + "HERE" + old[70:80] + "\r\nlast\r\n" + old[80:]
    assert read(changed(data, *changes)) == new


def test_encoded_text_around_an_insertion_stays_byte_identical() -> None:
    raw = b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln, und so weiter bis zum Ende der Zeile die lang =\r\nist.\r\n\r\nEnde=20\r\n"
    data = text_message(raw, "text/plain; charset=utf-8", "quoted-printable")
    place = read(data).index("\r\n\r\nEnde") + 2
    result = insert(data, place, "Neu: ä\n")
    assert result == data.replace(b"ist.\r\n", b"ist.\r\nNeu: =C3=A4\r\n")


@pytest.mark.parametrize("text", ["Grüße = 10 €, \t東京 ", "x", "plain words, nothing else "])
@pytest.mark.parametrize("part", [0, 1, 200, 499, 500, 501, 800, 999, 1000])
def test_places_in_long_quoted_printable_are_found_from_either_end(text: str, part: int) -> None:
    whole = "".join(text * (1 + number % 9) + "\n" for number in range(900)).encode()
    encoded = quopri.encodestring(whole).replace(b"\n", b"\r\n")
    data = text_message(encoded, "text/plain; charset=utf-8", "quoted-printable")
    body = only_body(data)
    place = len(body.text) * part // 1000
    place -= body.text[place - 1 : place + 1] == "\r\n"
    assert read(insert(data, place, "[ü]\n")) == body.text[:place] + "[ü]\r\n" + body.text[place:]


def test_the_same_lines_behind_another_first_line_are_encoded_alike() -> None:
    data = text_message(b"Hi=\r\n there", "text/plain; charset=utf-8", "quoted-printable")
    lines = "\n.\nGrüße \n" + "x" * 75 + " \n-- \n=\n"
    for first in ("1", "22", " ", "", "3" * 200):
        assert read(insert(data, 8, first + lines)) == "Hi there" + (first + lines).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        ("Grüße".encode(), "utf-8", "Grüße".encode()),
        ("Grüße".encode("latin_1"), "iso-8859-1", "Grüße".encode()),
        (b"Gr\xfc\xc3\xbc", "utf-8", b"Gr?\xc3\xbc"),
        ("Grüße".encode(), "us-ascii", "Grüße".encode()),
        ("Grüße 10 €".encode("cp1252"), "iso-8859-1", "Grüße 10 €".encode()),
    ],
)
def test_the_text_in_utf_8(octets: bytes, charset: str, expected: bytes) -> None:
    assert only_body(text_message(octets, f"text/html; charset={charset}", "8bit")).utf_8 == expected


def test_base64_lines_before_the_change_stay_and_none_is_longer() -> None:
    text = "0123456789" * 40 + "\r\n"
    raw = b"\r\n".join(base64.b64encode(text.encode())[i : i + 64] for i in range(0, 600, 64)) + b"\r\n"
    data = text_message(raw, "text/plain", "base64")
    result = insert(data, 200, "ADDED")
    lines = only_body(result).part.raw_body.split(b"\r\n")
    assert lines[:4] == raw.split(b"\r\n")[:4]
    assert max(map(len, lines)) == 64
    assert by_stdlib(result) == [text[:200] + "ADDED" + text[200:]]


def test_irregular_base64_is_encoded_anew() -> None:
    data = text_message(b"YW\r\nJjZ GVm\r\n\r\nZ2hp\r\n", "text/plain", "base64")
    assert read(append(data, "\nmore")) == "abcdefghi\r\nmore"


# --- charset and transfer encoding only where they must --------------------------------------------------------------


def test_html_keeps_its_charset_and_seven_bits() -> None:
    data = text_message(b"<p>text</p>\r\n", "text/html; charset=utf-8", "7bit")
    assert append(data, "<p>Grüße €</p>\n") == data + b"<p>Gr&#252;&#223;e &#8364;</p>\r\n"


def test_html_takes_what_its_charset_holds_and_refers_to_the_rest() -> None:
    data = text_message(b"<p>gr=FC=DFe</p>\r\n", "text/html; charset=iso-8859-1", "quoted-printable")
    assert append(data, "<p>Grüße €</p>\n") == data + b"<p>Gr=FC=DFe &#8364;</p>\r\n"


def test_html_with_an_unknown_or_lying_charset_gets_ascii_only() -> None:
    for content_type, raw in (
        ("text/html; charset=no-such", b"gr\xfc\r\n"),
        ("text/html; charset=utf-8", b"gr\xfc\r\n"),
    ):
        data = text_message(raw, content_type, "8bit")
        assert append(data, "ü\n") == data + b"&#252;\r\n"


def test_plain_ascii_text_moves_to_utf_8_only_for_what_needs_it() -> None:
    data = text_message(b"text\r\n", "text/plain; charset=us-ascii; format=fixed", "7bit")
    assert append(data, "plain\n") == data + b"plain\r\n"
    result = append(data, "grüße\n")
    assert (
        b"Content-Type: text/plain; charset=utf-8; format=fixed\r\nContent-Transfer-Encoding: quoted-printable"
        in result
    )
    assert result.endswith(b"text\r\ngr=C3=BC=C3=9Fe\r\n")


def test_plain_text_keeps_a_charset_that_holds_the_addition() -> None:
    data = text_message(b"text\r\n", "text/plain; charset=iso-8859-1", "7bit")
    result = append(data, "grüße\n")
    assert b"charset=iso-8859-1" in result
    assert result.endswith(b"text\r\ngr=FC=DFe\r\n")


def test_plain_text_moves_to_utf_8_with_all_its_characters() -> None:
    data = text_message("früher “Text”\r\n".encode("cp1252"), 'text/plain; charset="windows-1252"', "8bit")
    result = append(data, "日本\n")
    assert b'charset="utf-8"' in result
    assert b"Content-Transfer-Encoding: 8bit" in result
    assert by_stdlib(result) == ["früher “Text”\r\n日本\r\n"]


def test_missing_fields_are_added_with_mime_version() -> None:
    data = crlf("Subject: x\n\ntext\n")
    result = append(data, "grüße\n")
    assert result.startswith(
        crlf(
            'Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset="utf-8"\n'
            "Content-Transfer-Encoding: quoted-printable\n\n"
        )
    )
    assert by_stdlib(result) == ["text\r\ngrüße\r\n"]


def test_undeclared_utf_8_is_declared_when_more_of_it_is_added() -> None:
    data = text_message("grüße\r\n".encode(), "text/plain", "8bit")
    result = append(data, "€\n")
    assert b'text/plain; charset="utf-8"' in result
    assert by_stdlib(result) == ["grüße\r\n€\r\n"]
    assert append(data, "plain\n") == data + b"plain\r\n"


@pytest.mark.parametrize(
    ("raw", "content_type", "encoding"),
    [
        (b"gr\xfc\xdfe\r\n", "text/plain", "8bit"),
        (b"gr\xfc\xdfe\r\n", "text/plain; charset=no-such-charset", "8bit"),
        (b"not base64, surely!\r\n", "text/plain; charset=utf-8", "base64"),
        (b"begin 644 x\r\n", "text/plain", "x-uuencode"),
        ("ab".encode("utf-16"), "text/plain; charset=utf-16", "8bit"),
        (b"broken \x1b$Bxx", "text/plain; charset=iso-2022-jp", "7bit"),
    ],
)
def test_where_no_safe_way_is_nothing_is_changed(raw: bytes, content_type: str, encoding: str) -> None:
    data = text_message(raw, content_type, encoding)
    with pytest.raises(CannotEditError):
        append(data, "株式会社\n")


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=no-such-charset"])
def test_a_text_whose_charset_nobody_knows_gets_ascii_letters(content_type: str) -> None:
    data = text_message(b"gr\xfc\xdfe\r\n", content_type, "8bit")
    added = "-- \nJörg Größer – “Œuvre” • 10 €, Łódź ☎.\n"
    assert append(data, added) == data + b'-- \r\nJorg Grosser - "OEuvre" * 10 EUR, Lodz .\r\n'
    with pytest.raises(CannotEditError):
        append(data, "株式会社\n")


def test_a_part_without_a_header_gets_ascii_letters() -> None:
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nno header, no empty line\n--b--\n")
    body = displayed(parse(data))[-1]
    assert b"Grusse" in joined(data, body.change([Change(0, 0, "Grüße\n")]))


def test_ascii_can_be_added_to_a_text_whose_charset_nobody_knows() -> None:
    data = text_message(b"gr\xfc\xdfe\r\n", "text/plain; charset=no-such-charset", "8bit")
    assert append(data, "plain\n") == data + b"plain\r\n"


def test_lines_that_would_be_longer_than_998_octets_make_the_part_quoted_printable() -> None:
    data = text_message(b"text\r\n", "text/html; charset=utf-8", "7bit")
    long = "<p>" + "word " * 300 + "</p>"
    result = append(data, long)
    assert b"Content-Transfer-Encoding: quoted-printable" in result
    assert max(map(len, result.split(b"\r\n"))) <= 76
    assert by_stdlib(result) == ["text\r\n" + long + "\r\n"]


def test_an_old_line_that_is_too_long_is_left_alone() -> None:
    data = text_message(b"x" * 2000 + b"\r\n", "text/plain", "7bit")
    assert append(data, "more\n") == data + b"more\r\n"


def test_fields_that_would_lie_about_a_changed_body_go() -> None:
    inner = "Content-Type: text/plain\nContent-MD5: abc==\nContent-Length: 4\nX-Keep: x\n\ntext"
    other = "Content-Type: image/png\nContent-MD5: def==\n\nx"
    header = "Content-Length: 999\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n"
    message = f"{header}\n--b\n{inner}\n--b\n{other}\n--b--\n"
    data = crlf(message)
    result = joined(data, displayed(parse(data))[0].change([Change(0, 0, "new\n")]))
    expected = message.replace("Content-MD5: abc==\nContent-Length: 4\n", "").replace("Content-Length: 999\n", "")
    assert result == crlf(expected.replace("\n\ntext", "\n\nnew\ntext"))


def test_a_signature_of_so_many_octets_goes_with_the_first_change() -> None:
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com;\n s=x; {}h=from; bh=ab==; b=cd=l=1\n"
    for tag, stays in (("", True), ("l=20; ", False), ("dl=20; ", True), ("l =\n 7;", False)):
        data = crlf(signature.format(tag) + "Subject: x\n\ntext\n")
        result = joined(data, displayed(parse(data))[0].change([Change(0, 0, "new\n")]))
        assert (b"DKIM-Signature" in result) is stays


def test_several_texts_of_a_message_with_a_length_can_be_changed_together() -> None:
    data = crlf("Content-Length: 99\n" + multipart("alternative", PLAIN, HTML))
    edits = [edit for body in displayed(parse(data)) for edit in body.change([Change(0, 0, "new ")])]
    after = parse(joined(data, edits))
    assert [body.text for body in displayed(after)] == ["new plain", "new <p>html</p>"]
    assert not after.has("content-length")


# --- format=flowed ---------------------------------------------------------------------------------------------------

FLOWED = "text/plain; charset=us-ascii; format=flowed; delsp=yes"


def test_added_lines_are_fixed_and_space_stuffed_in_flowed_text() -> None:
    data = text_message(b"A paragraph \r\nthat flows.\r\n", FLOWED, "7bit")
    result = append(data, "\n-- \nFrom me\n > no quote\ntrailing   \n")
    assert result == data + b"\r\n-- \r\n From me\r\n  > no quote\r\ntrailing\r\n"


def test_an_addition_does_not_flow_into_the_paragraph_before() -> None:
    data = text_message(b"A paragraph \r\n", FLOWED, "7bit")
    assert append(data, "Signature\n") == data + b"\r\nSignature\r\n"


def test_long_lines_are_broken_so_that_readers_join_them() -> None:
    words = "Example Ltd is registered in England and Wales " * 4
    for delsp, soft in (("no", b" \r\n"), ("yes", b"  \r\n")):
        data = text_message(b"Hi\r\n", f"text/plain; charset=us-ascii; format=flowed; delsp={delsp}", "7bit")
        result = append(data, f"{words}end\nFrom me\n").removeprefix(data)
        assert max(map(len, result.split(b"\r\n"))) <= 78
        assert soft in result
        meant = [line.text for line in paragraphs(result.decode(), delsp=delsp == "yes")]
        assert meant == [f"{words}end", "From me", ""]


def test_what_has_no_spaces_is_not_broken() -> None:
    data = text_message(b"Hi\r\n", FLOWED, "7bit")
    link = "https://example.com/" + "x" * 200
    assert append(data, f"{link}\n") == data + link.encode() + b"\r\n"


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_nothing_flows_into_what_is_put_in_whatever_its_line_ends(line_end: str) -> None:
    raw = base64.b64encode(f"A paragraph {line_end}".encode()) + b"\r\n"
    result = append(text_message(raw, FLOWED, "base64"), "Signature\n")
    meant = [line.text for line in paragraphs(read(result), delsp=True)]
    assert meant == ["A paragraph", "Signature", ""]


def test_a_replacement_in_flowed_text_changes_no_line_around_it() -> None:
    data = text_message(b"Call 12345\r\nnow, \r\nplease.\r\n-- \r\nJane\r\n", FLOWED.replace("yes", "no"), "7bit")
    assert read(changed(data, Change(5, 10, ""))).startswith("Call\r\nnow, \r\n")
    assert read(changed(data, Change(5, 10, "me "))).startswith("Call me\r\nnow, \r\n")
    assert read(changed(data, Change(0, 5, "Ring  "))).startswith("Ring  12345\r\n")
    assert read(changed(data, Change(12, 15, "soon"))).startswith("Call 12345\r\nsoon, \r\nplease.")


@pytest.mark.parametrize("text", ["> Old \r\n", "A line \r\n> Old\r\n", "-- \r\n", ">> a \r\n> b \r\n"])
@pytest.mark.parametrize("added", ["New\n", "-- \nJane\n", " > x\n\n", "From us \n>\n"])
@pytest.mark.parametrize("delsp", ["yes", "no"])
def test_paragraphs_of_both_stay_what_they_are(text: str, added: str, delsp: str) -> None:
    data = text_message(text.encode(), FLOWED.replace("yes", delsp), "7bit")
    old = [line for line in paragraphs(text, delsp=delsp == "yes") if line.text]
    new = [Paragraph(0, line if line == "-- " else line.rstrip(" ")) for line in added.split("\n") if line]
    for place, expected in ((0, new + old), (len(text), old + new)):
        result = read(insert(data, place, added))
        assert [line for line in paragraphs(result, delsp=delsp == "yes") if line.text] == expected


def test_the_first_line_is_not_stuffed_inside_a_line() -> None:
    data = text_message(b"one two\r\n", FLOWED, "7bit")
    assert read(insert(data, 3, " and a half")) == "one and a half two\r\n"


# --- places with corners ---------------------------------------------------------------------------------------------


def test_a_byte_order_mark_stays_first() -> None:
    data = text_message("\ufefftext\r\n".encode(), "text/html; charset=utf-8", "8bit")
    assert read(insert(data, 0, "new ")) == "\ufeffnew text\r\n"


def test_nothing_goes_between_cr_and_lf() -> None:
    data = text_message(b"one\r\ntwo\r\n", "text/plain", "7bit")
    assert read(insert(data, 4, "!")) == "one!\r\ntwo\r\n"


MIXED = "Content-Type: multipart/mixed; boundary=b\n\n"
EMPTY = [
    MIXED + "--b\n\n--b--\n",
    MIXED + "--b\n\n\n--b--\n",
    MIXED + "--b\nContent-Type: text/html\n\n--b\nContent-Type: image/png\n\nx\n--b--\n",
    MIXED + "--b\nContent-Type: text/html\n--b\nContent-Type: image/png\n\nx\n--b--\n",
    MIXED + "--b\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n--b--\n",
    "Subject: x\n\n",
    "Subject: x\n",
    "\n",
]


@pytest.mark.parametrize("message", EMPTY)
def test_text_can_be_put_into_an_empty_part(message: str) -> None:
    data = crlf(message)
    body = displayed(parse(data))[0]
    after = parse(joined(data, body.change([Change(0, 0, "first")])))
    assert tree(after.root) == tree(parse(data).root)
    assert displayed(after)[0].text.rstrip("\r\n") == "first"


def test_text_that_follows_the_header_directly_gets_an_empty_line_when_something_goes_before_it() -> None:
    data = crlf("Subject: x\nHello there, no empty line\n")
    assert insert(data, 0, "new\n") == crlf("Subject: x\n\nnew\nHello there, no empty line\n")


def test_no_added_line_can_become_a_delimiter() -> None:
    for encoding in ("7bit", "quoted-printable", "8bit"):
        data = crlf(
            "Content-Type: multipart/mixed; boundary=--\n\n----\nContent-Type: text/plain\n"
            f"Content-Transfer-Encoding: {encoding}\n\ntext\n----\nContent-Type: image/png\n\nx\n------\n"
        )
        body = displayed(parse(data))[0]
        result = joined(data, body.change([Change(4, 4, "\n----\nWarning\n------\n-----\n")]))
        after = parse(result)
        assert [part.content_type for part in after.root.walk()] == ["multipart/mixed", "text/plain", "image/png"]
        assert displayed(after)[0].text == "text\r\n----\r\nWarning\r\n------\r\n-----\r\n"
        assert by_stdlib(result) == ["text\r\n----\r\nWarning\r\n------\r\n-----\r\n"]


def test_quoted_printable_that_ends_in_a_soft_line_break_is_continued() -> None:
    data = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n"
        "Content-Transfer-Encoding: quoted-printable\n\ntext=\n--b--\n"
    )
    body = displayed(parse(data))[0]
    result = joined(data, body.change([Change(4, 4, "41 more")]))
    assert by_stdlib(result) == ["text41 more"]


def test_literal_white_space_before_an_added_line_end_is_kept() -> None:
    data = text_message(b"text   more\r\n", "text/plain", "quoted-printable")
    assert by_stdlib(insert(data, 7, "\nnew line\n")) == ["text   \r\nnew line\r\nmore\r\n"]


def test_no_changes_give_no_edits() -> None:
    body = only_body(text_message(b"text\r\n"))
    assert body.change([]) == []
    assert body.change([Change(2, 2, "")]) == []


@pytest.mark.parametrize("changes", [[Change(0, 3, ""), Change(2, 4, "")], [Change(-1, 0, "x")], [Change(0, 99, "x")]])
def test_changes_that_overlap_or_are_outside_are_refused(changes: list[Change]) -> None:
    with pytest.raises(ValueError, match="overlaps or is outside"):
        only_body(text_message(b"text\r\n")).change(changes)
