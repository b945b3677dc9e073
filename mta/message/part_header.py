"""Edits of a part's Content-* fields that a change of its body needs."""

from __future__ import annotations

import re

from mta.message.edit import CannotEditError, Edit
from mta.message.fields import HeaderField
from mta.message.parameters import PARAMETER, TYPE
from mta.message.part import Part

_LYING = frozenset({b"content-md5", b"content-length", b"lines", b"dkim-signature"})
_SIGNED_LENGTH = re.compile(rb"(?:\A|;)\s*l\s*=\s*\d")


def describe(part: Part, charset: str, encoding: str) -> list[Edit]:
    """Declare a new charset and transfer encoding ("" leaves one as it is). Raises CannotEditError."""
    edits: list[Edit] = []
    added = b""
    if charset:
        field = part.field(b"content-type")
        if field is None:
            added += b'Content-Type: text/plain; charset="%s"\r\n' % charset.encode("ascii")
        else:
            edits.append(_set_charset(part, field, charset.encode("ascii")))
    if encoding:
        value = b" " + encoding.encode("ascii")
        fields = [field for field in part.fields if field.name == b"content-transfer-encoding"]
        edits += [Edit(field.value_start, value_end(part, field), value) for field in fields]
        if not fields:
            added += b"Content-Transfer-Encoding:%s\r\n" % value
    if added:
        edits.append(add_content_fields(part, added))
    return edits


def add_content_fields(part: Part, block: bytes) -> Edit:
    """Put whole fields at the end of a part's header, in a message's root with MIME-Version. Raises CannotEditError."""
    if (part.parent is None or part.parent.encloses_message) and not part.has(b"mime-version"):
        block = b"MIME-Version: 1.0\r\n" + block
    return add_field(part, block)


def add_field(part: Part, block: bytes) -> Edit:
    """Put whole fields at the end of a part's header. Raises CannotEditError if it has none."""
    if part.fields:
        end = part.fields[-1].end
        return Edit(end, end, block if part.data[end - 2 : end] == b"\r\n" else b"\r\n" + block)
    if not part.header_is_closed:
        raise CannotEditError("the part has no header")
    return Edit(part.header_start, part.header_start, block)


def drop_lying_fields(part: Part) -> list[Edit]:
    """Remove what tells the length or digest of a body that is changed, from the part and all around it.

    A DKIM signature of so many octets (`l=`, RFC 6376 §8.2) goes, too: it would say that what is added behind them is
    its signer's. Other signatures stay; whoever checks them sees that the body was changed.
    """
    around: Part | None = part
    edits = []
    while around is not None:
        edits += [
            Edit(field.start, field.end, b"")
            for field in around.fields
            if field.name in _LYING and _is_lying(around, field)
        ]
        around = around.parent
    return edits


def _is_lying(part: Part, field: HeaderField) -> bool:
    if field.name != b"dkim-signature":
        return True
    return _SIGNED_LENGTH.search(part.data[field.value_start : field.end]) is not None


def value_end(part: Part, field: HeaderField) -> int:
    """Where a field's value ends: before its last CRLF, if it has one."""
    return field.end - 2 if part.data[field.end - 2 : field.end] == b"\r\n" else field.end


def _set_charset(part: Part, field: HeaderField, charset: bytes) -> Edit:
    end = value_end(part, field)
    value = part.data[field.value_start : end]
    for match in PARAMETER.finditer(value):
        name = match[1].lower()
        if name == b"charset":
            group = 2 if match[2] is not None else 3
            stripped = match[group].rstrip()
            start = field.value_start + match.start(group)
            return Edit(start, start + len(stripped), charset)
        if name == b"charset*":
            start = field.value_start + match.start()
            return Edit(start, field.value_start + match.end(), b'; charset="%s"' % charset)
    kind = TYPE.match(value)
    if kind is None:
        return Edit(field.value_start, end, b' text/plain; charset="%s"' % charset)
    place = field.value_start + kind.end()
    return Edit(place, place, b'; charset="%s"' % charset)
