"""The scanner: headers in every state, the MIME tree as spans, and bounds on hostile input."""

from __future__ import annotations

import gc
import mmap
import weakref
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.edit import joined
from mta.message.parse import LimitExceededError, Limits, Message, Part, parse
from tests.unit.message.samples import crlf, tree


def names(message: Message) -> list[bytes]:
    return [field.name for field in message.fields]


def bodies(part: Part) -> list[bytes]:
    return [leaf.raw_body for leaf in part.walk() if not leaf.children]


# --- header ----------------------------------------------------------------------------------------------------------


def test_fields_are_spans_in_order_with_their_folded_lines() -> None:
    data = crlf("Received: one\n\tfolded\nSubject: hello\n  world\nX-Empty:\nsubject: again\n\nbody\n")
    message = parse(data)
    assert names(message) == [b"received", b"subject", b"x-empty", b"subject"]
    assert data[message.fields[0].start : message.fields[0].end] == b"Received: one\r\n\tfolded\r\n"
    assert message.raw(message.fields[1]) == b" hello\r\n  world"
    assert message.subject == "hello  world"
    assert message.headers("SUBJECT") == ["hello  world", "again"]
    assert message.has("x-empty")
    assert message.header("x-empty") == ""
    assert not message.has("x-other")
    assert message.root.raw_body == b"body\r\n"
    assert message.defects == ()


def test_eight_bit_octets_stay_and_are_read() -> None:
    message = parse(b"Subject: gr\xc3\xbc\xc3\x9fe\r\nX-Old: gr\xfc\xdfe\r\n\r\n")
    assert message.subject == "grüße"
    assert message.header("x-old") == "grüße"


@pytest.mark.parametrize("space", [" ", "\t", "  \t"])
def test_white_space_before_the_colon_belongs_to_no_name(space: str) -> None:
    assert parse(crlf(f"Subject{space}: x\n\n")).subject == "x"


def test_a_broken_line_inside_the_header_is_kept_without_a_name() -> None:
    data = crlf("From: a@example.com\nthis is no field\n folded too\nContent-Type: text/html\n\nbody\n")
    message = parse(data)
    assert names(message) == [b"from", b"", b"content-type"]
    assert message.raw(message.fields[1]) == b"this is no field\r\n folded too"
    assert message.root.content_type == "text/html"


def test_an_mbox_line_at_the_beginning_does_not_end_the_header() -> None:
    message = parse(crlf("From jane@example.com Sat Jan  3 01:05:34 1996\nSubject: x\n\nbody\n"))
    assert names(message) == [b"", b"subject"]


def test_a_message_that_begins_with_a_folded_line_keeps_its_header() -> None:
    message = parse(crlf(" by somewhere\nSubject: x\nTo: b@example.com\n\nbody\n"))
    assert names(message) == [b"", b"subject", b"to"]


def test_text_right_behind_the_header_is_body() -> None:
    message = parse(crlf("Subject: x\nHello,\nthis is the text: really.\n\nbye\n"))
    assert names(message) == [b"subject"]
    assert message.root.raw_body.startswith(b"Hello,\r\nthis is")
    assert "a header is not closed by an empty line" in message.defects


def test_a_line_of_dashes_is_never_inside_a_header() -> None:
    """Else a field that is added to the part below would change what the header above means."""
    text = "Content-Type: multipart/mixed; boundary=b\n{}--b\nContent-Type: text/html\n\nbody\n--b--\n"
    for broken in ("", "=\n"):
        message = parse(crlf(text.format(broken)))
        assert names(message) == [b"content-type"]
        assert tree(message.root) == ("multipart/mixed", ["text/html"])


def test_a_text_without_any_header_is_all_body() -> None:
    data = crlf("Hello World\n\nbye\n")
    message = parse(data)
    assert message.fields == ()
    assert message.root.raw_body == data


def test_an_empty_line_first_is_an_empty_header() -> None:
    message = parse(b"\r\nbody\r\n")
    assert message.fields == ()
    assert message.root.raw_body == b"body\r\n"


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"Subject: x", b"Subject: x\r\n", b"Subject: x\r\n\r\n", b":", b"\r", b"\n"]
)
def test_messages_without_a_body_are_scanned(data: bytes) -> None:
    message = parse(data)
    assert message.root.raw_body in (b"", data)
    assert message.root.body_end == len(data)


def test_message_id_is_found_among_other_text() -> None:
    assert parse(crlf("Message-ID: (x) <a.b@example.com> trailing\n\n")).message_id == "<a.b@example.com>"
    assert parse(crlf("Message-ID: nothing\n\n")).message_id == ""
    assert parse(crlf("Subject: x\n\n")).message_id == ""


