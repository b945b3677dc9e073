"""A light, linear scanner for HTML as it comes in mail: tokens are spans of the text, nothing is changed or mended.

It follows the tokenisation of the HTML standard (§13.2.5) as far as positions need it: comments (conditional ones too),
bogus comments, raw text of `<script>`, `<style>` and their like, quotes in attributes. Every repeat is possessive or
consumes what it looked at, so the time is linear in the text however it is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Atomic groups instead of possessive groups, here and elsewhere: Python 3.11.0 to 3.11.4 match those wrongly.
_VALUE = r"(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|(?![\"'])[^\s>]++)"
_ATTRIBUTES = rf"(?>(?:[\s/]++|[^\s/>][^\s/>=]*+(?>(?:\s*+=\s*+(?>{_VALUE}?))?))*)"
_RAW = "script|style|textarea|title|xmp|iframe|noembed|noframes"
TOKEN = re.compile(
    r"<(?:"
    r"!--(?P<comment>(?:-?>|[^-]*+(?>(?:-(?!-!?>)[^-]*+)*)(?:--!?>|(?P<open1>\Z))))"
    rf"|(?P<raw>{_RAW})(?=[\s/>])(?P<raw_attributes>{_ATTRIBUTES})(?:>|\Z)"
    r"[^<]*+(?>(?:<(?!/(?P=raw)[\s/>])[^<]*+)*)(?P<open2>\Z)?"
    rf"|(?P<close>/)?(?P<name>[a-z][^\s/>]*+)(?P<attributes>{_ATTRIBUTES})(?:>|(?P<open3>\Z))"
    r"|(?P<bogus>[!?/])[^>]*+(?:>|(?P<open4>\Z))"
    r")",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^\s>]++))?)?")
VOID = frozenset(
    [
        "area",
        "base",
        "basefont",
        "bgsound",
        "br",
        "col",
        "embed",
        "frame",
        "hr",
        "img",
        "input",
        "keygen",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)


class Token(NamedTuple):
    """`kind` is "open", "close", "raw" (start tag with its raw text, without the end tag), "comment" or "bogus"."""

    kind: str
    name: str
    """Tag name in lower case; "" for comments."""
    start: int
    end: int
    attributes: str
    """The attributes as written; "" for end tags and comments."""
    closed: bool = True
    """False for the last token of a text that breaks off inside it."""


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """Every token that begins in [start, end), in order; what lies between them is text.

    `start` must not lie inside a token.
    """
    stop = len(text) if end is None else end
    for match in TOKEN.finditer(text, start):
        at = match.start()
        if at >= stop:
            return
        yield _token(match, at)


def _token(match: re.Match[str], at: int) -> Token:
    name = match["name"]
    if name is not None:
        kind = "close" if match["close"] else "open"
        return Token(kind, name.lower(), at, match.end(), match["attributes"], match["open3"] is None)
    if match["raw"] is not None:
        attributes = match["raw_attributes"]
        return Token("raw", match["raw"].lower(), at, match.end(), attributes, match["open2"] is None)
    if match["bogus"] is not None:
        return Token("bogus", "", at, match.end(), "", match["open4"] is None)
    return Token("comment", "", at, match.end(), "", match["open1"] is None)


def attributes(written: str) -> dict[str, str]:
    """Attribute names in lower case and their values as written; the first of a name counts, as in browsers."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(written):
        found.setdefault(name.lower(), double or single or bare)
    return found
