"""Lists of `tag=value;` as signatures, keys and policies have them (RFC 6376 §3.2)."""

from __future__ import annotations

import re

_TAG = re.compile(rb"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=")
_WHITE = b" \t\r\n"

TAGS_MAX = 64


class TagListError(ValueError):
    """Not a tag list."""


def read_tags(text: bytes) -> dict[bytes, bytes]:
    """Values by tag (names are case-sensitive), without white space around them. Raises TagListError."""
    pieces = text.split(b";")
    if not pieces[-1].strip(_WHITE):
        pieces.pop()
    if not 0 < len(pieces) <= TAGS_MAX:
        raise TagListError("no tags, or too many")
    tags: dict[bytes, bytes] = {}
    for piece in pieces:
        match = _TAG.match(piece)
        if match is None:
            raise TagListError("a tag is malformed")
        if match[1] in tags:
            raise TagListError("a tag stands twice")
        tags[match[1]] = piece[match.end() :].strip(_WHITE)
    return tags


def without_white(value: bytes) -> bytes:
    """A value that may be folded anywhere, such as base64."""
    return value.translate(None, _WHITE)


def without_signature(field: bytes) -> bytes:
    """A whole signature field with the value of its `b=` taken out, everything else as it stands (§3.7)."""
    start, end = signature_span(field)
    return field[:start] + field[end:]


def signature_span(field: bytes) -> tuple[int, int]:
    """Where the value of `b=` stands in a whole field; (0, 0) if there is none."""
    position = field.find(b":") + 1
    while position < len(field):
        end = field.find(b";", position)
        if end < 0:
            end = len(field)
        match = _TAG.match(field, position, end)
        if match is not None and match[1] == b"b":
            # The line end of the field itself is none of the value's.
            return match.end(), end if end < len(field) else len(field.removesuffix(b"\r\n"))
        position = end + 1
    return 0, 0
