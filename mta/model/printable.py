"""Text that strangers may have written, for a terminal or a mail."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text without what would steer a terminal, or turn the direction of writing; tabs and line feeds stay."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def in_a_line(text: str, limit: int) -> str:
    """The text in one line of at most `limit` characters, printable."""
    line = printable(" ".join(text[: 4 * limit].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
