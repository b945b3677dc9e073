"""A body's text as its reader sees it, with the way back: which characters of the body show a piece of it.

In HTML that is what stands between the tags, entities resolved, white space one space; a tag inside a line interrupts
nothing, another one is a line end. In plain text the soft line breaks of format=flowed are gone. What nobody sees (soft
hyphens, spaces without width) is left out, so that it keeps nothing from being found.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mta.message.body_text import Change
from mta.message.html.scan import TOKEN

_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr", "ruby", "blink", "label",
})  # fmt: skip
_UNSEEN = (
    "\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb"
)
"""For a class of a regex: soft hyphens, joiners, spaces without width, marks of direction, variation selectors."""
_TO_SPACES = {ord(space): " " for space in "\u00a0\u1680\u202f\u205f\u3000"} | dict.fromkeys(range(0x2000, 0x200B), " ")
_SPACES = re.compile(r"[ \t\r\n\f]{2,}|[\t\r\n\f]")
# Without its semicolon, too, where readers take it for one (HTML standard §13.2.5.72 and following).
_ENTITY = re.compile(
    r"&(?:#0{0,20}[0-9]{1,8};?|#x0{0,20}[0-9a-f]{1,8};?|[a-z][a-z0-9]{1,31};|(?:nbsp|shy|amp|lt|gt|quot))",
    re.IGNORECASE,
)
_CUT_ENTITY = re.compile(r"&[#A-Za-z0-9]{0,33}<")
"""What could become an entity once the tag is gone."""
# A tag, or text that is seen otherwise than it stands there.
_IN_TEXT = rf"(?P<space>{_SPACES.pattern})|(?P<entity>{_ENTITY.pattern})|(?P<unseen>[{_UNSEEN}]+)"
_HTML = re.compile(rf"{TOKEN.pattern}|{_IN_TEXT}", re.IGNORECASE)
_RAW = re.compile(_IN_TEXT, re.IGNORECASE)
_PLAIN = re.compile(rf"[{_UNSEEN}]+")
_FLOWED = re.compile(rf"(?<!^--)(?P<space> )\r?\n(?P<quote>>*) ?(?=[^\r\n])|[{_UNSEEN}]+", re.MULTILINE)
_QUOTE = re.compile(r">*")
_BLANKS = frozenset("\t\n\r\f")
_SHOWN_RAW = frozenset(("textarea", "xmp"))
"""Raw text that is seen."""
_CONDITIONAL = re.compile(r"<!--\[if[^\]>]{0,200}\]>(?!<!-->|-->)(.*?)<!\[endif\]-->", re.IGNORECASE | re.DOTALL)


class _Piece(NamedTuple):
    """From `seen` on the text stands at `source`; `width` is 0 where it stands so as it is, else all of it is one."""

    seen: int
    source: int
    width: int


class _Run(NamedTuple):
    """Characters of the body between two tags, and where they begin in the text that is seen."""

    seen: int
    start: int
    end: int


class _Reading:
    """Which characters of the body show which of the text."""

    def __init__(self) -> None:
        self.seen = 0
        self._pieces: list[_Piece] = []
        self._runs: list[_Run] = []
        self._began: tuple[int, int, int] = (0, 0, 0)
        self._starts: list[int] = []
        self._run_starts: list[int] = []

    def begin(self, source: int) -> None:
        """A run begins."""
        self._began = (self.seen, source, len(self._pieces))

    def end(self, source: int) -> None:
        """It ends where a tag or the text does; one of which nothing is seen is none."""
        seen, start, pieces = self._began
        if len(self._pieces) > pieces:
            self._runs.append(_Run(seen, start, source))

    def keep(self, start: int, end: int) -> None:
        """Characters that are seen as they stand."""
        if start < end:
            self._pieces.append(_Piece(self.seen, start, 0))
            self.seen += end - start

    def put(self, start: int, end: int, shown: str) -> None:
        """Characters that are seen otherwise, or not at all."""
        if shown:
            self._pieces.append(_Piece(self.seen, start, end - start))
            self.seen += len(shown)

    def close(self) -> None:
        self._starts = [piece.seen for piece in self._pieces]
        self._run_starts = [run.seen for run in self._runs]

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, Change]]:
        """As `VisibleText.pieces`."""
        first = max(0, bisect_right(self._run_starts, start) - 1)
        for number in range(first, len(self._runs)):
            run = self._runs[number]
            if run.seen >= end:
                return
            run_end = self._run_starts[number + 1] if number + 1 < len(self._runs) else self.seen
            low, high = max(start, run.seen), min(end, run_end)
            if low < high and (change := self._change(run, low, high)) is not None:
                yield low, high, change

    def _change(self, run: _Run, low: int, high: int) -> Change | None:
        """None for a line end that stands for a tag."""
        first, last = self._source(low), self._source(high - 1)
        start, end = max(first[0], run.start), min(last[1], run.end)
        return Change(start, end, "") if start < end else None

    def _source(self, seen: int) -> tuple[int, int]:
        """The characters of the body that show one of the text."""
        piece = self._pieces[bisect_right(self._starts, seen) - 1]
        if piece.width:
            return piece.source, piece.source + piece.width
        start = piece.source + seen - piece.seen
        return start, start + 1


def _one_space(text: str) -> str:
    """All white space of HTML as one space each."""
    for character in ("\r\n", "\n", "\r", "\t", "\f"):
        text = text.replace(character, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


@lru_cache(maxsize=1024)
def _character(entity: str) -> str:
    seen = html.unescape(entity)
    return " " if seen in _BLANKS else seen


def _inside(match: re.Match[str]) -> tuple[int, int]:
    """What is seen inside a token: what Outlook reads in a comment, and raw text that is not hidden."""
    if match["comment"] is not None:
        found = _CONDITIONAL.fullmatch(match.string, *match.span())
        return found.span(1) if found else (0, 0)
    if match["raw"] is not None and match["raw"].lower() in _SHOWN_RAW:
        return min(match.end("raw_attributes") + 1, match.end()), match.end()
    return 0, 0


class VisibleText:
    """`text` is what is seen; lines end in "\\n" in HTML, in plain text as they stand."""

    def __init__(self, body: str, *, is_html: bool, is_flowed: bool = False, is_delsp: bool = False) -> None:
        self.is_html = is_html
        self._body = body
        self._is_delsp = is_delsp
        self._irregular = _HTML if is_html else _FLOWED if is_flowed else _PLAIN
        self._shown = self._shown_in_html if is_html else self._shown_in_plain
        shown = self._all_shown()
        self.text = shown if shown.isascii() else shown.translate(_TO_SPACES)
        self.covered = self.text
        """The same with what masks have covered of it, character by character."""
        self._reading: _Reading | None = None

    def _all_shown(self) -> str:
        """What `_shown` says of every match. In HTML by one pass for each kind, several times quicker."""
        body = self._body
        if not self.is_html or _CUT_ENTITY.search(body):
            return self._irregular.sub(self._shown, body)
        text = TOKEN.sub(self._shown_of_tag, _one_space(body))
        if "&" in text:
            text = _ENTITY.sub(lambda match: _character(match[0]), text)
        return text if text.isascii() else _PLAIN.sub("", text)

    def _shown_in_html(self, match: re.Match[str]) -> str:
        """What is seen of a tag or an irregular piece of text."""
        kind = match.lastgroup
        if kind == "space":
            return " "
        if kind == "entity":
            seen = _character(match[0])
            return "" if _PLAIN.fullmatch(seen) else seen
        return "" if kind == "unseen" else self._shown_of_tag(match)

    def _shown_of_tag(self, match: re.Match[str]) -> str:
        name = match["name"]
        if name is not None:
            return "" if name in _INLINE or name.lower() in _INLINE or ":" in name else "\n"
        start, end = _inside(match)
        seen = "\n" if match["raw"] is not None else ""
        if start == end:
            return seen
        inside = match.string[start:end]
        if match.re is TOKEN:  # the rest is still to come
            return seen + (inside if seen else TOKEN.sub(self._shown_of_tag, inside))
        return seen + (_RAW if seen else self._irregular).sub(self._shown, inside)

    def _shown_in_plain(self, match: re.Match[str]) -> str:
        if not match.re.groups or match["space"] is None:
            return ""
        body = match.string
        line = body.rfind("\n", 0, match.start()) + 1
        quote = _QUOTE.match(body, line)
        if quote is None or quote.end() - line != len(match["quote"]):
            return match[0]  # the quote ends here, and so does the paragraph
        return "" if self._is_delsp else " "

    def _read(self) -> _Reading:
        """The way back, made where something was found."""
        if self._reading is None:
            self._reading = _Reading()
            self._read_span(self._reading, self._irregular, 0, len(self._body))
            self._reading.close()
        return self._reading

    def _read_span(self, reading: _Reading, irregular: re.Pattern[str], start: int, end: int) -> None:
        reading.begin(start)
        done = start
        for match in irregular.finditer(self._body, start, end):
            reading.keep(done, match.start())
            done = match.end()
            if self.is_html and match.lastgroup not in ("space", "entity", "unseen"):
                self._read_tag(reading, match)
            else:
                reading.put(match.start(), done, self._shown(match))
        reading.keep(done, end)
        reading.end(end)

    def _read_tag(self, reading: _Reading, match: re.Match[str]) -> None:
        reading.end(match.start())
        start, end = _inside(match)
        if start == end:
            reading.seen += len(self._shown(match))
        else:
            is_raw = match["raw"] is not None
            reading.seen += is_raw  # the line end that stands for the tag
            self._read_span(reading, _RAW if is_raw else self._irregular, start, end)
        reading.begin(match.end())

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, Change]]:
        """The text from `start` up to `end` in its runs: where each begins and ends, and the change that deletes it."""
        return self._read().pieces(start, end)

    def written(self, text: str) -> str:
        """A text as it has to stand in the body to be seen so."""
        return html.escape(text, quote=False).replace("\n", "<br>\n") if self.is_html else text
