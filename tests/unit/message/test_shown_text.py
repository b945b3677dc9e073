"""The text of a message as its readers see it."""

from __future__ import annotations

import pytest

from mta.message.parse import parse
from mta.message.shown_text import TEXT_MAX, shown_texts, text_of_html


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>One</p><p>two</p>", "One\ntwo"),
        ("O<b>n</b>e<br>two<br/>three", "One\ntwo\nthree"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("a\r\n  b&nbsp;&amp;&#x20;c", "a b & c"),
        ("<style>p {}</style>x<SCRIPT>if (a<b) {}</SCRIPT >y<!-- c --><!--[if mso]>z<![endif]-->", "x y"),
        ("x<!-- never closed", "x"),
        ("x<style>never closed", "x"),
        ("<a title=\"a > b\" href='c'>link</a>", "link"),
        ('<a title="never closed>link</a>', "link"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<o:p></o:p><![endif]>x<?xml y?>", "x"),
        ("<pre>a\nb</pre>", "a b"),
        ("", ""),
    ],
)
def test_html(source: str, text: str) -> None:
    assert text_of_html(source) == text


def message(*parts: tuple[str, str], kind: str = "alternative") -> bytes:
    body = "".join(f"--b\r\nContent-Type: {part}; charset=utf-8\r\n\r\n{text}\r\n" for part, text in parts)
    return f"Content-Type: multipart/{kind}; boundary=b\r\n\r\n{body}--b--\r\n".encode()


PLAIN, HTML = "text/plain", "text/html"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Subject: x\r\n\r\nHello\r\nyou\r\n", ("Hello\nyou\n",)),
        (b"Content-Type: application/pdf\r\n\r\nHello", ("",)),
        # Alternatives that say the same are read once, others in both forms.
        (message((PLAIN, "One two"), (HTML, "<p>One</p><p>two")), ("One\ntwo",)),
        (message((PLAIN, "One two"), (HTML, "<p>Three")), ("Three", "One two")),
        # Parts behind each other are one text.
        (message((PLAIN, "One"), (HTML, "<p>two"), (PLAIN, "three"), kind="mixed"), ("One\ntwo\nthree",)),
        (message((PLAIN, "Mu\u0308ller so\u00adft\u200b"), kind="mixed"), ("Müller soft",)),
    ],
)
def test_readings(raw: bytes, expected: tuple[str, ...]) -> None:
    assert shown_texts(parse(raw)) == expected


def test_alternatives_beside_other_text() -> None:
    inner = message((PLAIN, "plain"), (HTML, "<b>rich")).replace(b"boundary=b", b"boundary=i").replace(b"--b", b"--i")
    raw = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" + inner + b"\r\n--o\r\n\r\nfooter\r\n--o--\r\n"
    assert shown_texts(parse(raw)) == ("rich\nfooter", "plain\nfooter")


def test_very_long_texts_are_read_up_to_a_limit() -> None:
    raw = message(*((PLAIN, f"{n}" * 400_000) for n in range(8)), kind="mixed")
    (text,) = shown_texts(parse(raw))
    assert len(text) == TEXT_MAX
    assert text[-1] == "2"
