"""Text from HTML and HTML from text, for templates that were written in one of the two only."""

from __future__ import annotations

import html
import re

from mta.relay.stamp.html_scan import attributes, tokens

_SPACES = re.compile(r"[ \t\r\n\f]+")
_BREAKS = frozenset(
    (
        "address", "blockquote", "br", "div", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol",
        "p", "pre", "table", "tr", "ul",
    )
)  # fmt: skip
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"))
_MANY = re.compile(r"\n{3,}")


def text_of(source: str) -> str:
    """Plain text of a piece of HTML: lines where blocks end, links with their address, pictures left out."""
    pieces: list[str] = []
    at = 0
    links: list[tuple[str, int]] = []
    for token in tokens(source):
        pieces.append(_data(source[at : token.start]))
        at = token.end
        if token.name in _BREAKS:
            pieces.append("\n\n" if token.name in _APART else "\n")
        elif token.name in ("td", "th") and token.kind == "close":
            pieces.append(" ")
        elif token.name == "a" and token.kind == "open":
            links.append((html.unescape(attributes(token.attributes).get("href", "")), len(pieces)))
        elif token.name == "a" and links:
            target, start = links.pop()
            shown = "".join(pieces[start:]).strip()
            if target.startswith(("http:", "https:")) and target.split("://", 1)[1].strip("/") not in shown:
                pieces.append(f" <{target}>")
    pieces.append(_data(source[at:]))
    lines = (_SPACES.sub(" ", line).strip() for line in "".join(pieces).split("\n"))
    return _MANY.sub("\n\n", "\n".join(lines)).strip("\n")


def _data(text: str) -> str:
    return html.unescape(_SPACES.sub(" ", text)).replace("\u00a0", " ")


def html_of(text: str) -> str:
    """HTML that shows the text as it stands."""
    return "<br>\n".join(html.escape(line) for line in text.split("\n"))
