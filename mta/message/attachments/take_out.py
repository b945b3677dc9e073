"""Takes parts out of a message, with a notice in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mta.message import part_header, quoted_printable
from mta.message.attachments.attach import OF_A_PART, header_end, shares_line_end
from mta.message.edit import Edit
from mta.message.file_part import name_parameter
from mta.message.part import Part

NOTICE_NAME = "removed-attachments.txt"
_LINE_MAX = 76


def take_out(notices: Mapping[Part, str]) -> list[Edit]:
    """Edits that take the parts out; where the text isn't "" it stands in the part's place.

    A part whose multipart would be left empty, and one that others lean on (a message's only part, the root of a
    multipart/related), must have a text. Everything else stays byte-identical. Raises CannotEditError.
    """
    edits: list[Edit] = []
    for part, text in notices.items():
        parent = part.parent
        if parent is None:
            return _replace_message(part, text)
        edits += part_header.drop_lying_fields(parent)
        edits.append(_replace(part, text) if text else _remove(part, parent, notices))
    return edits


def needs_notice(part: Part, taken: Collection[Part]) -> bool:
    """Whether something has to stand in the part's place."""
    parent = part.parent
    if parent is None or (parent.content_type == "multipart/related" and parent.related_root is part):
        return True
    return parent.children[0] is part and all(sibling in taken for sibling in parent.children)


def can_hold_notice(part: Part) -> bool:
    """Whether a text in the part's place is seen beside the others; among alternatives it would be seen instead."""
    return part.parent is None or part.parent.content_type != "multipart/alternative"


def notice_part(text: str) -> bytes:
    """A notice as a part of its own: header and body."""
    header, body = _notice(text, (), is_message=False)
    return header + b"\r\n" + body


def _remove(part: Part, parent: Part, notices: Mapping[Part, str]) -> Edit:
    """With one delimiter: the one before it, or behind it where it is among the first."""
    siblings = parent.children
    place = siblings.index(part)
    if all(notices.get(sibling) == "" for sibling in siblings[:place]):
        return Edit(part.header_start, siblings[place + 1].header_start, b"")
    return Edit(siblings[place - 1].body_end, part.body_end, b"\r\n" if shares_line_end(part) else b"")


def _replace(part: Part, text: str) -> Edit:
    header, body = _notice(text, part.boundaries_around(), is_message=False)
    is_last = part.body_end == len(part.data)
    behind = b"\r\n" if shares_line_end(part) or is_last else b""
    return Edit(part.header_start, part.body_end, header + b"\r\n" + body + behind)


def _replace_message(root: Part, text: str) -> list[Edit]:
    header, body = _notice(text, (), is_message=True)
    edits = [Edit(field.start, field.end, b"") for field in root.fields if field.name in OF_A_PART]
    edits += part_header.drop_lying_fields(root)
    edits.append(part_header.add_content_fields(root, header))
    return [*edits, Edit(root.body_start, root.body_end, header_end(root) + body + b"\r\n")]


def _notice(text: str, boundaries: Collection[bytes], *, is_message: bool) -> tuple[bytes, bytes]:
    """Fields and body; seven bits, so that it fits wherever it comes to stand."""
    octets = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").replace("\n", "\r\n").encode("utf_8", "replace")
    is_plain = octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= _LINE_MAX and b"--" not in octets
    body = octets if is_plain else quoted_printable.encode(octets, boundaries)
    encoding = b"7bit" if is_plain else b"quoted-printable"
    header = b"Content-Type: text/plain; charset=utf-8"
    if not is_message:
        header += b";\r\n\t" + name_parameter("name", NOTICE_NAME)
        header += b"\r\nContent-Disposition: inline;\r\n\t" + name_parameter("filename", NOTICE_NAME)
    return header + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n", body