# --- MIME tree -------------------------------------------------------------------------------------------------------

NESTED = """Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

plain
--inner
Content-Type: text/html

<p>html</p>
--inner--

--outer
Content-Type: application/pdf; name="a.pdf"
Content-Transfer-Encoding: base64

AAAA

--outer--
epilogue
"""


def test_nested_multiparts_are_spans_without_the_delimiters_line_end() -> None:
    message = parse(crlf(NESTED))
    assert tree(message.root) == (
        "multipart/mixed",
        [("multipart/alternative", ["text/plain", "text/html"]), "application/pdf"],
    )
    assert bodies(message.root) == [b"plain", b"<p>html</p>", b"AAAA\r\n"]
    assert [part.content_type for part in message.attachments()] == ["application/pdf"]
    assert message.defects == ()
    child = message.root.children[0]
    assert child.parent is message.root
    assert child.boundary == b"inner"


def test_a_missing_closing_delimiter_ends_with_the_multipart_around_and_with_the_message() -> None:
    text = NESTED.replace("--inner--\n", "").replace("--outer--\nepilogue\n", "")
    message = parse(crlf(text))
    assert tree(message.root) == tree(parse(crlf(NESTED)).root)
    assert bodies(message.root)[2] == b"AAAA\r\n\r\n"
    assert "a multipart is not closed" in message.defects


def test_doubled_delimiters_open_no_part() -> None:
    message = parse(crlf(NESTED.replace("--outer\n", "--outer\n--outer\n").replace("--outer--", "--outer\n--outer--")))
    assert tree(message.root) == tree(parse(crlf(NESTED)).root)
    assert "a delimiter is doubled" in message.defects


def test_a_boundary_that_begins_another_is_not_taken_for_it() -> None:
    text = NESTED.replace("inner", "outer-1")
    assert tree(parse(crlf(text)).root) == tree(parse(crlf(NESTED)).root)
    text = NESTED.replace("outer", "inner-1")
    assert tree(parse(crlf(text)).root) == tree(parse(crlf(NESTED)).root)


def test_white_space_behind_a_delimiter_is_padding() -> None:
    text = NESTED.replace("--inner\n", "--inner \t\n").replace("--outer--", "--outer--  ")
    message = parse(crlf(text))
    assert tree(message.root) == tree(parse(crlf(NESTED)).root)
    assert message.defects == ()


def test_a_boundary_used_twice_belongs_to_the_multipart_around() -> None:
    message = parse(crlf(NESTED.replace("inner", "outer")))
    assert [child.content_type for child in message.root.children] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert message.root.children[0].children == []
    assert "a boundary is used twice" in message.defects


def test_delimiters_inside_preamble_epilogue_and_other_texts_do_not_count() -> None:
    text = NESTED.replace("preamble", "--inner\nno part").replace("epilogue", "--outer\nContent-Type: text/plain\n\nx")
    assert tree(parse(crlf(text)).root) == tree(parse(crlf(NESTED)).root)


def test_a_delimiter_inside_a_parts_header_ends_it() -> None:
    text = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\n\ntext\n--b--\n"
    message = parse(crlf(text))
    assert tree(message.root) == ("multipart/mixed", ["text/html", "text/plain"])
    assert bodies(message.root) == [b"", b"text"]


def test_a_multipart_without_boundary_or_parts_has_no_children() -> None:
    without = parse(crlf("Content-Type: multipart/mixed\n\ntext\n"))
    assert without.root.children == []
    assert "a multipart has no boundary" in without.defects
    never = parse(crlf("Content-Type: multipart/mixed; boundary=b\n\ntext\n"))
    assert never.root.children == []
    assert "a multipart is not closed" in never.defects


ENCLOSED = """Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/mixed; boundary=c

--c

deep
--c--
--b
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

U3ViamVjdDogeA0KDQp4
--b--
"""


def test_an_attached_message_is_read_as_a_part_of_its_own_unless_it_is_encoded() -> None:
    message = parse(crlf(ENCLOSED))
    assert tree(message.root) == (
        "multipart/mixed",
        [("message/rfc822", [("multipart/mixed", ["text/plain"])]), "message/rfc822"],
    )
    inside = message.root.children[0].children[0]
    assert inside.value(b"subject") == b" inside"
    assert [part.content_type for part in message.attachments()] == ["message/rfc822", "message/rfc822"]


def test_parts_of_a_digest_are_messages_by_default() -> None:
    text = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\ntext\n--b--\n"
    assert tree(parse(crlf(text)).root) == ("multipart/digest", [("message/rfc822", ["text/plain"])])


