"""A message as HTML, text and files."""

from __future__ import annotations

import pytest

from mta.message.contents import Contents
from mta.message.parse import parse
from tests.shared import corpus


def _contents(text: str) -> Contents:
    return Contents(parse(text.replace("\n", "\r\n").encode()))


def _multipart(kind: str, *parts: str, boundary: str = "b") -> str:
    inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inside}--{boundary}--\n"


_TEXT = "Content-Type: text/plain; charset=utf-8\n\nHällo"
_HTML = "Content-Type: text/html; charset=utf-8\n\n<p>Hällo</p>"
_PICTURE = "Content-Type: image/png\nContent-Transfer-Encoding: base64\nContent-ID: <logo>\n\nAAEC"


def test_alternatives_are_one_body() -> None:
    contents = _contents(_multipart("alternative", _TEXT, _HTML))
    assert (contents.html, contents.text, contents.files) == ("<p>Hällo</p>", "Hällo", ())


def test_a_text_alone() -> None:
    contents = _contents(_TEXT)
    assert (contents.html, contents.text) == (None, "Hällo")
    assert _contents("Subject: x\n\n").text == ""


def test_html_alone() -> None:
    assert (_contents(_HTML).html, _contents(_HTML).text) == ("<p>Hällo</p>", None)


def test_what_follows_the_body_as_text_is_part_of_it() -> None:
    """A footer of a mailing list; without it the item would say less than what was sent."""
    footer = "Content-Type: text/plain\n\na < b"
    contents = _contents(_multipart("mixed", _multipart("alternative", _TEXT, _HTML, boundary="i"), footer))
    assert contents.html == "<p>Hällo</p><pre>a &lt; b</pre>"
    assert contents.text == "Hällo\r\na < b"
    assert contents.files == ()


def test_pictures_in_the_text_are_inline_files() -> None:
    (file,) = _contents(_multipart("related", _HTML, _PICTURE)).files
    assert (file.name, file.content_type, file.content_id, file.is_inline, file.is_message, file.octets) == (
        "ATT00001.png", "image/png", "logo", True, False, b"\0\1\2"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("disposition", "is_inline"), [("attachment", False), ("inline", True), ("attachment; filename=a.png", False)]
)
def test_what_says_that_it_is_an_attachment_is_one(disposition: str, is_inline: bool) -> None:
    part = _PICTURE.replace("\n\n", f"\nContent-Disposition: {disposition}\n\n")
    (file,) = _contents(_multipart("mixed", _TEXT, part)).files
    assert file.is_inline is is_inline


def test_an_attached_message_is_one_file() -> None:
    inner = "Content-Type: message/rfc822\n\n" + _multipart("mixed", _TEXT, _PICTURE, boundary="i")
    (file,) = _contents(_multipart("mixed", _TEXT, inner)).files
    assert (file.name, file.is_message) == ("ATT00001.eml", True)
    assert file.octets.startswith(b"Content-Type: multipart/mixed; boundary=i\r\n")


def test_an_attached_message_in_base64_is_one_too() -> None:
    (file,) = _contents(
        _multipart(
            "mixed", _TEXT, "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA=="
        )
    ).files
    assert (file.is_message, file.octets) == (True, b"Subject: x")


def test_other_forms_of_the_body_are_no_files() -> None:
    amp = "Content-Type: text/x-amp-html\n\n<html amp4email></html>"
    assert _contents(_multipart("alternative", _TEXT, amp, _HTML)).files == ()


@pytest.mark.corpus
def test_everything_of_a_message_is_body_or_file() -> None:
    """Each text that is shown stands in the HTML or the text, or else is a file."""
    for message in corpus()[::7]:
        contents = Contents(parse(message.data))
        leaves = [part for part in contents.message.root.walk() if not part.is_multipart]
        assert leaves or contents.html is None, message.path
        if contents.html is None and contents.text is None:
            outermost = [part for part in leaves if part.parent is None or part.parent.is_multipart]
            assert len(contents.files) == len(outermost) or not leaves, message.path
        assert all(file.name for file in contents.files), message.path
