"""Parts that come in beside a changed body: pictures in a multipart/related (RFC 2387), an HTML alternative."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from mta.message import part_header, transfer
from mta.message.body_text import BodyPlan, Change, TextBody
from mta.message.edit import CannotEditError, Edit, joined
from mta.message.encoded_words import encode_words
from mta.message.fields import HeaderField
from mta.message.parse import Message, Part
from mta.message.transfer import encode_base64

_HTML_PART = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """`cid` without angle brackets; `data` as it is, not encoded."""

    cid: str
    content_type: str
    filename: str
    data: bytes


def add_pictures(
    message: Message, body: TextBody, changes: Sequence[Change], pictures: Sequence[Picture]
) -> list[Edit]:
    """Edits that make `changes` in an HTML body and put `pictures` beside it.

    The pictures go into the multipart/related whose root the body is or is inside; without one, body and pictures go
    into a new one. Raises CannotEditError as `TextBody.change` does. The same arguments give the same bytes, so that a
    message stamped again after a crash is the same message.
    """
    if not pictures:
        return body.change(changes)
    related = _enclosing_related(body.part)
    if related is not None:
        return [*body.change(changes), _append(related, pictures)]
    plan = body.plan(changes)
    boundary = _new_boundary(message, body.part, b"related", plan.edits)
    return _wrap(body, changes, plan, _Wrapping(_related_field(boundary), boundary, _closing(boundary, pictures)))


def add_html(
    message: Message, body: TextBody, changes: Sequence[Change], source: str, pictures: Sequence[Picture]
) -> list[Edit]:
    """Edits that make `changes` in a plain body and put it into a multipart/alternative, with `source` beside it.

    `source` has "\\n" line ends; it stands with `pictures` in a multipart/related. Raises CannotEditError as
    `TextBody.change` does, and for a plain body in a multipart whose parts belong together in another way.
    """
    around = body.part.parent
    if around is not None and around.content_type in ("multipart/alternative", "multipart/related"):
        raise CannotEditError(f"a text in a {around.content_type} can't become an alternative")
    plan = body.plan(changes)
    boundary = _new_boundary(message, body.part, b"alternative", plan.edits)
    octets = source.replace("\n", "\r\n").encode("utf_8", "replace")
    (content,), encoding = transfer.replace(b"", "7bit", octets, (boundary, *body.part.boundaries_around()))
    html = _HTML_PART % (encoding or "7bit").encode() + content.replacement
    if pictures:
        inner = _new_boundary(message, body.part, b"related", [*plan.edits, Edit(0, 0, html)])
        html = (
            _related_field(inner) + b"\r\n--" + inner + b"\r\n" + html.removesuffix(b"\r\n") + _closing(inner, pictures)
        )
    closing = b"\r\n--" + boundary + b"\r\n" + html.removesuffix(b"\r\n") + b"\r\n--" + boundary + b"--"
    field = b'Content-Type: multipart/alternative;\r\n\tboundary="%b"\r\n' % boundary
    return _wrap(body, changes, plan, _Wrapping(field, boundary, closing))


def _enclosing_related(part: Part) -> Part | None:
    """The nearest multipart/related around the part in which it stands as (or in) the root."""
    inner, around = part, part.parent
    while around is not None:
        if around.content_type == "multipart/related" and around.related_root is inner:
            return around
        inner, around = around, around.parent
    return None


def drop_pictures(body: TextBody, cids: Collection[str]) -> list[Edit]:
    """Edits that take the pictures of these cids out of the multipart/related around an HTML body."""
    related = _enclosing_related(body.part)
    if related is None:
        return []
    edits: list[Edit] = []
    for part in related.children:
        if part is related.related_root or not part.content_type.startswith("image/") or part.content_id not in cids:
            continue
        delimiter = part.data.rfind(b"\r\n--" + related.boundary, related.body_start, part.header_start)
        if delimiter >= 0 and not _shares_line_end(part):
            edits.append(Edit(delimiter, part.body_end, b""))
    return edits


def _append(related: Part, pictures: Sequence[Picture]) -> Edit:
    """Behind the last part, before the delimiter that follows it."""
    last = related.children[-1]
    content = b"".join(_delimited(related.boundary, picture) for picture in pictures)
    if _shares_line_end(last):
        content = content.removeprefix(b"\r\n") + b"\r\n"
    elif last.body_end == len(related.data):  # never closed: then we do it
        content += b"\r\n--" + related.boundary + b"--\r\n"
    return Edit(last.body_end, last.body_end, content)


def _shares_line_end(part: Part) -> bool:
    """Whether the line end before the delimiter behind the part belongs to its header: its text is empty."""
    return part.data[part.body_end : part.body_end + 2] == b"--"


def _delimited(boundary: bytes, picture: Picture) -> bytes:
    return b"\r\n--" + boundary + b"\r\n" + _picture_part(picture)


def _picture_part(picture: Picture) -> bytes:
    """Header and body, without a line end behind the body."""
    name = picture.filename.replace('"', "").replace("\\", "").replace("\r", "").replace("\n", "")
    if name.isascii():
        plain, in_disposition = name, f'filename="{name}"'
    else:  # RFC 2231 for the field that knows it, RFC 2047 for the old parameter that Outlook reads
        plain = b" ".join(encode_words(name, whole=True)).decode("ascii")
        in_disposition = f"filename*=utf-8''{quote(name, safe='')}"
    header = (
        f'Content-Type: {picture.content_type};\r\n\tname="{plain}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{picture.cid}>\r\n"
        f"Content-Disposition: inline;\r\n\t{in_disposition}\r\n\r\n"
    )
    return header.encode("ascii") + encode_base64(picture.data)


def _new_boundary(message: Message, part: Part, word: bytes, added: Sequence[Edit]) -> bytes:
    """A boundary that stands nowhere in the message, made from its header and the part's place and text.

    No base64 and no quoted-printable text has `=_` in it.
    """
    seed = message.data[: message.body_start] + repr((part.header_start, part.body_end)).encode()
    seed += b"".join(edit.replacement for edit in added)
    for attempt in range(1000):
        digest = hashlib.blake2b(seed + b"%d" % attempt, digest_size=16).hexdigest()
        boundary = b"=_" + word + b"_" + digest.encode("ascii")
        if message.data.find(boundary) < 0 and not any(boundary in edit.replacement for edit in added):
            return boundary
    raise CannotEditError("the message has every boundary that we would use")


def _related_field(boundary: bytes) -> bytes:
    return b'Content-Type: multipart/related;\r\n\tboundary="%s"; type="text/html"\r\n' % boundary


def _closing(boundary: bytes, pictures: Sequence[Picture]) -> bytes:
    """What stands behind the body: pictures and closing delimiter, without a line end behind it."""
    return b"".join(_delimited(boundary, picture) for picture in pictures) + b"\r\n--" + boundary + b"--"


class _Wrapping(NamedTuple):
    """A new multipart around a body: its Content-Type, and what stands behind the body, without a last line end."""

    field: bytes
    boundary: bytes
    closing: bytes


def _wrap(body: TextBody, changes: Sequence[Change], plan: BodyPlan, new: _Wrapping) -> list[Edit]:
    """A part becomes the first in the multipart that takes its place: its own header moves in as it stands."""
    part = body.part
    if part.parent is None:
        return _wrap_root(part, plan, new)
    if part.body_start == part.body_end and not changes:
        raise CannotEditError("an empty part needs a text to stand beside others")
    closing = new.closing
    edits = body.change(changes)
    end = part.body_end
    if end == len(part.data):
        closing += b"\r\n"
    elif _shares_line_end(part):
        closing = closing.removeprefix(b"\r\n") + b"\r\n"
    opening = new.field + b"\r\n--" + new.boundary + b"\r\n"
    return [Edit(part.header_start, part.header_start, opening), *edits, Edit(end, end, closing)]


def _wrap_root(part: Part, plan: BodyPlan, new: _Wrapping) -> list[Edit]:
    """The message's only part: its Content-* fields move into the new first part, the rest of the header stays."""
    if not part.header_is_closed:
        raise CannotEditError("the message's header is not closed")
    described = part_header.describe(part, plan.charset, plan.encoding)
    lying = {edit.start for edit in part_header.drop_lying_fields(part)}
    inner = b""
    edits: list[Edit] = []
    for field in part.fields:
        if not field.name.startswith(b"content-"):
            edits += [Edit(field.start, field.end, b"")] if field.start in lying else []
            continue
        if field.start not in lying:
            inner += _moved(part, field, described)
        edits.append(Edit(field.start, field.end, b""))
    header_end = part.fields[-1].end if part.fields else part.header_start
    added = [edit.replacement for edit in described if edit.start == edit.end == header_end]
    inner += b"".join(block.replace(b"MIME-Version: 1.0\r\n", b"") for block in added)
    top = part_header.add_content_fields(part, new.field)
    opening = b"--" + new.boundary + b"\r\n" + inner + b"\r\n"
    start, end = part.body_start, part.body_end
    return [*edits, top, Edit(start, start, opening), *plan.edits, Edit(end, end, new.closing + b"\r\n")]


def _moved(part: Part, field: HeaderField, described: Sequence[Edit]) -> bytes:
    """A field as it stands inside, with what the change needs."""
    inside = [
        Edit(edit.start - field.start, edit.end - field.start, edit.replacement)
        for edit in described
        if field.value_start <= edit.start and edit.end < field.end
    ]
    return joined(part.data[field.start : field.end], inside)
