"""The lines of a plain text that a stamp takes, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mta.relay.stamp.wording import Located, letters

_QUOTE = re.compile(r"[ \t]*(?>(?:>[ \t]?)*)")


def whole_lines(text: str, located: Located, found: tuple[int, int], stamp: str) -> tuple[int, int]:
    """The span to take out for a stamp whose letters were found; `stamp` is its text, lines ending in "\\n".

    Whole lines with the lines of signs above and below the stamp's words (`-- `, a rule), and one of the blank lines
    around them. Where other words share its first or last line, that end is where the stamp's letters end.
    """
    first, behind = found
    start, end = located.starts[first], located.ends[behind - 1]
    line_start = text.rfind("\n", 0, start) + 1
    line_end = _line_end(text, end)
    begins_line = located.before(line_start) == first
    ends_line = located.before(line_end) == behind
    stamp_lines = stamp.split("\n")
    if begins_line:
        start = _above(text, line_start, _edge(stamp_lines))
    if ends_line:
        end = _below(text, line_end, _edge(stamp_lines[::-1]))
    if not begins_line or not ends_line:
        return start, end
    if start == 0 or _is_blank(_line_above(text, start)):
        if end < len(text):
            following = text[end : _line_end(text, end)]
            return (start, end + len(following)) if _is_blank(following) else (start, end)
        start -= len(_line_above(text, start))
    return start, end


def _edge(lines: Sequence[str]) -> list[str]:
    """The stamp's lines before its first letter."""
    edge: list[str] = []
    for line in lines:
        if letters(line):
            break
        edge.append(line)
    return edge


def _above(text: str, start: int, edge: Sequence[str]) -> int:
    for line in reversed(edge):
        above = _line_above(text, start)
        if not start or _bare(above) != line.strip():
            break
        start -= len(above)
    return start


def _below(text: str, end: int, edge: Sequence[str]) -> int:
    for line in reversed(edge):
        below = text[end : _line_end(text, end)]
        if end == len(text) or _bare(below) != line.strip():
            break
        end += len(below)
    return end


def _line_above(text: str, start: int) -> str:
    """The line that ends before `start`, with its line end."""
    return text[text.rfind("\n", 0, max(start - 1, 0)) + 1 : start]


def _line_end(text: str, position: int) -> int:
    """Behind the line feed of the line in which the position is."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _bare(line: str) -> str:
    match = _QUOTE.match(line)
    return line[match.end() if match else 0 :].strip()


def _is_blank(line: str) -> bool:
    return not _bare(line)