# --- what a part says of itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("7-bit", "7bit"), ("8bits", "8bit"), ("8 Bit", "8bit"), ("BASE64", "base64"), (" base64 ;", "base64"),
        ("Quoted-Printable (as usual)", "quoted-printable"), ("quoted printable", "quoted-printable"),
        ("quotedprintable", "quoted-printable"), ('"8bit"', "8bit"), ("uuencode", "x-uuencode"), ("", "7bit"),
        ("x-funny", "x-funny"), ("utf-8", "utf-8"),
    ],
)  # fmt: skip
def test_transfer_encodings_are_canonical(value: str, canonical: str) -> None:
    assert parse(crlf(f"Content-Transfer-Encoding: {value}\n\nx\n")).root.encoding == canonical


@pytest.mark.parametrize(
    ("value", "kind", "params"),
    [
        ('Text/HTML; CharSet="UTF-8"', "text/html", {"charset": "UTF-8"}),
        ("text/plain; charset=utf-8; format=flowed", "text/plain", {"charset": "utf-8", "format": "flowed"}),
        ("text/plain; charset=us-ascii (Plain text)", "text/plain", {"charset": "us-ascii"}),
        ("text/plain;\n\tcharset=\n\tutf-8", "text/plain", {"charset": "utf-8"}),
        ("multipart/mixed boundary=x", "multipart/mixed", {"boundary": "x"}),
        ("text", "text/plain", {}),
        ("", "text/plain", {}),
        ("application/pdf; name=my file.pdf", "application/pdf", {"name": "my file.pdf"}),
        (r'application/pdf; name="a \"b\" c.pdf"', "application/pdf", {"name": 'a "b" c.pdf'}),
        ("application/pdf; name=\"=?utf-8?q?gr=C3=BC=C3=9Fe?=.pdf\"", "application/pdf", {"name": "grüße.pdf"}),
        ("application/pdf; name*=utf-8''gr%C3%BC%C3%9Fe.pdf", "application/pdf", {"name": "grüße.pdf"}),
        (
            "application/pdf; name*0*=utf-8''gr%C3%BC; name*1*=%C3%9Fe; name*2=.pdf",
            "application/pdf",
            {"name": "grüße.pdf"},
        ),
        ("application/pdf; name=plain.pdf; name*=''better.pdf", "application/pdf", {"name": "better.pdf"}),
        ('text/plain; charset="never closed', "text/plain", {"charset": "never closed"}),
        ("text/plain; charset=one; charset=two", "text/plain", {"charset": "one"}),
    ],
)  # fmt: skip
def test_content_type_is_read_tolerantly(value: str, kind: str, params: dict[str, str]) -> None:
    root = parse(crlf(f"Content-Type: {value}\n\nx\n")).root
    assert root.content_type == kind
    assert root.params == params


def test_file_names_come_from_the_disposition_first() -> None:
    text = 'Content-Type: image/png; name=old.png\nContent-Disposition: ATTACHMENT; filename="new.png"\n\nx\n'
    root = parse(crlf(text)).root
    assert (root.disposition, root.filename, root.is_attachment) == ("attachment", "new.png", True)


RELATED = """Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; name="body.html"

<img src="cid:a@b"><img src="cid:c@d">
--r
Content-Type: image/png; name=a.png
Content-ID: <a@b>
Content-Disposition: inline; filename=a.png

x
--r
Content-Type: image/png; name=c.png
Content-ID: <c@d>
Content-Disposition: attachment; filename=c.png

x
--r--
--m
Content-Type: text/plain; name=notes.txt

notes
--m
Content-Type: text/plain

still body
--m
Content-Type: image/png; name=photo.png
Content-Disposition: inline; filename=photo.png

x
--m--
"""


def test_attachments_are_files_beside_the_body_not_pictures_in_it() -> None:
    assert [part.filename for part in parse(crlf(RELATED)).attachments()] == ["notes.txt", "photo.png"]


def test_signatures_and_reports_are_no_attachments() -> None:
    text = (
        "Content-Type: multipart/signed; boundary=b\n\n--b\n\ntext\n--b\n"
        "Content-Type: application/pkcs7-signature; name=smime.p7s\n"
        "Content-Disposition: attachment; filename=smime.p7s\n\nx\n--b--\n"
    )
    assert parse(crlf(text)).attachments() == []


def test_a_message_that_is_one_file_is_an_attachment() -> None:
    assert len(parse(crlf("Content-Type: application/pdf\n\nx\n")).attachments()) == 1


# --- bounds ----------------------------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    """Multiparts inside each other, with short boundaries, all of them open."""
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))


