"""Where a stamp goes in a decoded body: top, bottom, or under the newest reply and above what it quotes."""

from __future__ import annotations

from typing import NamedTuple


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
