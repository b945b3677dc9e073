"""The lines of a plain text that a stamp takes, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mta.relay.stamp.earlier.wording import Located, letters

_QUOTE = re.compile(r"[ \t]*(?>(?:>[ \t]?)*)")


class Lines(NamedTuple):
    """A span to take out; `are_whole` if it is whole lines."""

    start: int
    end: int
    are_whole: bool


def lines_of(text: str, located: Located, found: tuple[int, int], stamp: str) -> Lines:
    """The span of a stamp whose letters were found; `stamp` is its text, lines ending in "\\n".

    Whole lines with the lines of signs above and below the stamp's words (`-- `, a rule). Where other words share its
    first or last line, that end is where the stamp's letters end.
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
    return Lines(start, end, begins_line and ends_line)


def without_gaps(text: str, spans: Iterable[Lines]) -> Iterator[tuple[int, int]]:
    """The spans, those with nothing but blank lines between them made one, each with a blank line beside it.

    So the lines around are as far apart as before the stamp was put between them.
    """
    joined: list[Lines] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last is not None and span.start < last.end:
            continue
        between = text[last.end : span.start] if last is not None else ""
        if last is not None and last.are_whole and span.are_whole and _is_blank(between, _depth(text, span.start)):
            joined[-1] = Lines(last.start, span.end, True)
        else:
            joined.append(span)
    for span in joined:
        yield _with_blank_line(text, span.start, span.end) if span.are_whole else (span.start, span.end)


def _with_blank_line(text: str, start: int, end: int) -> tuple[int, int]:
    above, depth = _line_above(text, start), _depth(text, start)
    if start and not _is_blank(above, depth):
        return start, end
    if end == len(text):
        return start - len(above), end
    below = text[end : _line_end(text, end)]
    return (start, end + len(below)) if _is_blank(below, depth) else (start, end)


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


def _depth(text: str, start: int) -> int:
    """How often the line that begins at `start` is quoted."""
    match = _QUOTE.match(text, start)
    return match[0].count(">") if match else 0


def _is_blank(lines: str, depth: int) -> bool:
    """Whether the lines are blank; one that is quoted deeper than the stamp is somebody else's line."""
    return all(not _bare(line) and _depth(line, 0) <= depth for line in lines.split("\n"))
