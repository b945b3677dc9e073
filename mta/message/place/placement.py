"""Where a stamp goes in a decoded body: top, bottom, or under the newest reply and above what it quotes."""

from __future__ import annotations

from typing import NamedTuple

MARKER = "stampline[-_]"
"""RE2 pattern: what our stamps' ids, classes and bookmarks begin with, whatever mail programs put before."""


class Placement(NamedTuple):
    """Insert at the character `position`; `before` and `after` are what the stamp needs around it to stand alone."""

    position: int
    before: str = ""
    after: str = ""


def lowered(text: str) -> str:
    """The text in lower case with every character at its place."""
    folded = text.lower()
    if len(folded) != len(text):  # only U+0130 grows
        folded = text.replace("\u0130", "i").lower()
    return folded


class BodyView:
    """A body's text in the forms that searching needs, each made once and only if it is asked for."""

    def __init__(self, text: str, utf_8: bytes | None = None) -> None:
        """`utf_8` is the text encoded, if it is at hand."""
        self.text = text
        self.quiet: bool | None = None
        """What `quote_lines.is_quiet` found."""
        self._utf_8 = utf_8
        self._octets: bytes | None = None
        self._folded: str | None = None

    @property
    def octets(self) -> bytes:
        """UTF-8 for RE2 and for counting, ASCII letters in lower case. Offsets differ from the text's."""
        if self._octets is None:
            self._octets = (self.text.encode("utf-8", "replace") if self._utf_8 is None else self._utf_8).lower()
        return self._octets

    @property
    def folded(self) -> str:
        """In lower case, every character at its place."""
        if self._folded is None:
            self._folded = lowered(self.text)
        return self._folded
