"""Stamps known by their own words: in plain text, and in HTML whose markers are lost.

Compared are letters and digits alone, without regard to case. So it doesn't matter how a mail program wraps and quotes
lines, turns HTML into text and back, or shows a table's cells; the addresses and pictures that it writes beside words
are left out on both sides.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from mta.relay.stamp.html_scan import tokens

RECOGNISED_MIN = 12
"""Letters and digits that a text needs to be told from other texts."""
_QUOTE = r"^[ \t]*+(?>(?:>[ \t]?)+)"
_BESIDE = r"<(?:https?|mailto|tel|ftp|cid):[^<>]{0,2000}>|\[[^\[\]]{0,300}\]|\b(?:https?://|mailto:)[^\s<>\"]+"
_QUOTES = re.compile(_QUOTE, re.MULTILINE)
_ADDRESSES = re.compile(_BESIDE, re.IGNORECASE)
_NOT_LETTERS = re.compile(r"[\W_]+")
_WORD = re.compile(r"[a-z0-9]{4,}", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});?")
_INLINE = frozenset(("a", "span", "b", "i", "u", "font", "strong", "em", "small", "o:p", "img", "sub", "sup"))


def letters(text: str) -> str:
    """What is compared of a plain text."""
    bare = _ADDRESSES.sub(" ", _QUOTES.sub("", text)) if ">" in text or "[" in text or ":" in text else text
    return _NOT_LETTERS.sub("", unicodedata.normalize("NFKC", bare).casefold())


def shown_text(source: str) -> str:
    """The characters that HTML shows, its own line ends kept, and one where a block begins or ends."""
    pieces: list[str] = []
    at = 0
    for token in tokens(source):
        pieces.append(source[at : token.start])
        if token.name not in _INLINE:
            pieces.append("\n")
        at = token.end
    return html.unescape("".join([*pieces, source[at:]]))


class Searched(Protocol):
    """A body to look in: `bodies.TextView`."""

    is_html: bool

    @property
    def text(self) -> str: ...

    @property
    def folded(self) -> str: ...

    @property
    def letters(self) -> str: ...


class Words:
    """A stamp's words, as its text says them and as its HTML does."""

    def __init__(self, text: str, source: str = "") -> None:
        self._wanted = _wanted(text, source)

    @property
    def forms(self) -> tuple[str, ...]:
        """Their letters."""
        return tuple(wanted for _, wanted in self._wanted)

    def stand_in(self, view: Searched) -> bool:
        """Whether the stamp stands in the body, quoted or not."""
        return any(
            (not word or word in view.folded or (view.is_html and "&" in view.text)) and wanted in view.letters
            for word, wanted in self._wanted
        )


@lru_cache(maxsize=256)
def _wanted(text: str, source: str) -> tuple[tuple[str, str], ...]:
    """For each of the forms its longest word of plain letters, a quick test, and all its letters."""
    found = {}
    for form in (text, shown_text(source)):
        wanted = letters(form)
        if len(wanted) >= RECOGNISED_MIN:
            words = _WORD.findall(_ADDRESSES.sub(" ", form))
            found[wanted] = max(words, key=len).lower() if words else ""
    return tuple((word, wanted) for wanted, word in found.items())


class Located(NamedTuple):
    """A text's letters, and where in the text each of them begins and ends."""

    letters: str
    starts: list[int]
    ends: list[int]

    def find(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Every place of these letters, as indexes of the first and behind the last."""
        at = self.letters.find(wanted)
        while at >= 0:
            yield at, at + len(wanted)
            at = self.letters.find(wanted, at + len(wanted))

    def before(self, position: int) -> int:
        """How many letters begin before a position of the text."""
        return bisect_left(self.starts, position)


def locate(text: str, *, is_html: bool) -> Located:
    """The letters of a text as `letters` finds them, with their places."""
    shown = list(_shown(text)) if is_html else [(char, at, at + 1) for at, char in enumerate(text)]
    for left_out in (_QUOTES, _ADDRESSES):
        shown = _without(shown, left_out)
    joined = "".join(char for char, _, _ in shown)
    found: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    while at < len(shown):
        end = at + 1
        while end < len(shown) and unicodedata.combining(joined[end]):
            end += 1
        composed = _NOT_LETTERS.sub("", unicodedata.normalize("NFKC", joined[at:end]).casefold())
        found.append(composed)
        starts.extend([shown[at][1]] * len(composed))
        ends.extend([shown[end - 1][2]] * len(composed))
        at = end
    return Located("".join(found), starts, ends)


_Shown = tuple[str, int, int]


def _without(shown: list[_Shown], left_out: re.Pattern[str]) -> list[_Shown]:
    joined = "".join(char for char, _, _ in shown)
    kept: list[_Shown] = []
    at = 0
    for match in left_out.finditer(joined):
        kept += shown[at : match.start()]
        # A space in its place: nothing on its sides is one word.
        kept.append((" ", *shown[match.start()][1:]))
        at = match.end()
    return [*kept, *shown[at:]]


def _shown(source: str) -> Iterator[_Shown]:
    """Every character that HTML shows, and the span of the source that it stands for."""
    at = 0
    for token in tokens(source):
        yield from _data(source, at, token.start)
        if token.name not in _INLINE:
            yield "\n", token.start, token.start
        at = token.end
    yield from _data(source, at, len(source))


def _data(source: str, start: int, end: int) -> Iterator[_Shown]:
    for match in _ENTITY.finditer(source, start, end):
        yield from ((source[at], at, at + 1) for at in range(start, match.start()))
        yield from ((char, match.start(), match.end()) for char in html.unescape(match[0]))
        start = match.end()
    yield from ((source[at], at, at + 1) for at in range(start, end))
