"""A second opinion on where quoted text begins, by the shape of lines and without a word of any language.

It shares nothing with the relay's placement. Labels rest on reading; this finds the bodies worth reading and the
labels worth reading again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tests.corpus_labels.rendering import RULE, Line

_DATED = re.compile(r"\d{1,2}[:.h]\d\d|\b(?:19|20)\d\d\b|\d[./-]\d\d?[./-]\d")
_MAILBOX = re.compile(r"[^\s<>()\[\]@]+@[^\s<>()\[\]]+|<[^<>]+>")
_LABELLED = re.compile(r"[*_ ]*[^\W\d][^:\uff1a]{0,24}[*_ ]*[:\uff1a]")
_DASHED = re.compile(r"[-_=*\u2013\u2014]{2,}\s?[^\W_].{2,60}?[-_=*\u2013\u2014]{2,}$")
_SIGNS = re.compile(
    r"gmail_(?:quote|attr)|divrply|appendonsend|stopspelling|olk_src|mail-editor-ref|moz-(?:cite|forward)|yahoo.quoted"
    r"|zwchr|protonmail_quote|replysection",
    re.IGNORECASE,
)
_FOOTER_MIN = 300
_BETWEEN_MIN = 80


class Opinion(NamedTuple):
    """`kind`: "above" (the reply stands above the line with index `line`), "bottom" (below or between), "none"."""

    kind: str
    line: int


def opinion(lines: Sequence[Line]) -> Opinion:
    """Where the quoted part begins."""
    for index, line in enumerate(lines):
        if line.depth or any(_SIGNS.search(sign) for sign in line.signs):
            first = _attribution_start(lines, index)
            if line.depth and _is_answered_below(lines, first, index):
                return Opinion("bottom", first)
            return Opinion("above", first)
        if _is_header_block(lines, index) or (_DASHED.match(line.text) and _is_labelled(lines, index + 1)):
            return Opinion("above", index - 1 if index and _announces(lines[index - 1].text) else index)
        if any(below.depth for below in lines[index + 1 : index + 4]):
            continue
        if line.text.endswith(":") and _DATED.search(line.text) and _MAILBOX.search(line.text):
            return Opinion("above", _attribution_start(lines, index + 1))
    return Opinion("none", len(lines))


def _attribution_start(lines: Sequence[Line], quote: int) -> int:
    """The line with which the up to three lines begin that say who wrote, right above the quoted one."""
    if quote == 0 or not lines[quote - 1].text.endswith((":", "\uff1a", ">")):
        return quote - 1 if quote and lines[quote - 1].text == RULE else quote
    first = quote - 1
    for above in range(quote - 1, max(quote - 4, -1), -1):
        if _DATED.search(lines[above].text) and len(lines[above].text) < 200:
            first = above
    return first


def _announces(text: str) -> bool:
    """A rule, or words between rules."""
    return not any(map(str.isalnum, text)) or _DASHED.match(text) is not None


def _is_labelled(lines: Sequence[Line], index: int) -> bool:
    """Whether several of the next lines begin with a word and a colon."""
    return sum(_LABELLED.match(line.text) is not None for line in lines[index : index + 4]) > 1


def _is_header_block(lines: Sequence[Line], index: int) -> bool:
    texts = [line.text for line in lines[index : index + 5]]
    labelled = [bool(_LABELLED.match(text)) for text in texts]
    return (
        sum(labelled) >= 3
        and labelled[0]
        and any(map(_DATED.search, texts))
        and any(map(_MAILBOX.search, texts))
        and not lines[index].depth
    )


def _is_answered_below(lines: Sequence[Line], first: int, quote: int) -> bool:
    above = sum(len(line.text) for line in lines[:first])
    last = max(index for index, line in enumerate(lines) if line.depth)
    between = sum(len(line.text) for line in lines[quote:last] if not line.depth)
    below = sum(len(line.text) for line in lines[last + 1 :])
    if not above:
        return between + below > 0
    return between > _BETWEEN_MIN or below > max(above, _FOOTER_MIN)
