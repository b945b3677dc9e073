"""Fields from what a message says: lines `Order number: 42`, and groups of a regex."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mta.message.patterns.text_patterns import FieldPattern, Text
from mta.model.printable import in_a_line

LINES_LOOKED_AT = 2000
_LINE = re.compile(r"[ \t>*•-]{0,8}([^:\n]{1,120}?)[ \t]{0,20}:[ \t]*(.*)")


def from_lines(text: str, names: Mapping[str, str], length: int) -> dict[str, str]:
    """Of each name (as written before the colon, case and spaces aside) the first value that isn't empty."""
    wanted = {_plain(name): field for name, field in names.items()}
    found: dict[str, str] = {}
    for name, value in _lines(text):
        field = wanted.get(_plain(name))
        if field is not None and field not in found and (value := in_a_line(value, length)):
            found[field] = value
    return found


def from_pattern(text: Text, pattern: FieldPattern, length: int) -> dict[str, str]:
    """The named groups of the first match."""
    found = ((name, in_a_line(value, length)) for name, value in pattern.groups_in(text).items())
    return {name: value for name, value in found if value}


def _lines(text: str) -> Iterator[tuple[str, str]]:
    start = 0
    for _ in range(LINES_LOOKED_AT):
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)]
        match = _LINE.match(line[:5000])
        if match is not None:
            yield match[1], match[2]
        if end < 0:
            return
        start = end + 1


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
