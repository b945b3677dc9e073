"""The place under the newest reply in HTML: a scan from the top that stops where quoted text begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from mta.message.html.scan import VOID, Token, attributes, tokens
from mta.message.place import quote_lines
from mta.message.place.html_lines import BLOCKS, CELLS, Line, text_below, visible_lines
from mta.message.place.placement import BodyView
from mta.message.place.quote_marks import LINE_MAX, QuoteMarks, is_quiet
from mta.message.place.separators import ElementSeparator

_BLANK = re.compile(
    r"(?>(?:[\s\u00a0\u200b-\u200f\u2060\ufeff]"
    r"|&(?:nbsp|zwnj|zwj|shy|ensp|emsp|thinsp|#160|#xa0|#8203|#8204|#65279);?)*)\Z"
)
_PARTS = frozenset(("td", "th", "tr", "tbody", "thead", "tfoot", "li", "dd", "dt", "caption", "option"))
_INLINE = frozenset(("a", "span", "b", "i", "font", "strong", "em", "u", "o:p", "small"))
_SEEN = frozenset(("img", "input", "video", "svg", "object", "iframe", "button"))
_LINES_KEPT = 2 + quote_lines.NOTES_ABOVE
_BARE_MAX = 3
_LOOKS_AHEAD_MAX = 200
_ATTRIBUTIONS_MAX = 5000
_INTRODUCTION_MAX = 4000
"""Characters of HTML in which an attribution and the tags around it have room."""


@dataclass(slots=True)
class _Found:
    """A place, and what the decision about replies below a quote needs."""

    position: int
    by_blockquote: bool
    above: int
    """Visible characters before the place."""


def reply_position(view: BodyView, is_reply: bool, marks: QuoteMarks) -> int | None:
    """Start of the quoted part; None where nothing is quoted or the reply stands below."""
    if is_quiet(view, marks) or marks.html_gate.search(view.octets) is None:
        return None
    found = _Scan(view.text, view.folded, is_reply, marks).run()
    if found is None:
        return None
    if found.by_blockquote and _is_answered_below(view.folded, found):
        return None
    return found.position


class _Scan:
    """One pass over tokens and the text between them, building visible lines."""

    def __init__(self, text: str, folded: str, is_reply: bool, marks: QuoteMarks) -> None:
        self.text = text
        self.folded = folded
        self.is_reply = is_reply
        self.marks = marks
        self.trail: list[Token] = []
        self.line: Line | None = None
        self.lines: list[Line] = []
        """The last finished lines."""
        self.above = 0
        self.bare_quotes = 0
        self.looks_ahead = 0
        self.attributions = 0

    def run(self) -> _Found | None:
        at = 0
        for token in tokens(self.text):
            if token.start > at:
                self._data(at, token.start)
            at = token.end
            if token.name in CELLS:
                if self.line is not None:
                    self.line.pieces.append(" ")
            elif token.name in BLOCKS:
                found = self._end_line(token)
                if found is not None:
                    return found
            if (token.kind == "open" and token.attributes) or token.name == "blockquote":
                found = self._element(token)
                if found is not None:
                    return found
            if token.name in _SEEN and token.kind != "close":
                self.trail = []
            else:
                self.trail.append(token)
        self._data(at, len(self.text))
        return self._end_line(None)

    def _data(self, start: int, end: int) -> None:
        if _BLANK.match(self.folded, start, end):
            if self.line is not None:
                self.line.pieces.append(" ")
            return
        piece = self.folded[start:end]
        if self.line is None:
            lead = len(piece) - len(piece.lstrip())
            self.line = Line(start + lead, self.trail)
        self.line.pieces.append(piece)
        self.trail = []

    def _end_line(self, token: Token | None) -> _Found | None:
        """Judge the line that ends here by itself and by what follows it."""
        line = self.line
        if line is None:
            return None
        self.line = None
        text = line.text()
        if not text:
            return None
        self.above += len(text)
        self.lines = [*self.lines[-_LINES_KEPT + 1 :], line]
        after = len(self.text) if token is None else token.start
        if self._begins_rest(text, after):
            return self._found(line, False, len(text))
        if quote_lines.may_be_notes(text):
            found = self._notes_header(text, after)
            if found is not None:
                return found
        if quote_lines.ends_attribution(text):
            return self._attribution(after)
        return None

    def _begins_rest(self, text: str, after: int) -> bool:
        if self.marks.is_added(text) or quote_lines.is_original(text):
            return True
        if quote_lines.label(text):
            return quote_lines.is_header_block([text, *self._following(after)])
        if quote_lines.announces_header(text):
            following = self._following(after)
            return bool(following and quote_lines.label(following[0])) and quote_lines.is_header_block(following, 2)
        return False

    def _notes_header(self, text: str, after: int) -> _Found | None:
        texts = [line.text() for line in self.lines]
        back = quote_lines.notes_header_start(texts[:-1], text, self._following(after))
        if back is None:
            return None
        if back + 1 < len(texts) and quote_lines.announces_header(texts[-2 - back]):
            back += 1
        return self._found(self.lines[-1 - back], False, sum(map(len, texts[-1 - back :])))

    def _following(self, start: int) -> list[str]:
        """The next visible lines; a text that asks for them too often is hostile and gets none."""
        self.looks_ahead += 1
        if self.looks_ahead > _LOOKS_AHEAD_MAX:
            return []
        return visible_lines(self.text, self.folded, start, quote_lines.HEADER_LINES)

    def _attribution(self, after: int) -> _Found | None:
        """A line that says who wrote, with nothing that marks the quote but the line itself."""
        self.attributions += 1
        if self.attributions > _ATTRIBUTIONS_MAX:
            return None
        texts = [line.text() for line in self.lines]
        first = quote_lines.attribution_start(texts, len(texts) - 1)
        if first is None or not quote_lines.is_whole_attribution(" ".join(texts[first:])):
            return None
        return self._found(self.lines[first], True, sum(map(len, texts[first:])))

    def _element(self, token: Token) -> _Found | None:
        if token.kind != "open":
            return None
        separator = self._separator(token)
        if separator is not None and separator.introduces and not self._introduces_quote(token):
            separator = None
        if token.name == "blockquote":
            texts = [line.text() for line in self.lines]
            first = quote_lines.attribution_start(texts, len(texts) - 1) if texts else None
            if first is None:
                first = quote_lines.header_above(texts, len(texts))
            if first is not None:
                return self._found(self.lines[first], True, sum(map(len, texts[first:])))
        if separator is None and not self._is_bare_quote(token):
            return None
        if self.line is not None:
            self.above += len(self.line.text())
        return _Found(_outermost(token.start, self.trail), separator is None or not separator.to_end, self.above)

    def _introduces_quote(self, token: Token) -> bool:
        """Whether nothing but an attribution, a header or a forwarded message's mark stands before what it quotes."""
        self.looks_ahead += 1
        if token.name == "blockquote" or self.looks_ahead > _LOOKS_AHEAD_MAX:
            return True
        window = self.folded[token.end : token.end + _INTRODUCTION_MAX]
        quoted = window.find("<blockquote")
        if quoted >= 0:
            window = window[:quoted]
            if quote_lines.may_introduce(visible_lines(window, window, 0, 4)):
                return True
        return self._begins_with_mark(visible_lines(self.text, self.folded, token.end, quote_lines.HEADER_LINES))

    def _begins_with_mark(self, lines: Sequence[str]) -> bool:
        """Whether lines begin a forwarded message, or a quote that no blockquote surrounds."""
        if not lines:
            return True
        if quote_lines.is_original(lines[0]) or quote_lines.announces_header(lines[0]):
            return True
        if quote_lines.is_header_block(lines):
            return True
        return any(quote_lines.is_attribution(" ".join(lines[:count])) for count in (1, 2, 3))

    def _separator(self, token: Token) -> ElementSeparator | None:
        written = token.attributes.lower()
        if not written or not self.marks.hints.search(written):
            return None
        values = attributes(written)
        for separator in self.marks.separators.elements:
            value = values.get(separator.attribute)
            if value is None:
                continue
            fits = bool(value) and (not separator.elements or token.name in separator.elements)
            if fits and re.fullmatch(separator.value, value.strip()):
                return separator
        return None

    def _is_bare_quote(self, token: Token) -> bool:
        """A blockquote that says nothing of itself may be an indentation; ending a reply, it is a quote."""
        if token.name != "blockquote" or not self.is_reply or self.bare_quotes >= _BARE_MAX:
            return False
        self.bare_quotes += 1
        return not any(text_below(self.folded, token.start))

    def _found(self, line: Line, by_blockquote: bool, own: int) -> _Found:
        return _Found(_outermost(line.start, line.trail), by_blockquote, self.above - own)


def _outermost(position: int, trail: Sequence[Token]) -> int:
    """Before the outermost element that begins here: only start tags, rules and empty inline elements are crossed."""
    best = position
    empty: list[str] = []
    for token in reversed(trail):
        name = token.name
        if token.kind == "close" and name in _INLINE:
            empty.append(name)
        elif token.kind == "open" and name not in VOID:
            if empty and empty[-1] == name:
                empty.pop()
                continue
            if empty or name in ("body", "html"):
                break
            if name not in _PARTS:
                best = token.start
        elif name == "hr" and not empty:
            best = token.start
        elif token.kind in ("close", "raw"):
            break
    return best


def _is_answered_below(folded: str, found: _Found) -> bool:
    """Whether visible text follows between or under the quotes that begin at the place, rather than above them."""
    between, below = text_below(folded, found.position)
    written = sum(len(text) for text in between if not quote_lines.is_attribution(text[-LINE_MAX:]))
    ending = sum(len(line) for line in takewhile(lambda line: not quote_lines.is_footer(line), below))
    if found.above == 0:
        return written + ending > 0
    return written > 0 or ending > found.above
