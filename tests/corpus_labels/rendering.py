"""What a reader sees of a body, line by line, made with the standard library's HTML parser and nothing of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import accumulate

_BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "fieldset",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "nav", "ol", "p",
        "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
    )
)  # fmt: skip
_UNSEEN = frozenset(("style", "script", "title"))
_BLANK = " \t\r\n\f\u00a0\u200b\u200c\u200d\ufeff\u00ad"
RULE, PICTURE = "\u2501", "\ufffc"
"""What stands for `<hr>` and `<img>`: they are seen, so a place before them differs from one behind."""


@dataclass(frozen=True, slots=True)
class Line:
    """A visible line; `start` is the character of the body with which it begins."""

    start: int
    depth: int
    """How many blockquotes (or `>` signs) it stands in."""
    text: str
    signs: tuple[str, ...] = ()
    """Ids and classes of elements that begin before it and after the line before."""


def plain_lines(text: str) -> list[Line]:
    """Lines of plain text that are not blank, without their `>` signs."""
    lines = []
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    for start, whole in zip(starts, text.split("\n"), strict=False):
        line = whole.strip("\ufeff \t\r\u00a0")
        depth = 0
        while line.startswith(">"):
            depth += 1
            line = line[1:].lstrip()
        if line or depth:
            lines.append(Line(start, depth, line))
    return lines


def html_lines(text: str) -> list[Line]:
    """Lines of HTML that are not blank."""
    renderer = _Renderer(text)
    renderer.feed(text)
    renderer.close()
    renderer.end_line()
    return renderer.lines


def seen_before(text: str, position: int, *, is_html: bool) -> int:
    """Visible characters, pictures and rules before a position."""
    lines = html_lines(text[:position]) if is_html else plain_lines(text[:position])
    return sum(1 for line in lines for character in line.text if not character.isspace()) + sum(
        line.depth for line in lines if not is_html
    )


class _Renderer(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self._line_starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        self.lines: list[Line] = []
        self._pieces: list[str] = []
        self._start = 0
        self._depth = 0
        self._line_depth = 0
        self._unseen = ""
        self._signs: list[str] = []

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def end_line(self) -> None:
        text = " ".join("".join(self._pieces).split())
        if text:
            self.lines.append(Line(self._start, self._line_depth, text, tuple(self._signs)))
            self._signs = []
        self._pieces = []

    def _show(self, text: str) -> None:
        if not self._pieces:
            if not text.strip(_BLANK):
                return
            self._start = self._offset()
            self._line_depth = self._depth
        self._pieces.append(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _UNSEEN:
            self._unseen = tag
        if tag in _BLOCKS:
            self.end_line()
        self._signs += [f"{tag}.{values[key]}" for key in ("id", "class", "name", "type") if values.get(key)]
        if "border-top" in (values.get("style") or ""):
            self._signs.append(f"{tag}.border-top")
        if tag == "blockquote":
            self._depth += 1
            self._signs.append("blockquote")
        if tag == "img":
            self._show(PICTURE)
        if tag == "hr":
            self._show(RULE)
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = ""
        if tag in _BLOCKS:
            self.end_line()
        if tag == "blockquote":
            self._depth = max(0, self._depth - 1)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._show(data)
