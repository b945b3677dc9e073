"""Text made from HTML, and HTML from text."""

from __future__ import annotations

import pytest

from mta.message.html.text import html_of, text_of


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<table><tr><td>T</td><td>1&nbsp;2</td></tr><tr><td>M</td><td>3</td></tr></table>", "T 1 2\nM 3"),
        ('<a href="https://example.com/x">Our <b>site</b></a> &amp; more', "Our site <https://example.com/x> & more"),
        ('<a href="https://www.example.com/">www.example.com</a>', "www.example.com"),
        ('<a href="https://www.example.com?utm_source=mail&amp;x=1">www.example.com</a>', "www.example.com"),
        ('<a href="mailto:a@example.com">Write</a> <a href="tel:+1">Call</a>', "Write Call"),
        ('<a href="https://example.com/sale"><img src="cid:b" alt="Sale &amp; more"></a>', "Sale & more <https://example.com/sale>"),
        ('<a href="https://example.com/sale"><img src="cid:b" alt="Sale"> Now</a>', "Now <https://example.com/sale>"),
        ('<img src="cid:logo" alt="Example Ltd">Jane', "Jane"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("a<hr>b", "a\n" + "-" * 40 + "\nb"),
        ('a<div style="display: none">preheader <div>x</div> y</div>b', "ab"),
        ('a<span style="DISPLAY:NONE">b<br>c</span>d', "ad"),
        ('<img style="display: none" alt="no"><a href="https://e.example"><img style="display:none" alt="x"></a>', "<https://e.example>"),
        ("<style>p { color: red }</style>a<!--[if mso]>b<![endif]-->c", "ac"),
        ("a<![CDATA[x]]>b", "ab"),
        ("&lt;b&gt; 1 &lt; 2", "<b> 1 < 2"),
        ("", ""),
        ("<a href='https://x.example'>open", "open"),
        ("</a></li></td>x", "x"),
    ],
)  # fmt: skip
def test_text_of(source: str, expected: str) -> None:
    assert text_of(source) == expected


def test_html_of() -> None:
    assert html_of("a < b\n& c") == "a &lt; b<br>\n&amp; c"


@pytest.mark.parametrize(
    "piece", ["<a href='https://x.example'>", "<div style='display:none'>", "<li>", "<img alt='x'>"]
)
def test_time_is_bounded_for_many_elements(piece: str) -> None:
    assert len(text_of(piece * 20_000)) < 200_000
