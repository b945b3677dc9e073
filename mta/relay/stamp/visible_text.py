"""A body's text as its reader sees it, with the way back: which characters of the body show a piece of it.

In HTML that is what stands between the tags, entities resolved, white space one space; a tag inside a line interrupts
nothing, another one is a line end. In plain text the soft line breaks of format=flowed are gone. What nobody sees (soft
hyphens, spaces without width) is left out, so that it keeps nothing from being found.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mta.message.body_text import Change
from mta.relay.stamp.html_scan import TOKEN

_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr", "ruby", "blink", "label",
})  # fmt: skip
_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_IRREGULAR_HTML = re.compile(
    r"[ \t\r\n\f]{2,}|[\t\r\n\f]|&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});"
    rf"|[{_UNSEEN}]+"
)
_IRREGULAR_PLAIN = re.compile(rf"[{_UNSEEN}]+")
_IRREGULAR_FLOWED = re.compile(rf"(?<!^--)(?P<space> )\r?\n(?P<quote>>*) ?(?=[^\r\n])|[{_UNSEEN}]+", re.MULTILINE)
_QUOTE = re.compile(r">*")
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


class VisibleText:
    """`text` is what is seen; lines end in "\\n" in HTML, in plain text as they stand."""

    def __init__(self, body: str, *, is_html: bool, is_flowed: bool = False, is_delsp: bool = False) -> None:
        self.is_html = is_html
        self._body = body
        self._is_delsp = is_delsp
        self._pieces: list[_Piece] = []
        self._runs: list[_Run] = []
        self._seen: list[str] = []
        self._length = 0
        if is_html:
            self._read_html(0, len(body))
        else:
            self._read(0, len(body), _IRREGULAR_FLOWED if is_flowed else _IRREGULAR_PLAIN, self._shown_in_plain)
        self.text = "".join(self._seen).replace("\u00a0", " ")
        self._starts = [piece.seen for piece in self._pieces]
        self._run_starts = [run.seen for run in self._runs]

    def _read_html(self, start: int, end: int) -> None:
        done = start
        for match in TOKEN.finditer(self._body, start, end):
            self._read(done, match.start(), _IRREGULAR_HTML, _shown_in_html)
            done = match.end()
            name = match["name"]
            if name is not None:
                if name.lower() not in _INLINE and ":" not in name:
                    self._put("\n")
            elif match["raw"] is not None:
                self._put("\n")
            elif inside := _CONDITIONAL.fullmatch(self._body, match.start(), done):
                self._read_html(*inside.span(1))  # Outlook shows it
        self._read(done, end, _IRREGULAR_HTML, _shown_in_html)

    def _read(
        self, start: int, end: int, irregular: re.Pattern[str], shown: Callable[[re.Match[str]], str | None]
    ) -> None:
        """One run: `irregular` finds what is seen otherwise than it stands there."""
        if start >= end:
            return
        self._runs.append(_Run(self._length, start, end))
        done = start
        for match in irregular.finditer(self._body, start, end):
            seen = shown(match)
            if seen is None:
                continue
            self._keep(done, match.start())
            done = match.end()
            if seen:
                self._pieces.append(_Piece(self._length, match.start(), done - match.start()))
                self._put(seen)
        self._keep(done, end)

    def _keep(self, start: int, end: int) -> None:
        if start < end:
            self._pieces.append(_Piece(self._length, start, 0))
            self._put(self._body[start:end])

    def _put(self, seen: str) -> None:
        self._seen.append(seen)
        self._length += len(seen)

    def _shown_in_plain(self, match: re.Match[str]) -> str | None:
        if not match.re.groups or match["space"] is None:
            return ""
        line = self._body.rfind("\n", 0, match.start()) + 1
        quote = _QUOTE.match(self._body, line)
        if quote is None or quote.end() - line != len(match["quote"]):
            return None  # the quote ends here, and so does the paragraph
        return "" if self._is_delsp else " "

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, Change]]:
        """The text from `start` up to `end` in its runs: where each begins and ends, and the change that deletes it."""
        first = max(0, bisect_right(self._run_starts, start) - 1)
        for number in range(first, len(self._runs)):
            run = self._runs[number]
            if run.seen >= end:
                return
            run_end = self._run_starts[number + 1] if number + 1 < len(self._runs) else self._length
            low, high = max(start, run.seen), min(end, run_end)
            if low < high and (change := self._change(run, low, high)) is not None:
                yield low, high, change

    def _change(self, run: _Run, low: int, high: int) -> Change | None:
        """None for a line end that stands for a tag."""
        first, last = self._source(low), self._source(high - 1)
        source_start, source_end = max(first[0], run.start), min(last[1], run.end)
        return Change(source_start, source_end, "") if source_start < source_end else None

    def _source(self, seen: int) -> tuple[int, int]:
        """The characters of the body that show one of the text."""
        piece = self._pieces[bisect_right(self._starts, seen) - 1]
        if piece.width:
            return piece.source, piece.source + piece.width
        start = piece.source + seen - piece.seen
        return start, start + 1

    def written(self, text: str) -> str:
        """A text as it has to stand in the body to be seen so."""
        return html.escape(text, quote=False).replace("\n", "<br>\n") if self.is_html else text


def _shown_in_html(match: re.Match[str]) -> str | None:
    found = match[0]
    if found[0] == "&":
        seen = html.unescape(found)
        if len(seen) != 1:
            return None if seen == found else seen
        return "" if seen in _UNSEEN else seen
    return "" if found[0] in _UNSEEN else " "
