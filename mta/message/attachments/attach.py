"""Adds parts to a message: behind the last of its multipart/mixed, or in a new one around all that it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mta.message import part_header
from mta.message.edit import CannotEditError, Edit
from mta.message.fields import has_delimiter
from mta.message.parse import Message
from mta.message.part import Part

OF_A_PART = frozenset({
    b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id", b"content-description",
    b"content-location", b"content-base", b"content-duration", b"content-features", b"content-alternative",
})  # fmt: skip
"""Fields that describe a part and go with it. Other Content-* fields, such as Exchange's Content-Class, are about the
message."""
_LYING = frozenset({b"content-md5", b"content-length", b"lines"})


def attach(message: Message, parts: Sequence[bytes]) -> list[Edit]:
    """Edits that add `parts` (header and body each, no line end behind), in order.

    Everything that is there stays byte-identical, in a new multipart/mixed too. The same arguments give the same bytes.
    Raises CannotEditError.
    """
    if not parts:
        return []
    root = message.root
    if root.content_type == "multipart/mixed" and root.children and root.boundary:
        return [*part_header.drop_lying_fields(root), _append(root, parts)]
    return _wrap(message, parts)


def _append(mixed: Part, parts: Sequence[bytes]) -> Edit:
    last = mixed.children[-1]
    if any(has_delimiter(part, {mixed.boundary}) for part in parts):
        raise CannotEditError("the message's boundary stands in what is to be attached")
    content = b"".join(b"\r\n--" + mixed.boundary + b"\r\n" + part for part in parts)
    if shares_line_end(last):
        content = content.removeprefix(b"\r\n") + b"\r\n"
    elif last.body_end == len(mixed.data):  # never closed: then we do it
        content += b"\r\n--" + mixed.boundary + b"--\r\n"
    return Edit(last.body_end, last.body_end, content)


def shares_line_end(part: Part) -> bool:
    """Whether the line end before the delimiter behind the part belongs to its header: its body is empty."""
    return part.parent is not None and part.data[part.body_end : part.body_end + 2] == b"--"


def _wrap(message: Message, parts: Sequence[bytes]) -> list[Edit]:
    """The message's own part fields move into the first part; the body stands there as it is."""
    root = message.root
    boundary = _new_boundary(message, parts)
    inner = b""
    edits: list[Edit] = []
    for field in root.fields:
        if field.name in OF_A_PART:
            whole = root.data[field.start : field.end]
            inner += whole if whole.endswith(b"\r\n") else whole + b"\r\n"
        if field.name in OF_A_PART or field.name in _LYING:
            edits.append(Edit(field.start, field.end, b""))
    edits.append(
        part_header.add_content_fields(root, b'Content-Type: multipart/mixed;\r\n\tboundary="%s"\r\n' % boundary)
    )
    start, end = root.body_start, root.body_end
    closing = b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts) + b"\r\n--" + boundary + b"--\r\n"
    opening = header_end(root) + b"--" + boundary + b"\r\n" + inner + b"\r\n"
    return [*edits, Edit(start, start, opening), Edit(end, end, closing)]


def header_end(root: Part) -> bytes:
    """What a header lacks behind fields that are put at its end: the empty line, where the body begins without one."""
    return b"" if root.header_is_closed else b"\r\n"


def _new_boundary(message: Message, parts: Sequence[bytes]) -> bytes:
    """A boundary that stands nowhere in the message, made from its header and what is attached."""
    seed = hashlib.blake2b(message.data[: message.body_start])
    for part in parts:
        seed.update(part)
    for attempt in range(1000):
        digest = hashlib.blake2b(seed.digest() + b"%d" % attempt, digest_size=16).hexdigest()
        boundary = b"=_mixed_" + digest.encode("ascii")
        if message.data.find(boundary) < 0 and not any(boundary in part for part in parts):
            return boundary
    raise CannotEditError("the message has every boundary that we would use")
