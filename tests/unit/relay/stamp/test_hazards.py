"""The hazards seen in real mail, one test each, from received bytes to the message that goes on.

Each test's name is the hazard. Every result has to parse, to show the stamp once in each way of reading it, and to show
what the message showed before. More cases of a hazard stand in the tests of the place (test_place_html,
test_place_plain, test_client_quotes), of charsets and transfer encodings (tests/unit/message) and of trace fields
(tests/unit/message/test_headers).
"""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.edit import combine, joined
from mta.message.headers import prepend
from mta.message.parse import parse
from mta.model.actions import Place
from tests.unit.relay.stamp.samples import HEADER, html, multipart, outcome, plain, stamp, stamped, templates

NOTE = "Jane of Example"
PLACES = list(Place)
Stamping = Callable[[bytes, Place], bytes]


@pytest.fixture
def put(tmp_path: Path) -> Stamping:
    """Stamps a message at a place."""
    chosen = templates(tmp_path, note=NOTE)
    return lambda data, place: stamped(data, [stamp("note", place)], chosen)


class _Shown(HTMLParser):
    """The text that a browser would show: nothing of comments, scripts and elements with display:none."""

    _VOID = ("br", "hr", "img", "meta", "link", "input")

    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, bool]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._VOID:
            style = (dict(attrs).get("style") or "").replace(" ", "").lower()
            self._open.append((tag, tag in ("style", "script", "title") or "display:none" in style))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._open):
            self.text += data


def seen(source: str) -> str:
    shown = _Shown()
    shown.feed(source)
    shown.close()
    return " ".join(shown.text.split())


def texts(data: bytes) -> list[str]:
    return [body.text for body in displayed(parse(data))]


def part(content_type: bytes, body: bytes, encoding: bytes = b"8bit", *more: bytes) -> bytes:
    fields = (b"Content-Type: " + content_type, b"Content-Transfer-Encoding: " + encoding, *more)
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def message(content_type: bytes, body: bytes, encoding: bytes = b"8bit") -> bytes:
    return HEADER + b"MIME-Version: 1.0\r\n" + part(content_type, body, encoding)


def check_html(put: Stamping, source: str, place: Place) -> str:
    """Stamp it; the text that is seen, which has to hold what was seen before and the stamp once."""
    result = texts(put(html(source), place))[0]
    shown = seen(result)
    assert shown.count(NOTE) == 1, result
    assert "".join(shown.replace(NOTE, "").split()) == "".join(seen(source).split()), result
    return shown


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "head",
    ['<meta charset="utf-8">', "<style>p { color: red }</style>", "<title>x</title>", "<link rel=a><base href=b>"],
)
def test_html_without_body_that_opens_with_meta_style_or_title(put: Stamping, head: str, place: Place) -> None:
    check_html(put, f"{head}<p>Hello</p>", place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "end", ["</body>Footer</html>", "</body></html><p>Footer</p>", "</body></html>\nFooter\n</body>"]
)
def test_text_after_body_or_html(put: Stamping, end: str, place: Place) -> None:
    check_html(put, f"<html><body><p>Hello</p>{end}", place)


@pytest.mark.parametrize("place", PLACES)
def test_text_before_body(put: Stamping, place: Place) -> None:
    check_html(put, "Before <html><head></head><body><p>Hello</p></body></html>", place)


@pytest.mark.parametrize("place", [Place.BOTTOM, Place.REPLY])
def test_an_unclosed_preheader_that_hides_what_is_appended(put: Stamping, place: Place) -> None:
    source = '<body><div style="display:none">Preview<p>More</p></body></html>'
    assert seen(texts(put(html(source), place))[0]) == NOTE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "inside", ["<!-- </body></html> -->", "<script>var end = '</body>'</script>", "<!-- <body> -->"]
)
def test_body_tags_inside_comments_and_scripts(put: Stamping, inside: str, place: Place) -> None:
    check_html(put, f"<html><body><p>Hello</p>{inside}<p>there</p>{inside}</body></html>", place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "source",
    [
        "<body><!--[if mso]><table><tr><td><![endif]-->Hello<!--[if mso]></td></tr></table><![endif]--></body>",
        "<body><!--[if !mso]><!--><p>Hello</p><!--<![endif]--></body>",
        "<!--[if gte mso 9]><xml><o:a></o:a></xml><![endif]--><body>Hello<![if !mso]> you<![endif]></body>",
    ],
)
def test_conditional_comments(put: Stamping, source: str, place: Place) -> None:
    check_html(put, source, place)


