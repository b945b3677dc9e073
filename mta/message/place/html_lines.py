"""What a reader sees of HTML, in lower case: lines, and the text between and under quotes."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from mta.message.html.scan import Token, tokens
from mta.message.place import quote_lines

_SPACES = re.compile(r"[\s\u00a0\u200b\ufeff]+")
BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "fieldset",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "nav", "ol", "p",
        "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    )
)  # fmt: skip
CELLS = frozenset(("td", "th"))
_LINES_BELOW_MAX = 100
_QUOTED = re.compile(r"<(/?)blockquote\b[^>]*+(?:>|\Z)")
_TAG = re.compile(r"<!--(?:.*?-->|.*\Z)|<(?:style|script|title)\b[^>]*+(?:>|\Z)[^<]*+|<[^>]*+(?:>|\Z)", re.DOTALL)


@dataclass(slots=True)
class Line:
    """A line that a reader sees: lower-case text, where it starts, and the tokens since the text before it."""

    start: int
    trail: list[Token]
    pieces: list[str] = field(default_factory=list)

    def text(self) -> str:
        joined = "".join(self.pieces)
        if "&" in joined:
            joined = html.unescape(joined).lower()
        return _SPACES.sub(" ", quote_lines.without_directions(joined)).strip(quote_lines.EDGES)


def visible_lines(text: str, folded: str, start: int, count: int) -> list[str]:
    """Up to `count` lines that readers see from `start` on, in lower case; blank ones left out."""
    found: list[str] = []
    pieces: list[str] = []
    at = start
    for token in tokens(text, start):
        if token.start > at:
            pieces.append(folded[at : token.start])
        at = token.end
        if token.name in BLOCKS and token.name not in CELLS and pieces:
            line = Line(0, [], pieces).text()
            pieces = []
            if line:
                found.append(line)
                if len(found) == count:
                    return found
        if at - start > 20_000:  # a header block is short; a long line is none
            return found
    pieces.append(folded[at : at + 1000])
    line = Line(0, [], pieces).text()
    return [*found, line] if line else found


def text_below(folded: str, start: int) -> tuple[list[str], list[str]]:
    """What is seen outside of blockquotes, behind the first one after `start`: each gap between them, and the lines
    under the last.

    Empty if no blockquote follows, or one is never closed.
    """
    depth = 0
    gaps: list[str] = []
    closed = -1
    for match in _QUOTED.finditer(folded, start):
        if match[1]:
            depth = max(0, depth - 1)
            if depth == 0:
                closed = match.end()
        else:
            if depth == 0 and closed >= 0:
                gaps.append(_seen_in(folded[closed : match.start()]))
            depth += 1
    if closed < 0 or depth:
        return [], []
    return [gap for gap in gaps if gap], visible_lines(folded[closed:], folded[closed:], 0, _LINES_BELOW_MAX)


def _seen_in(part: str) -> str:
    return _SPACES.sub(" ", html.unescape(_TAG.sub(" ", part))).strip()
