"""Text that every match of a pattern holds: what lacks it need not be searched, for calls of RE2 are dear.

Only ASCII counts. Case folded text holds such a piece, folded too, wherever RE2 would find it in any case. `?` never
counts, for that is what RE2 is given in the place of what is no character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LENGTH_MIN = 2
_FLAGS = re.compile(r"\(\?[imsU-]+\)")
_TOKEN = re.compile(
    r"(?P<nothing>\\[bBAz]|[\^$])"
    r"|(?P<varying>\.|\\[dDsSwW]|\[\^?\]?(?>(?:[^\[\]\\]|\\.)*)\])"
    r"|(?P<optional>(?:[*?]|\{0+(?:,\d*)?\})\??)"
    r"|(?P<repeated>(?:\+|\{\d+(?:,\d*)?\})\??)"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<plain>[^\\.\[\](){}|*+?^$])",
    re.DOTALL,
)
_PIECE = re.compile(r"[!-)+->@-~]+")


def in_regex(regex: str) -> str:
    """The longest text that every match of an RE2 regex holds; "" where its writing doesn't show one plainly.

    Groups and alternatives are not looked into.
    """
    flags = _FLAGS.match(regex)
    position = flags.end() if flags else 0
    runs = [""]
    kind = ""
    while position < len(regex):
        token = _TOKEN.match(regex, position)
        if token is None or (token.lastgroup in ("optional", "repeated") and kind in ("optional", "repeated")):
            return ""
        position = token.end()
        kind = token.lastgroup or ""
        character = token["plain"] or token["escaped"] or ""
        if character.isascii() and character not in ("", "?"):
            runs[-1] += character
        elif kind != "nothing":
            if kind == "optional":
                runs[-1] = runs[-1][:-1]
            runs.append("")
    longest = max(runs, key=len)
    return longest.casefold() if len(longest) >= _LENGTH_MIN else ""


def in_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Pieces of which every match of one of these wildcard texts holds one; empty where that isn't sure."""
    needed: dict[str, None] = {}
    for text in texts:
        pieces = _PIECE.findall(text)
        if not pieces:
            return ()
        needed[max(pieces, key=len).casefold()] = None
    return tuple(needed)
