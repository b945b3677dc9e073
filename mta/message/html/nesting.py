"""Which elements are open at a place, as far as it decides whether text put there can be seen.

A model of the tree construction of the HTML standard (§13.2.6) that knows scopes (a cell's content can't be closed from
outside in) but not the adoption agency. Every step is constant or amortised, so the time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mta.message.html.scan import VOID, Token, attributes

_TABLE = frozenset(("table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption"))
_SCOPES = frozenset(("table", "td", "th", "caption"))
_CLOSED_BY_PARENT = frozenset(("p", "li", "dd", "dt", "option", "td", "th", "tr", "tbody", "thead", "tfoot", "caption"))
_UP_TO = {"td": ("tr", "table"), "th": ("tr", "table"), "tr": ("tbody", "thead", "tfoot", "table")}
_ROOTS = frozenset(("html", "head", "body"))
HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|opacity\s*:\s*0(?![.\d])"
    r"|(?:max-)?height\s*:\s*0(?:px)?\s*(?:[;!]|\Z)|font-size\s*:\s*0(?:px)?\s*(?:[;!]|\Z)",
    re.IGNORECASE,
)
HIDES = r"display\s*:\s*none|visibility\s*:|mso-hide|height\s*:\s*0|opacity\s*:|font-size\s*:\s*0|\shidden"
"""RE2 pattern (lower case): without a match nothing is hidden by a style or attribute."""
# Elements with raw text; values and tags with a `<` or `>` in them, whose ends are not where they seem to be.
SWALLOWS = (
    r"<(?:script|textarea|xmp|iframe|noembed|noframes|plaintext|select|template|svg|math|object|video|audio|canvas)"
    r"""|=\s*"[^"<>]*[<>]|=\s*'[^'<>]*[<>]|=\s*["'][^"'<>]*\z|<[a-z/!?][^<>]*(?:<|\z)"""
)
HIDES_CHILDREN = frozenset(("select", "svg", "math", "object", "video", "audio", "canvas", "template"))


class OpenElements:
    """The stack of open elements."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, bool]] = []
        self._places: dict[str, list[int]] = {}
        self._scopes: list[int] = []

    def feed(self, tokens: Iterable[Token]) -> None:
        """Take the tokens up to the place."""
        for token in tokens:
            if token.kind == "open":
                self._open(token)
            elif token.kind == "close":
                self._close(token.name)

    def is_hidden(self) -> bool:
        """Whether text here would not be seen."""
        return any(hides for _, hides in self._stack)

    def closers(self) -> str:
        """End tags that bring us out of everything that hides: hidden elements, tables between their cells."""
        outermost = next((i for i, (name, hides) in enumerate(self._stack) if hides or name == "table"), None)
        if outermost is None:
            return ""
        names = [name for name, _ in reversed(self._stack[outermost:])]
        return "".join(f"</{name}>" for name in names if name not in _CLOSED_BY_PARENT)

    def _open(self, token: Token) -> None:
        name = token.name
        if name in VOID or name in _ROOTS or (token.attributes.endswith("/") and ":" in name):
            return
        if name in _UP_TO:
            self._pop_to_parent(_UP_TO[name])
        hides = name in HIDES_CHILDREN or _is_hidden(token.attributes)
        self._places.setdefault(name, []).append(len(self._stack))
        if name in _SCOPES:
            self._scopes.append(len(self._stack))
        self._stack.append((name, hides))

    def _close(self, name: str) -> None:
        places = self._places.get(name)
        if not places:
            return
        if name not in _TABLE and self._scopes and places[-1] < self._scopes[-1]:
            return
        self._pop_to(places[-1])

    def _pop_to_parent(self, parents: tuple[str, ...]) -> None:
        nearest = max((self._places[name][-1] for name in parents if self._places.get(name)), default=-1)
        table = self._places.get("table")
        if nearest >= 0 and table and nearest >= table[-1]:
            self._pop_to(nearest + 1)

    def _pop_to(self, length: int) -> None:
        while len(self._stack) > length:
            name, _ = self._stack.pop()
            self._places[name].pop()
            if self._scopes and self._scopes[-1] >= len(self._stack):
                self._scopes.pop()


def _is_hidden(written: str) -> bool:
    lowered = written.lower()
    if "style" in lowered and HIDDEN.search(lowered) is not None:
        found = attributes(written)
        return HIDDEN.search(found.get("style", "")) is not None
    return "hidden" in lowered and "hidden" in attributes(written)
