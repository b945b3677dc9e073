"""The link on top of a body: once, whatever a server makes of it in between, and nobody else's in its place."""

from __future__ import annotations

import pytest

from mta.adapters.mailbox.link_in_body import with_link

LINK, TEXT = "https://desk.example.com/t?id=7&x=1", "Ticket #7 <urgent>"
OURS = '<div id="stampline-link"><a href="https://desk.example.com/t?id=7&amp;x=1">Ticket #7 &lt;urgent&gt;</a></div>'


def html(body: str, link: str = LINK, text: str = TEXT) -> str:
    return with_link(body, link, text, is_html=True)


def plain(body: str, link: str = LINK, text: str = "Ticket #7") -> str:
    return with_link(body, link, text, is_html=False)


def test_it_stands_first_in_the_body() -> None:
    before = '<html><head><style>p{}</style></head><BODY dir="ltr">\r\n<p>Hello</p></BODY></html>'
    assert html(before) == before.replace('dir="ltr">', f'dir="ltr">{OURS}')
    assert html("<p>Hello</p>") == f"{OURS}<p>Hello</p>"


@pytest.mark.parametrize(
    "stored",
    [
        OURS,
        OURS.replace('id="stampline-link"', 'id="x_stampline-link"'),
        OURS.replace('id="stampline-link"', 'class="x" id=x_x_stampline-link style="margin:0"'),
        OURS.replace("<a ", '\r\n<a target="_blank" rel="noopener" ').replace("</a>", "</a>\r\n"),
        OURS.replace("Ticket #7", "Ticket&nbsp;&#35;7").replace("&amp;", "&#38;"),
        "\r\n" + OURS.replace("div", "DIV").replace("href=", "HREF="),
    ],
)
def test_what_a_server_rewrites_is_known_again(stored: str) -> None:
    body = f"<html><body>{stored}<p>Hello</p></body></html>"
    assert html(body) == body


@pytest.mark.parametrize(
    "there",
    [
        OURS.replace("id=7", "id=8"),
        OURS.replace("#7", "#8"),
        '<div id="stampline-link"><a href="https://evil.example/">Ticket #7 &lt;urgent&gt;</a>'
        "<!-- https://desk.example.com/t?id=7&amp;x=1 --></div>",
        '<div id="stampline-link"><a href="https://evil.example/" title="https://desk.example.com/t?id=7&amp;x=1">'
        "Ticket #7 &lt;urgent&gt;</a></div>",
        '<div id="stampline-link"></div>',
    ],
)
def test_another_link_is_replaced(there: str) -> None:
    assert html(f"<html><body>{there}<p>Hello</p></body></html>") == f"<html><body>{OURS}<p>Hello</p></body></html>"


def test_below_the_top_nothing_is_ours() -> None:
    """A reply quotes the original with its link."""
    quoted = f"<p>Thanks</p><blockquote>{OURS}</blockquote>"
    assert html(f"<body>{quoted}</body>") == f"<body>{OURS}{quoted}</body>"


@pytest.mark.parametrize(("stored", "end"), [("\r\n", "\r\n"), ("\n", "\r\n")])
def test_plain_text_has_it_in_its_first_line(stored: str, end: str) -> None:
    once = plain("Hello\r\nJane")
    assert once == f"Ticket #7: <{LINK}>{end}{end}Hello\r\nJane"
    kept = once.replace("\r\n", stored)
    assert plain(kept) == kept
    assert plain(kept, "https://desk.example.com/8").startswith("Ticket #7: <https://desk.example.com/8>\r\n")
    assert plain(kept, "https://desk.example.com/8").count("Ticket #7: <") == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "<body " * 200_000,
        "<body>" + "<div " * 200_000,
        '<body><div id="stampline-link">' + "<a href=" * 100_000,
        '<body><div id="stampline-link">' + "<" * 500_000,
        "<body>" + " " * 1_000_000,
    ],
    ids=["bodies", "divs", "anchors", "brackets", "spaces"],
)
def test_no_body_costs_more_than_its_length(hostile: str) -> None:
    """As slow as a square of the length would not end."""
    assert OURS in html(hostile)