@pytest.mark.parametrize("place", PLACES)
def test_a_message_that_begins_with_a_folded_line(put: Stamping, tmp_path: Path, place: Place) -> None:
    data = b" folded before any field\r\n" + plain("Hello\n")
    chosen = templates(tmp_path / "other", note=NOTE)
    trace = b"Received: from a\r\n\tby b\r\n"
    edits = combine([prepend(parse(data), trace), *outcome(data, [stamp("note", place)], chosen).edits])
    result = joined(data, edits)
    assert result.startswith(trace)
    assert email.message_from_bytes(result)["received"] == "from a\r\n\tby b"
    assert "Hello" in texts(put(data, place))[0]
    assert texts(result)[0].count(NOTE) == 1
    assert "Hello" in texts(result)[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"quoted-printable", b"base64"])
@pytest.mark.parametrize("kind", [b"text/plain", b"text/html"])
def test_lines_over_998_octets(put: Stamping, kind: bytes, encoding: bytes, place: Place) -> None:
    body = b"word " * 500 + b"\r\n"
    written = {b"base64": base64.encodebytes(body), b"quoted-printable": quopri.encodestring(body)}.get(encoding, body)
    result = texts(put(message(kind, written, encoding), place))[0]
    assert result.count("word ") == 500
    assert result.count(NOTE) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("encoding", [b"7-bit", b"8bits", b"8-bit", b"utf-8", b"none", b"7bit; charset=utf-8", b""])
def test_bogus_transfer_encodings(put: Stamping, encoding: bytes, place: Place) -> None:
    result = texts(put(message(b"text/plain; charset=utf-8", "Grüße\r\n".encode(), encoding), place))[0]
    assert "Grüße" in result
    assert result.count(NOTE) == 1


CHARSETS = [
    (b"utf-7", "Grüße +".encode("utf-7"), b"7bit", "Grüße +"),
    (b"utf-16", base64.encodebytes("Grüße".encode("utf-16")), b"base64", "Grüße"),
    (b"utf-16le", base64.encodebytes("Grüße".encode("utf-16-le")), b"base64", "Grüße"),
    (b"utf-16be", base64.encodebytes("Grüße".encode("utf-16-be")), b"base64", "Grüße"),
    (b"iso-2022-jp", "こんにちは".encode("iso2022_jp"), b"7bit", "こんにちは"),
    (b"windows-1252", "Grüße €".encode("cp1252"), b"8bit", "Grüße €"),
    (b"us-ascii", "Grüße".encode(), b"8bit", "Gr"),
    (b"iso-8859-1", "Grüße €".encode("cp1252"), b"8bit", "Grüße"),
    (b"x-unknown", b"Hello", b"7bit", "Hello"),
    (b"no such charset", b"Hello", b"7bit", "Hello"),
    (b"utf-8", "Grüße".encode("latin-1"), b"8bit", "Gr"),
    (b"cp-850", b"Hello", b"7bit", "Hello"),
    (b"", b"Hello", b"7bit", "Hello"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("charset", "body", "encoding", "shows"), CHARSETS)
@pytest.mark.parametrize("kind", [b"text/plain", b"text/html"])
def test_utf_7_utf_16_and_charsets_that_do_not_exist_or_lie(
    put: Stamping, kind: bytes, charset: bytes, body: bytes, encoding: bytes, shows: str, place: Place
) -> None:
    result = texts(put(message(kind + b'; charset="' + charset + b'"', body, encoding), place))[0]
    assert shows in result
    assert result.count(NOTE) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [b"text/plain", b"text/html"])
@pytest.mark.parametrize("body", [b"", b"\r\n", b" \r\n\r\n"])
def test_empty_text_parts(put: Stamping, kind: bytes, body: bytes, place: Place) -> None:
    assert texts(put(message(kind, body), place))[0].count(NOTE) == 1
    both = multipart("alternative", part(b"text/plain", b""), part(kind, body))
    assert [text.count(NOTE) for text in texts(put(both, place))] == [1, 1]
    bare = HEADER.removesuffix(b"\r\n")
    assert texts(put(bare, place))[0].count(NOTE) == 1


@pytest.mark.parametrize("place", PLACES)
def test_lines_that_end_in_two_carriage_returns(put: Stamping, place: Place) -> None:
    body = b"Hello\r\r\n\r\r\n> Old\r\r\n> older\r\r\n"
    result = texts(put(message(b"text/plain", body), place))[0]
    assert result.count(NOTE) == 1
    assert all(words in result for words in ("Hello", "> Old", "> older"))


@pytest.mark.parametrize("place", PLACES)
def test_a_byte_order_mark_in_html(put: Stamping, place: Place) -> None:
    result = texts(put(html("\ufeff<html><body><p>Hello</p></body></html>"), place))[0]
    assert result.startswith("\ufeff")
    assert seen(result.lstrip("\ufeff")).replace(NOTE, "").split() == ["Hello"]


