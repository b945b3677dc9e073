"""Stamps known by their own words: in plain text, and in HTML whose markers are lost.

Compared are letters and digits alone, without regard to case. So it doesn't matter how a mail program wraps and quotes
lines, turns HTML into text and back, or shows a table's cells; the addresses and pictures that it writes beside words
are left out on both sides.
"""

from __future__ import annotations

import html
import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

from mta.message.approximate import WRITTEN
from mta.message.html.scan import tokens

RECOGNISED_MIN = 12
"""Letters and digits that a text needs to be told from other texts."""
_QUOTE = r"^[ \t]*+(?>(?:>[ \t]?)+)"
# What mail programs write for a picture is short and begins at the bracket; a warning in brackets is words like others.
_PICTURE = r"\[(?:cid|https?):[^\[\]]{0,300}\]|\[[^\[\]\s][^\[\]]{0,100}\]|\[\]"
_BESIDE = rf"<(?:https?|mailto|tel|ftp|cid):[^<>]{{0,2000}}>|{_PICTURE}|\b(?:https?://|mailto:)[^\s<>\"]+"
_QUOTES = re.compile(_QUOTE, re.MULTILINE)
_ADDRESSES = re.compile(_BESIDE, re.IGNORECASE)
_NOT_LETTERS = re.compile(r"[\W_]+")
_RUN = re.compile(r"[^\W_]+|[^\x00-\x7f]+")
_WORD = re.compile(r"[a-z0-9]{4,}", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});?")
_INLINE = frozenset(("a", "span", "b", "i", "u", "font", "strong", "em", "small", "o:p", "img", "sub", "sup"))


def letters(text: str) -> str:
    """What is compared of a plain text."""
    return _bare(_ADDRESSES.sub(" ", _QUOTES.sub(" ", text)) if ">" in text or "[" in text or ":" in text else text)


def _bare(text: str) -> str:
    """Letters without their marks: in a charset that nobody knows, our own stamps have ASCII letters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(WRITTEN)).casefold()
        text = unicodedata.normalize("NFKD", text)
    return _NOT_LETTERS.sub("", text.lower())


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


_bare_character = lru_cache(maxsize=4096)(_bare)


class Searched(Protocol):
    """A body to look in: `bodies.TextView`."""

    is_html: bool

    @property
    def octets(self) -> bytes: ...

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
            (not word or word in view.octets or (view.is_html and b"&" in view.octets)) and wanted in view.letters
            for word, wanted in self._wanted
        )


@lru_cache(maxsize=256)
def _wanted(text: str, source: str) -> tuple[tuple[bytes, str], ...]:
    """For each of the forms its longest word of plain letters, a quick test, and all its letters."""
    found = {}
    for form in (text, shown_text(source)):
        wanted = letters(form)
        if len(wanted) >= RECOGNISED_MIN:
            words = _WORD.findall(_ADDRESSES.sub(" ", form))
            found[wanted] = max(words, key=len).lower().encode() if words else b""
    return tuple((word, wanted) for wanted, word in found.items())


Places: TypeAlias = "array[int]"


class Located(NamedTuple):
    """A text's letters, and where in the text each of them begins and ends."""

    letters: str
    starts: Places
    ends: Places

    def find(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Every place of these letters, as indexes of the first and behind the last."""
        at = self.letters.find(wanted)
        while at >= 0:
            yield at, at + len(wanted)
            at = self.letters.find(wanted, at + len(wanted))

    def before(self, position: int) -> int:
        """How many letters begin before a position of the text."""
        return bisect_left(self.starts, position)


class _Shown(NamedTuple):
    """Characters that are shown, and the span of the text that each stands for."""

    text: str
    starts: Places
    ends: Places

    def without(self, left_out: re.Pattern[str]) -> _Shown:
        """A space in the place of each match: nothing on its sides is one word."""
        pieces: list[str] = []
        starts, ends = array("L"), array("L")
        at = 0
        for match in left_out.finditer(self.text):
            pieces += (self.text[at : match.start()], " ")
            starts += self.starts[at : match.start() + 1]
            ends += self.ends[at : match.start() + 1]
            at = match.end()
        if not pieces:
            return self
        return _Shown("".join([*pieces, self.text[at:]]), starts + self.starts[at:], ends + self.ends[at:])


def locate(text: str, *, is_html: bool) -> Located:
    """The letters of a text as `letters` finds them, with their places."""
    shown = _shown(text) if is_html else _Shown(text, array("L", range(len(text))), array("L", range(1, len(text) + 1)))
    shown = shown.without(_QUOTES).without(_ADDRESSES)
    found: list[str] = []
    starts, ends = array("L"), array("L")
    for match in _RUN.finditer(shown.text):
        first, behind = match.span()
        if match[0].isascii():
            found.append(match[0].lower())
            starts += shown.starts[first:behind]
            ends += shown.ends[first:behind]
            continue
        for at in range(first, behind):
            bare = _bare_character(shown.text[at])
            found.append(bare)
            starts.extend([shown.starts[at]] * len(bare))
            ends.extend([shown.ends[at]] * len(bare))
    return Located("".join(found), starts, ends)


def _shown(source: str) -> _Shown:
    """What HTML shows, as `shown_text` has it."""
    pieces: list[str] = []
    starts, ends = array("L"), array("L")
    at = 0
    for token in tokens(source):
        _add(pieces, starts, ends, source, at, token.start)
        if token.name not in _INLINE:
            pieces.append("\n")
            starts.append(token.start)
            ends.append(token.start)
        at = token.end
    _add(pieces, starts, ends, source, at, len(source))
    return _Shown("".join(pieces), starts, ends)


def _add(pieces: list[str], starts: Places, ends: Places, source: str, at: int, end: int) -> None:
    """Text between tags, its character references read."""
    for match in _ENTITY.finditer(source, at, end):
        pieces.append(source[at : match.start()])
        starts.extend(range(at, match.start()))
        ends.extend(range(at + 1, match.start() + 1))
        chars = html.unescape(match[0])
        pieces.append(chars)
        starts.extend([match.start()] * len(chars))
        ends.extend([match.end()] * len(chars))
        at = match.end()
    pieces.append(source[at:end])
    starts.extend(range(at, end))
    ends.extend(range(at + 1, end + 1))
