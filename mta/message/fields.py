"""Header blocks as spans: fields, folded lines, and lines that are no fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from dataclasses import dataclass
from typing import NamedTuple

from mta.message.edit import Buffer


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on hostile input: octets and fields of one header, depth and number of MIME parts."""

    header_octets: int = 100_000
    header_fields: int = 1000
    mime_depth: int = 100
    mime_parts: int = 1000


class LimitExceededError(Exception):
    """The message is over a limit."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"message has more than {limit} {what}")
        self.what = what
        self.limit = limit


class HeaderField(NamedTuple):
    """A field's span with its CRLF; `name` in lower case, b"" for a line that is no field."""

    name: bytes
    start: int
    value_start: int
    end: int


class Header(NamedTuple):
    """`body_start` is behind the empty line, or where the body begins without one."""

    fields: tuple[HeaderField, ...]
    body_start: int
    is_closed: bool
    """An empty line ends it."""


_FIELD_END = re.compile(rb"\r\n(?![ \t])")
# The limit may cut a field in its name, which looks like a line that is no field then. A longer one is none.
_CUT_NAME = re.compile(rb"[!-9;-~]{0,998}[ \t]*\r?\Z")
_NAME = re.compile(rb"([!-9;-~]++)[ \t]*+\Z")
_CERTAIN = re.compile(
    rb"\r\n(?:content-(?:type|transfer-encoding|disposition|id)|mime-version|from|to|cc|subject|date|message-id|"
    rb"received|return-path|reply-to|sender|in-reply-to|references|delivered-to|x-[\w\-]{1,60})[ \t]{0,20}:",
    re.IGNORECASE,
)
_DASHES = re.compile(rb"(?:\A|\r\n)--([^\r\n]{0,1000})")
_names: dict[bytes, bytes] = {}
_NAMES_MAX = 4096
_new = tuple.__new__


def _name(before_colon: bytes) -> bytes:
    """The field name in lower case, b"" if it isn't one."""
    match = _NAME.match(before_colon)
    name = match[1].lower() if match else b""
    if len(before_colon) < 80 and len(_names) < _NAMES_MAX:
        _names[before_colon] = name
    return name


def is_delimiter(line: bytes, boundaries: Container[bytes]) -> bool:
    """Whether a line (without its two dashes) is a delimiter of one of the open multiparts."""
    line = line.rstrip(b" \t")
    return line in boundaries or (line.endswith(b"--") and line[:-2] in boundaries)


def has_delimiter(octets: bytes, boundaries: Collection[bytes]) -> bool:
    """Whether any line of `octets` is a delimiter of one of these multiparts."""
    if not boundaries or (b"\r\n--" not in octets and not octets.startswith(b"--")):
        return False
    return any(is_delimiter(match[1], boundaries) for match in _DASHES.finditer(octets))


def scan_header(data: Buffer, start: int, limits: Limits, boundaries: Container[bytes] = ()) -> Header:
    """The header that begins at `start`; a delimiter of `boundaries` ends it. Raises LimitExceededError."""
    if data[start : start + 2] == b"\r\n":
        return Header((), start + 2, True)
    window = min(len(data), start + limits.header_octets + 2)
    blank = data.find(b"\r\n\r\n", start, window)
    block = data[start : window if blank < 0 else blank + 2]
    is_whole = blank >= 0 or window == len(data)
    if b"\r\n--" in block or block.startswith(b"--"):
        for match in _DASHES.finditer(block):
            if is_delimiter(match[1], boundaries):
                block = block[: match.start() + 2 if match.start() else 0]
                blank, is_whole = -1, True
                break
    fields, length = _scan_fields(block, start, limits)
    if not is_whole and (length == len(block) or _CUT_NAME.match(block, length)):
        raise LimitExceededError("octets in a header", limits.header_octets)
    if length < len(block):
        return Header(fields, start + length, False)
    return Header(fields, start + length + (2 if blank >= 0 else 0), blank >= 0)


def _scan_fields(block: bytes, base: int, limits: Limits) -> tuple[tuple[HeaderField, ...], int]:
    """The fields of a block, and how much of it they are: less than all where the body begins without an empty line.

    A line that is no field ends the header (as mail readers and Postfix see it), unless an unmistakable field follows:
    then it is a broken line inside, and stands in the list without a name.
    """
    fields: list[HeaderField] = []
    size = len(block)
    position = 0
    certain = -1
    for piece in _FIELD_END.split(block):
        if position == size:
            break
        colon = piece.find(b":")
        before = piece[:colon] if colon > 0 else b""
        name = _names.get(before)
        if name is None:
            name = _name(before)
        if not name:
            if certain < 0:
                end = block.find(b"\r\n--", max(position - 2, 0))  # a line of dashes is never inside a header
                matches = _CERTAIN.finditer(block, position, size if end < 0 else end)
                certain = max((match.start() for match in matches), default=0)
            if position >= certain:
                return tuple(fields), position
            colon = -1
        end = position + len(piece) + 2
        if end > size:
            end = size
        # Half the time of HeaderField(…), and there is one for each line of every header.
        fields.append(_new(HeaderField, (name, base + position, base + position + colon + 1, base + end)))
        position = end
    if len(fields) > limits.header_fields:
        raise LimitExceededError("fields in a header", limits.header_fields)
    return tuple(fields), position
