"""Text from HTML and HTML from text, for templates that were written in one of the two only."""

from __future__ import annotations

import html
import re

from mta.message.html.scan import VOID, Token, attributes, tokens

_SPACES = re.compile(r"[ \t\r\n\f]+")
_BREAKS = frozenset(
    (
        "address", "blockquote", "br", "div", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol",
        "p", "pre", "table", "tr", "ul",
    )
)  # fmt: skip
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"))
_LINE, _PARAGRAPH = "\x01", "\x02"
"""Where a line, or a paragraph, ends unless one has ended just there."""
_ENDS = re.compile(r"[\n\x01\x02][ \n\x01\x02]*")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_RULE = "-" * 40


def text_of(source: str) -> str:
    """Plain text of a piece of HTML: lines where blocks end, links with their address, dashes before list items.

    Pictures are left out, but for those that are all that a link shows: these are named by their `alt`.
    """
    reading = _Reading()
    at = 0
    for token in tokens(source):
        if not reading.hidden:
            reading.pieces.append(_data(source[at : token.start]))
        at = token.end
        reading.take(token)
    if not reading.hidden:
        reading.pieces.append(_data(source[at:]))
    lines = _ENDS.sub(_end, "".join(reading.pieces)).split("\n")
    return "\n".join(_SPACES.sub(" ", line.strip()) for line in lines).strip("\n")


def _end(match: re.Match[str]) -> str:
    breaks = match[0].count("\n")
    least = 2 if _PARAGRAPH in match[0] else 1
    return "\n" * min(max(breaks, least), 2)


class _Reading:
    """The text so far, and the elements that are still open and matter."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.links: list[tuple[str, int]] = []
        """Address of each open link, and where in `pieces` it began."""
        self.hidden: list[str] = []
        """Open elements from the one that is not shown."""
        self.alt = ""

    def take(self, token: Token) -> None:
        if self.hidden:
            self._take_hidden(token)
            return
        given = attributes(token.attributes) if token.kind == "open" else {}
        if token.kind == "open" and token.name not in VOID and _HIDDEN.search(given.get("style", "")):
            self.hidden.append(token.name)
        elif token.name in _BREAKS:
            self.pieces.append("\n" if token.name == "br" else _PARAGRAPH if token.name in _APART else _LINE)
            if token.kind == "open" and token.name in ("li", "hr"):
                self.pieces.append("- " if token.name == "li" else f"{_RULE}{_LINE}")
        elif token.name in ("td", "th") and token.kind == "close":
            self.pieces.append(" ")
        elif token.name == "a" and token.kind == "open":
            self.links.append((html.unescape(given.get("href", "")), len(self.pieces)))
            self.alt = ""
        elif token.name == "img" and not _HIDDEN.search(given.get("style", "")):
            self.alt = self.alt or _data(given.get("alt", ""))
        elif token.name == "a" and self.links:
            self._end_link(*self.links.pop())

    def _take_hidden(self, token: Token) -> None:
        if token.name == self.hidden[0]:
            if token.kind == "open":
                self.hidden.append(token.name)
            elif token.kind == "close":
                self.hidden.pop()

    def _end_link(self, target: str, start: int) -> None:
        shown = "".join(self.pieces[start:]).strip()
        if not shown and self.alt:
            shown = self.alt
            self.pieces.append(shown)
        if target.startswith(("http:", "https:")) and _bare(target) not in shown:
            self.pieces.append(f" <{target}>")


def _bare(address: str) -> str:
    """The address as people write it: without scheme, parameters and slashes at its end."""
    return re.split(r"[?#]", address.split("://", 1)[1])[0].strip("/")


def _data(text: str) -> str:
    return _CONTROLS.sub("", _SPACES.sub(" ", html.unescape(_SPACES.sub(" ", text)).replace("\u00a0", " ")))


def html_of(text: str) -> str:
    """HTML that shows the text as it stands."""
    return "<br>\n".join(html.escape(line) for line in text.split("\n"))