@pytest.mark.parametrize(
    ("data", "limits", "what"),
    [
        (b"Subject: " + b"x" * 200 + b"\r\n\r\n", Limits(header_octets=100), "octets in a header"),
        (b"A: b\r\n" * 11 + b"\r\n", Limits(header_fields=10), "fields in a header"),
        (nested(6), Limits(mime_depth=5), "levels of MIME nesting"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 6, Limits(mime_depth=5), "levels of MIME nesting"),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5,
            Limits(mime_parts=5),
            "MIME parts",
        ),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: " + b"y" * 200 + b"\r\n\r\n--b--\r\n",
            Limits(header_octets=100),
            "octets in a header",
        ),
    ],
)
def test_what_is_over_a_limit_is_refused(data: bytes, limits: Limits, what: str) -> None:
    with pytest.raises(LimitExceededError) as caught:
        parse(data, limits)
    assert caught.value.what == what


def test_a_long_text_without_header_is_not_over_the_header_limit() -> None:
    data = b"just text, line after line\r\n" * 100
    assert parse(data, Limits(header_octets=100)).root.raw_body == data


LONG_PART = b"--b\r\n" + b"y" * 2000 + b"\r\n"
HOSTILE = {
    "lines of dashes": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + b"--\r\n" * 500_000,
    "lines that begin like the boundary": (
        b"Content-Type: multipart/mixed; boundary=" + b"b" * 60 + b"\r\n\r\n" + (b"--" + b"b" * 59 + b"\r\n") * 30_000
    ),
    "deep nesting": nested(100) + b"--x\r\n" * 400_000,
    "parts without headers": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (LONG_PART * 900),
    "unclosed quotes": b"Content-Type: text/plain" + b';a="x;b="\\' * 8000 + b"\r\n\r\n",
    "empty parameters": b"Content-Type: text/plain" + b"; " * 40_000 + b"\r\n\r\n",
    "spaces": b"Content-Type: text/plain;" + b" " * 90_000 + b"\r\n\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?q?" * 9000 + b"\r\n\r\n",
    "folds": b"Subject: x" + b"\r\n " * 30_000 + b"\r\n\r\n",
    "broken lines": b"Subject: x\r\n" + b"?\r\n" * 30_000 + b"From: a@example.com\r\n\r\n",
    "one line": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + b"--" * 1_000_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_cost_little(name: str) -> None:
    # What costs more than its size runs into the runner's time-out here.
    try:
        message = parse(HOSTILE[name])
        for part in message.root.walk():
            assert part.params is not None
            assert part.filename is not None
        assert message.subject is not None
    except LimitExceededError:
        pass


def test_two_million_lines_that_look_like_delimiters_are_one_part() -> None:
    lines = b"--x\r\n" * 2_000_000
    message = parse(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + lines)
    [part] = message.root.children
    assert part.body_end - part.body_start >= len(lines) - 2


def test_a_mapped_file_is_scanned_like_bytes(tmp_path: Path) -> None:
    data = crlf(NESTED)
    path = tmp_path / "message"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        message = parse(mapped)
        assert tree(message.root) == tree(parse(data).root)
        assert bodies(message.root) == bodies(parse(data).root)
        assert joined(data, []) == mapped[:]


# --- memory ----------------------------------------------------------------------------------------------------------

ONE_PICTURE = crlf(
    "Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>hi</p>\n--b\n"
    "Content-Type: image/png\n\nx\n--b--\n"
)


def test_a_message_goes_with_its_last_user_and_not_when_the_collector_comes_by() -> None:
    gc.disable()
    try:
        message = parse(ONE_PICTURE)
        parts = [weakref.ref(part) for part in message.root.walk()]
        assert len(parts) == 3
        del message
        assert [part() for part in parts] == [None] * 3
    finally:
        gc.enable()


def test_a_displayed_body_keeps_the_parts_around_it() -> None:
    (body,) = displayed(parse(ONE_PICTURE))
    assert body.part.parent is not None
    assert body.part.parent.content_type == "multipart/related"


@pytest.mark.parametrize("padding", range(1, 21))
@pytest.mark.parametrize("field", [b"X-Name: value\r\n", b"X-Name : value\r\n", b"X-Name: va\r\n lue\r\n", b"X:\r\n"])
def test_a_header_over_the_limit_is_over_it_wherever_the_limit_cuts(padding: int, field: bytes) -> None:
    data = b"A" * padding + b": b\r\n" + field * 100 + b"\r\nbody\r\n"
    with pytest.raises(LimitExceededError):
        parse(data, Limits(header_octets=200))


@pytest.mark.parametrize("text", [b"just text ", b"x" * 1200])
def test_text_without_a_header_is_no_header_over_the_limit(text: bytes) -> None:
    assert parse(text * 200, Limits(header_octets=1000)).fields == ()
