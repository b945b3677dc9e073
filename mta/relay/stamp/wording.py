"""Stamps known by their own words: in plain text, and in HTML whose markers are lost.

Compared are letters and digits alone, without regard to case. So it doesn't matter how a mail program wraps and quotes
lines, turns HTML into text and back, or shows a table's cells; the addresses and pictures that it writes beside words
are left out on both sides.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Protocol

from mta.relay.stamp.html_text import text_of

RECOGNISED_MIN = 12
"""Letters and digits that a text needs to be told from other texts."""
_QUOTE = r"^[ \t]*+(?>(?:>[ \t]?)+)"
_BESIDE = r"<(?:https?|mailto|tel|ftp|cid):[^<>]{0,2000}>|\[[^\[\]]{0,300}\]|\b(?:https?://|mailto:)[^\s<>\"]+"
_LEFT_OUT = re.compile(rf"{_QUOTE}|{_BESIDE}", re.MULTILINE | re.IGNORECASE)
_QUOTES = re.compile(_QUOTE, re.MULTILINE)
_ADDRESSES = re.compile(_BESIDE, re.IGNORECASE)
_NOT_LETTERS = re.compile(r"[\W_]+")
_WORD = re.compile(r"[a-z0-9]{4,}", re.IGNORECASE)


def letters(text: str) -> str:
    """What is compared of a plain text."""
    bare = _ADDRESSES.sub(" ", _QUOTES.sub("", text)) if ">" in text or "[" in text or ":" in text else text
    return _NOT_LETTERS.sub("", unicodedata.normalize("NFKC", bare).casefold())


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

    def __init__(self, text: str, html: str = "") -> None:
        self._wanted = _wanted(text, html)

    def stand_in(self, view: Searched) -> bool:
        """Whether the stamp stands in the body, quoted or not."""
        return any(
            (not word or word in view.folded or (view.is_html and "&" in view.text)) and wanted in view.letters
            for word, wanted in self._wanted
        )


@lru_cache(maxsize=256)
def _wanted(text: str, html: str) -> tuple[tuple[str, str], ...]:
    """For each of the forms its longest word of plain letters, a quick test, and all its letters."""
    found = {}
    for form in (text, text_of(html) if html else ""):
        wanted = letters(form)
        if len(wanted) >= RECOGNISED_MIN:
            words = _WORD.findall(_ADDRESSES.sub(" ", form))
            found[wanted] = max(words, key=len).lower() if words else ""
    return tuple((word, wanted) for wanted, word in found.items())
