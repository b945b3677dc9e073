"""Enough of PowerShell's lexer to see where strings end: about_Quoting_Rules, about_Comments, about_Special_Characters.

It takes the typographic quotation marks for quotation marks, as PowerShell does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SINGLE = "'‘’‚‛"
_DOUBLE = '"“”„'


def tokens(script: str) -> list[tuple[str, str]]:
    """Kinds and texts: `single` and `double` strings (contents), `comment`, `word`, `mark`. Raises ValueError."""
    return list(_tokens(script))


def _tokens(script: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(script):
        character = script[at]
        if character in _SINGLE + _DOUBLE:
            marks = _SINGLE if character in _SINGLE else _DOUBLE
            text, at = _string(script, at + 1, marks)
            yield ("single" if marks is _SINGLE else "double"), text
        elif character == "#":
            end = script.find("\n", at)
            end = len(script) if end < 0 else end
            yield "comment", script[at:end]
            at = end
        elif character.isspace():
            at += 1
        elif match := re.compile(r"[$\w:.-]+").match(script, at):
            yield "word", match[0]
            at = match.end()
        else:
            yield "mark", character
            at += 1


def _string(script: str, at: int, marks: str) -> tuple[str, int]:
    text = ""
    while at < len(script):
        if script[at] in marks:
            if at + 1 < len(script) and script[at + 1] in marks:
                text += script[at]
                at += 2
                continue
            return text, at + 1
        if script[at] == "`" and marks is _DOUBLE:
            at += 1
        text += script[at]
        at += 1
    raise ValueError("a string doesn't end")


def value_of(expression: str) -> str:
    """What a string expression of ours gives: `'…'`, or `('…' + [char]0x00D1 + …)`. Raises ValueError."""
    units = b""
    found = tokens(expression)
    if found and found[0] == ("mark", "(") and found[-1] == ("mark", ")"):
        found = found[1:-1]
    parts = iter(found)
    for kind, text in parts:
        if kind == "single":
            units += text.encode("utf-16-be")
        elif (kind, text) == ("mark", "["):
            assert (next(parts), next(parts)) == (("word", "char"), ("mark", "]"))
            units += bytes.fromhex(next(parts)[1].removeprefix("0x"))
        elif (kind, text) != ("mark", "+"):
            raise ValueError(f"{text!r} is no part of a string")
    return units.decode("utf-16-be")
