"""The same message for servers that take less: in 7 bits (RFC 6152 §3), with an ASCII header, in shorter lines.

Nothing that a reader sees changes, only how it is encoded. What somebody has signed as it stands (multipart/signed,
RFC 1847 §2.1) must not be encoded anew, nor may multiparts and most of message/* (RFC 2045 §6.4): where that would be
needed, it can't be done. DKIM signatures over the body don't survive; whoever sends the result signs it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mta.message import part_header, quoted_printable, transfer
from mta.message.ascii_fields import ascii_field
from mta.message.edit import CannotEditError, Edit, combine
from mta.message.parse import Message, Part
from mta.message.part import IDENTITY

RECODED_UP_TO = 50_000_000
"""Octets of bodies that are encoded anew: they stand in memory."""
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_LONG_LINE = re.compile(rb"[^\r\n]{%d}" % (transfer.LINE_MAX + 1))
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_ESCAPED_BY_QP = bytes([*range(9), *range(11, 13), *range(14, 32), ord("="), *range(127, 256)])
_PROTECTED = frozenset({"multipart/signed", "multipart/encrypted"})


@dataclass(frozen=True, slots=True)
class _Place:
    """A part, and what is around it."""

    part: Part
    is_protected: bool
    """Somebody's signature covers it as it stands."""
    is_attached: bool
    """It belongs to an attached message."""


def in_seven_bit(message: Message) -> tuple[Edit, ...]:
    """Edits after which no octet is beyond ASCII; header fields, too. Raises CannotEditError."""
    edits: list[Edit] = []
    for place in _places(message.root):
        edits += _fields(place, place.is_protected)
        edits += _body(place, lambda octets: _EIGHT_BIT.search(octets) is not None)
        edits += _around_parts(place)
    _bounded(edits)
    return combine(edits)


def with_ascii_header(message: Message) -> tuple[Edit, ...]:
    """Edits after which the header, and those of its parts, are ASCII (RFC 2047, RFC 2231, A-labels).

    Attached and signed parts stay as they are. Raises CannotEditError where an address can't be written so.
    """
    places = [place for place in _places(message.root) if not place.is_protected and not place.is_attached]
    return combine([edit for place in places for edit in _fields(place, is_protected=False)])


def with_short_lines(message: Message) -> tuple[Edit, ...]:
    """Edits after which no line of a body is longer than 998 octets; none where it is so already.

    Raises CannotEditError.
    """
    edits: list[Edit] = []
    for place in _places(message.root):
        edits += _body(place, lambda octets: _LONG_LINE.search(octets) is not None)
    _bounded(edits)
    return combine(edits)


def _bounded(edits: list[Edit]) -> None:
    if sum(edit.end - edit.start for edit in edits) > RECODED_UP_TO:
        raise CannotEditError("too much of the message would have to be encoded anew")


def _places(root: Part) -> Iterator[_Place]:
    """All parts, those of attached messages too."""
    waiting = [_Place(root, is_protected=False, is_attached=False)]
    while waiting:
        place = waiting.pop()
        yield place
        is_protected = place.is_protected or place.part.content_type in _PROTECTED
        is_attached = place.is_attached or place.part.encloses_message
        waiting.extend(_Place(child, is_protected, is_attached) for child in place.part.children)


def _fields(place: _Place, is_protected: bool) -> list[Edit]:
    part = place.part
    found = []
    for field in part.fields:
        if _EIGHT_BIT.search(part.data, field.start, field.end) is None:
            continue
        if is_protected:
            raise CannotEditError("a signed part has 8-bit octets in its header")
        found.append(Edit(field.start, field.end, ascii_field(field.name, part.data[field.start : field.end])))
    return found


def _body(place: _Place, needs: Callable[[bytes], bool]) -> list[Edit]:
    """Edits that encode one part's body anew, if it needs that."""
    part = place.part
    if part.children or part.body_start >= part.body_end or not needs(part.raw_body):
        return []
    if place.is_protected:
        raise CannotEditError("a signed part can't be encoded anew")
    if part.is_multipart or part.content_type.startswith("message/"):
        raise CannotEditError(f"a {part.content_type} can't be encoded anew")
    octets = _octets(part)
    content, encoding = _encoded(part, octets)
    charset = ""
    if not part.has(b"content-type"):
        # What stands there undeclared is US-ASCII by the rules: say what it is, as far as it can be told (RFC 1428).
        charset = _charset(octets)
    described = part_header.describe(part, charset, "" if encoding == part.encoding else encoding)
    return [*described, Edit(part.body_start, part.body_end, content)]


def _octets(part: Part) -> bytes:
    raw, encoding = part.raw_body, part.encoding
    if encoding in IDENTITY:
        return raw
    decoded = transfer.decode(raw, encoding)
    if encoding not in ("quoted-printable", "base64") or not decoded.is_sound:
        raise CannotEditError("a part's encoding is unknown or broken")
    return decoded.octets


def _encoded(part: Part, octets: bytes) -> tuple[bytes, str]:
    """Quoted-printable for text, unless base64 is shorter or has to be; base64 for all else."""
    is_text = part.content_type.startswith("text/") and _BARE_LINE_END.search(octets) is None
    escaped = len(octets) - len(octets.translate(None, _ESCAPED_BY_QP))
    if is_text and len(octets) + 2 * escaped <= len(octets) * 4 // 3:
        return quoted_printable.encode(octets, part.boundaries_around()), "quoted-printable"
    content = transfer.encode_base64(octets)
    return content + (b"\r\n" if part.raw_body.endswith(b"\r\n") else b""), "base64"


def _charset(octets: bytes) -> str:
    try:
        octets.decode("utf_8")
    except UnicodeDecodeError:
        return "unknown-8bit"
    return "" if octets.isascii() else "utf-8"


def _around_parts(place: _Place) -> list[Edit]:
    """Of a multipart or an attached message: declared 7bit, and ASCII in what no reader shows."""
    part = place.part
    if not part.children:
        return []
    edits: list[Edit] = []
    done = part.body_start
    for child in part.children:
        edits += _question_marks(place, done, child.header_start)
        done = max(done, child.body_end)
    edits += _question_marks(place, done, part.body_end)
    if part.encoding in ("8bit", "binary") and not place.is_protected:
        edits += part_header.describe(part, "", "7bit")
    return edits


def _question_marks(place: _Place, start: int, end: int) -> Iterator[Edit]:
    """Preamble, epilogue and delimiters."""
    for match in _EIGHT_BIT.finditer(place.part.data, start, end):
        if place.is_protected or not place.part.boundary.isascii():
            raise CannotEditError("8-bit octets between parts can't be replaced")
        yield Edit(match.start(), match.end(), b"?")
