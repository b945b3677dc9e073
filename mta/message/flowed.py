"""format=flowed (RFC 3676): lines put into such a text, and its paragraphs.

A line that ends in a space goes on in the next one, of the same quote depth; `-- ` is a line by itself. With DelSp=yes
that space is not part of the text. A line that begins with a space, `>` or `From ` is stuffed with one space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LINE_MAX = 78
SIGNATURE = "-- "
_STUFFED = re.compile(r"^(?=[ >]|From )", re.MULTILINE)
_SPACES_AT_END = re.compile(r"(?<!^--) +$", re.MULTILINE)
_LINES = re.compile(r"\r\n|\r|\n")


def fitted(lines: str, *, begins_line: bool, ends_line: bool, delsp: bool) -> str:
    """A text with "\\n" line ends as lines of a flowed text: none flows into the next but those broken here.

    `begins_line`, `ends_line`: whether it begins where a line does, and ends where one does; there it may not change
    what stands beside it.
    """
    if ends_line:
        lines = _SPACES_AT_END.sub("", lines)
    else:
        body, line_end, last = lines.rpartition("\n")
        lines = _SPACES_AT_END.sub("", body) + line_end + last
    first, line_end, rest = lines.partition("\n")
    if begins_line:
        first = _STUFFED.sub(" ", _broken(first, delsp=delsp))
    return first + line_end + _STUFFED.sub(" ", _broken(rest, delsp=delsp))


def _broken(lines: str, *, delsp: bool) -> str:
    """Lines longer than LINE_MAX broken at spaces, so that readers join them again."""
    if all(len(line) <= LINE_MAX for line in lines.split("\n")):
        return lines
    return "\n".join(piece for line in lines.split("\n") for piece in _pieces(line, delsp=delsp))


def _pieces(line: str, *, delsp: bool) -> Iterator[str]:
    soft = "  " if delsp else " "
    while len(line) > LINE_MAX:
        space = line.rfind(" ", 1, LINE_MAX - 2)
        if space < 0 or line.startswith(" "):
            break
        yield line[:space] + soft
        line = line[space + 1 :]
    yield line


class Paragraph(NamedTuple):
    """A line as it is meant; `depth` counts the `>` of its quote."""

    depth: int
    text: str


def paragraphs(text: str, *, delsp: bool) -> Iterator[Paragraph]:
    """The paragraphs of a flowed text, in order; blank lines are paragraphs without text."""
    depth = 0
    pieces: list[str] = []
    for written in _LINES.split(text):
        bare = written.lstrip(">")
        found = len(written) - len(bare)
        line = bare.removeprefix(" ")
        if pieces and (found != depth or line == SIGNATURE):
            yield Paragraph(depth, "".join(pieces))
            pieces = []
        depth = found
        if line.endswith(" ") and line != SIGNATURE:
            pieces.append(line[:-1] if delsp else line)
            continue
        yield Paragraph(depth, "".join([*pieces, line]))
        pieces = []
    if pieces:
        yield Paragraph(depth, "".join(pieces))
