"""Where a stamp goes in a decoded body: top, bottom, or under the newest reply and above what it quotes."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

MARKER = "stampline-"
"""What our stamps' ids and classes begin with, whatever mail programs put before."""


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

    def __init__(self, text: str) -> None:
        self.text = text
        self.quiet: bool | None = None
        """What `quote_lines.is_quiet` found."""

    @cached_property
    def octets(self) -> bytes:
        """UTF-8 for RE2 and for counting, ASCII letters in lower case. Offsets differ from the text's."""
        return self.text.encode("utf-8", "replace").lower()

    @cached_property
    def folded(self) -> str:
        """In lower case, every character at its place."""
        return lowered(self.text)