@pytest.mark.parametrize(("place", "which"), [(Place.TOP, 0), (Place.BOTTOM, 2), (Place.REPLY, 1)])
def test_several_inline_text_parts_around_attachments(put: Stamping, place: Place, which: int) -> None:
    image = part(b"image/png; name=a.png", b"aGVsbG8=\r\n", b"base64", b"Content-Disposition: inline; filename=a.png")
    data = multipart(
        "mixed",
        plain("See this\n", header=b""),
        image,
        plain("and that\n\nOn 2 May 2024, at 10:00, Bob <bob@example.net> wrote:\n\n> Old\n", header=b""),
        image,
        plain("> older\n", header=b""),
    )
    result = texts(put(data, place))
    assert [text.count(NOTE) for text in result] == [int(number == which) for number in range(3)]
    if place is Place.REPLY:
        assert result[1].index("and that") < result[1].index(NOTE) < result[1].index("On 2 May")


@pytest.mark.parametrize("place", PLACES)
def test_text_attachments(put: Stamping, place: Place) -> None:
    log = part(b"text/plain; name=log.txt", b"Line\r\n", b"7bit", b"Content-Disposition: attachment; filename=log.txt")
    page = part(b"text/html", b"<p>Page</p>\r\n", b"7bit", b"Content-Disposition: attachment; filename=a.html")
    result = put(multipart("mixed", plain("Hello\n", header=b""), log, page), place)
    assert [text.count(NOTE) for text in texts(result)] == [1]
    assert log in result
    assert page in result


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("with_image", [True, False])
def test_related_with_and_without_images(put: Stamping, with_image: bool, place: Place) -> None:
    image = part(b"image/png", b"aGVsbG8=", b"base64", b"Content-ID: <a@example.com>")
    page = html('<body><p>Hello</p><img src="cid:a@example.com"></body>', header=b"")
    related = multipart("related", page, *[image] * with_image, header=b"", boundary=b"=_r")
    data = multipart("alternative", plain("Hello\n", header=b""), related)
    result = put(data, place)
    assert [text.count(NOTE) for text in texts(result)] == [1, 1]
    assert (image in result) is with_image


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("flowed", [b"format=flowed", b"format=flowed; delsp=yes", b"format=flowed; delsp=no"])
def test_flowed_text(put: Stamping, flowed: bytes, place: Place) -> None:
    body = b"A paragraph that goes \r\non here. \r\n\r\nOn 2 May 2024, Bob wrote:\r\n> Old that goes \r\n> on\r\n"
    result = texts(put(message(b"text/plain; charset=utf-8; " + flowed, body), place))[0]
    lines = result.split("\r\n")
    at = lines.index(NOTE)
    assert at == 0 or not lines[at - 1].endswith(" "), "flows into the stamp"
    assert [line for line in lines if line not in (NOTE, "")] == [line for line in body.decode().split("\r\n") if line]
    assert (at < lines.index("On 2 May 2024, Bob wrote:")) is (place is not Place.BOTTOM)


@pytest.mark.parametrize("place", PLACES)
def test_signatures_behind_dashes(put: Stamping, place: Place) -> None:
    result = texts(put(plain("Hello\n\n-- \nBob\n\nOn 2 May 2024, Jane wrote:\n> Old\n-- \n"), place))[0]
    assert result.count(NOTE) == 1
    assert result.count("-- \r\n") == 2
    if place is Place.REPLY:
        assert result.index("Bob") < result.index(NOTE) < result.index("On 2 May")


@pytest.mark.parametrize("place", PLACES)
def test_deep_nesting(put: Stamping, place: Place) -> None:
    depth = 3000
    source = f"<body>{'<div>' * depth}<p>Hello</p>{'</div>' * depth}{'<blockquote type=cite>' * depth}Old</body>"
    shown = check_html(put, source, place)
    if place is Place.REPLY:
        assert shown.index("Hello") < shown.index(NOTE) < shown.index("Old")
    inner = plain("Hello\n", header=b"")
    for number in range(20):
        inner = multipart("mixed", inner, header=b"", boundary=b"=_%d" % number)
    assert [text.count(NOTE) for text in texts(put(HEADER + inner, place))] == [1]


@pytest.mark.parametrize("place", PLACES)
def test_the_standard_library_reads_the_result_too(put: Stamping, place: Place) -> None:
    data = multipart("alternative", plain("Hello\n", header=b""), html("<p>Hello</p>", header=b""))
    result = email.message_from_bytes(put(data, place), policy=email.policy.default)
    assert result.defects == []
    for kind in ("plain", "html"):
        body = result.get_body((kind,))
        assert body is not None
        assert NOTE in body.get_content()
