"""What readers see stays; how it is encoded changes. The standard library reads it as a second opinion."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from mta.message.edit import CannotEditError, joined
from mta.message.encoded_words import decode_text
from mta.message.parse import LimitExceededError, parse
from mta.message.seven_bit import in_seven_bit, with_ascii_header, with_short_lines
from tests.shared import corpus

TYPICAL = (
    "From: =?utf-8?q?K=C3=B6ln?= <koeln@example.com>\r\nTo: joe@example.org\r\nSubject: Plain\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nPräambel\r\n--b\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "A long line of plain words, and then one of them in German: Grüße, and so it goes on for quite some time.\r\n"
    "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\n\x01\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>plain</p>\r\n"
    "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Subject: Innerer Gruß\r\n\r\nInnen ü\r\n--b--\r\nEnde ü\r\n"
).encode()


def seven_bit(data: bytes) -> bytes:
    made = joined(data, in_seven_bit(parse(data)))
    assert made.isascii()
    return made


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    return message


def test_every_part_keeps_its_content() -> None:
    message = read(seven_bit(TYPICAL))
    text, binary, html, attached = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert "Grüße" in text.get_content()
    assert text["Content-Transfer-Encoding"] == "quoted-printable"
    assert binary.get_payload(decode=True) == "\xff\n\x01".encode()
    assert binary["Content-Transfer-Encoding"] == "base64"
    assert html["Content-Transfer-Encoding"] is None, "what is 7-bit stays as it was"
    (inner,) = attached.iter_parts()
    assert isinstance(inner, EmailMessage)
    assert inner["Subject"] == "Innerer Gruß"
    assert inner.get_content().strip() == "Innen ü"
    assert attached["Content-Transfer-Encoding"] == message["Content-Transfer-Encoding"] == "7bit"


def test_what_is_seven_bit_is_left_alone() -> None:
    plain = b"Subject: x\r\n\r\n" + b"y" * 2000 + b"\r\n"
    assert in_seven_bit(parse(plain)) == ()
    assert in_seven_bit(parse(seven_bit(TYPICAL))) == ()


def test_text_that_is_mostly_beyond_ascii_becomes_base64() -> None:
    made = seven_bit("Content-Type: text/plain; charset=utf-8\r\n\r\nПривет, мир\r\n".encode())
    assert b"Content-Transfer-Encoding: base64\r\n" in made
    assert b"MIME-Version: 1.0\r\n" in made
    assert read(made).get_content() == "Привет, мир\r\n"


@pytest.mark.parametrize(("octets", "charset"), [("Grüße".encode(), "utf-8"), (b"Gr\xfc\xdfe", "unknown-8bit")])
def test_text_that_nobody_declared_is_declared(octets: bytes, charset: str) -> None:
    message = read(seven_bit(b"Subject: x\r\n\r\n" + octets + b" and more words than that, all of them plain\r\n"))
    assert message.get_content_charset() == charset
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.startswith(octets)


def test_broken_quoted_printable_is_encoded_anew() -> None:
    data = (
        b"Content-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC\xfc=3D\r\n"
    )
    assert read(seven_bit(data)).get_payload(decode=True) == b"\xfc\xfc=\r\n"


def test_an_undeclared_multipart_around_declared_ones_is_changed_inside_only() -> None:
    inner = b"--i\r\nContent-Type: text/plain\r\n\r\n\xe4\r\n--i--"
    data = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n" + inner + b"\r\n--o--\r\n"
    )
    made = seven_bit(data)
    assert made.startswith(b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n")
    assert b"boundary=i\r\nContent-Transfer-Encoding: 7bit\r\n" in made


SIGNED = (
    b"Subject: %b\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n%b--b\r\nContent-Type: text/plain%b\r\n\r\n"
    b"%b\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nsigned\r\n--b--\r\n"
)


@pytest.mark.parametrize(("name", "text"), [(b"; name=\xfc", b"plain"), (b"", b"Gr\xfc\xdfe")])
def test_what_is_signed_is_not_encoded_anew(name: bytes, text: bytes) -> None:
    with pytest.raises(CannotEditError, match="signed"):
        in_seven_bit(parse(SIGNED % (b"x", b"", name, text)))


def test_around_what_is_signed_nothing_is_signed() -> None:
    data = SIGNED % ("Grüße".encode(), b"Pre\xe4mble\r\n", b"", b"plain")
    made = seven_bit(data)
    assert made[made.index(b"--b\r\n") :] == data[data.index(b"--b\r\n") :]


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\n\xfc\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\xfc\r\n",
        b"Content-Type: message/partial; id=1\r\n\r\n\xfc\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n\xfc\r\n",
        b"Content-Type: multipart/mixed; boundary=\"\xfc\"\r\n\r\n--\xfc\r\n\r\nx\r\n--\xfc--\r\n",
        "From: jürgen@example.com\r\n\r\nx\r\n".encode(),
    ],
)  # fmt: skip
def test_what_can_t_be_said_in_seven_bits_is_refused(data: bytes) -> None:
    with pytest.raises(CannotEditError):
        in_seven_bit(parse(data))


HEADERS = [
    ("Subject: Grüße aus =?utf-8?q?K=C3=B6ln?=", "Grüße aus Köln"),
    ('From: "Müller, Jürgen" <jm@example.com>', '"Müller, Jürgen" <jm@example.com>'),
    ("To: Zoë <zoe@bücher.example>, joe@example.org", "Zoë <zoe@xn--bcher-kva.example>, joe@example.org"),
    ("Cc: Größe: a@example.com, Ü B <b@example.com>;", "Größe: a@example.com, Ü B <b@example.com>;"),
    ("Reply-To: <a@bücher.example> (Büro)", "a@xn--bcher-kva.example"),
    ("X-Note: plain then ü", "plain then ü"),
]

UNENCODED_WORDS = [
    (b"To: =?iso-8859-1?Q?J\xfcrgen?= =?iso-8859-1?Q?_Br\xfcck?= <jb@example.com>", "Jürgen Brück <jb@example.com>"),
    (b"Cc: =?utf-8?q?J=C3=BCrgen?= Br\xc3\xbcck <jb@example.com>", "Jürgen Brück <jb@example.com>"),
    (b"From: Br\xfcck <jb@b\xc3\xbccher.example>", "Brück <jb@xn--bcher-kva.example>"),
]


@pytest.mark.parametrize(("field", "shown"), HEADERS, ids=[field.partition(":")[0] for field, _ in HEADERS])
@pytest.mark.parametrize("change", [in_seven_bit, with_ascii_header])
def test_header_fields_say_the_same_in_ascii(field: str, shown: str, change: object) -> None:
    assert callable(change)
    data = f"{field}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nx\r\n".encode()
    made = joined(data, change(parse(data)))
    assert made.isascii()
    name = field.partition(":")[0]
    assert str(read(made)[name]) == shown
    assert made.endswith(b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nx\r\n")


@pytest.mark.parametrize(("field", "shown"), UNENCODED_WORDS, ids=["within", "beside", "of-two-charsets"])
def test_8_bit_octets_in_names_are_read_once(field: bytes, shown: str) -> None:
    made = joined(data := field + b"\r\nX-After: x\r\n\r\n", with_ascii_header(parse(data)))
    assert str(read(made)[field.decode("latin_1").partition(":")[0]]) == shown


def test_file_names_say_the_same() -> None:
    long = "Prüfung der Größenverhältnisse und noch viel mehr davon für ganz Österreich.pdf"
    disposition = f'attachment; filename="{long}"; size=3'
    data = f'Content-Type: application/pdf; name="{long}"\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n'.encode()
    made = joined(data, with_ascii_header(parse(data)))
    message = read(made)
    assert message.get_filename() == long
    assert message.get_param("name") == long
    assert max(map(len, made.split(b"\r\n"))) <= 100


@pytest.mark.parametrize("field", ["Message-ID: <ü@example.com>", "Received: from ü by relay", "kein Feld ü"])
def test_what_encoded_words_would_destroy_gets_question_marks(field: str) -> None:
    made = joined(data := f"Date: x\r\n{field}\r\nTo: a@b\r\n\r\n".encode(), with_ascii_header(parse(data)))
    assert made == f"Date: x\r\n{field.replace('ü', '??')}\r\nTo: a@b\r\n\r\n".encode()


def test_an_ascii_header_leaves_bodies_attached_messages_and_signed_parts() -> None:
    assert with_ascii_header(parse(TYPICAL)) == ()
    data = SIGNED % ("Grüße".encode(), b"", b"; name=\xfc", b"Gr\xfc\xdfe")
    made = joined(data, with_ascii_header(parse(data)))
    assert made.removeprefix(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=") == data.removeprefix("Subject: Grüße".encode())


@pytest.mark.parametrize("address", ["jürgen@example.com", '"jü"@example.com', "<jürgen@example.com>", "ü <ü@b.de>"])
def test_an_address_that_needs_utf8_can_t_be_written_in_ascii(address: str) -> None:
    data = f"To: {address}\r\n\r\n".encode()
    with pytest.raises(CannotEditError, match="address"):
        with_ascii_header(parse(data))


def test_long_lines_are_encoded_and_short_ones_left() -> None:
    long = b"word " * 400
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + long
        + b"\r\n--b\r\n\r\nshort\r\n--b--\r\n"
    )  # fmt: skip
    made = joined(data, with_short_lines(parse(data)))
    assert max(map(len, made.split(b"\r\n"))) <= 76
    first, second = read(made).iter_parts()
    assert first.get_payload(decode=True) == long
    assert second.as_bytes() == b"\nshort"
    assert with_short_lines(parse(b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n")) == ()


def test_names_and_subjects_of_real_mail_say_the_same() -> None:
    def said(data: bytes) -> list[str]:
        message = parse(data)
        fields = [field for field in message.fields if field.name in (b"from", b"to", b"cc", b"subject")]
        texts = [decode_text(message.raw(field)) for field in fields]
        return ["".join(text.replace('"', "").split()) for text in texts if "@xn--" not in text]

    changed = 0
    for each in corpus():
        header = each.data[: each.data.find(b"\r\n\r\n") + 4]
        if header.isascii():
            continue
        try:
            made = joined(header, with_ascii_header(parse(header)))
        except (CannotEditError, LimitExceededError):
            continue
        before = [text for text in said(header) if "@" not in text or text.rpartition("@")[2].isascii()]
        assert said(made) == before, each.path
        changed += 1
    assert changed > 20
