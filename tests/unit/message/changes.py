"""What must hold after a text was put into a body: it is there, once, and nothing else has changed."""

from __future__ import annotations

import html
from collections.abc import Iterator

from mta.message.body_text import TextBody, displayed
from mta.message.parse import Message, Part

MARK = "\nMark 4711: Grüße, 10 €\n"
IN_ASCII = "\nMark 4711: Grusse, 10 EUR\n"


def tree_of(part: Part) -> object:
    return (part.content_type, [tree_of(child) for child in part.children])


def problems_of_change(before: Message, body: TextBody, place: int, after: Message, index: int) -> Iterator[str]:
    """What is wrong with a message after MARK was put into its displayed body number `index`."""
    if tree_of(after.root) != tree_of(before.root):
        yield "another tree"
        return
    new = displayed(after)[index]
    if not _is_inserted(body, new.text, place):
        yield "the text is not the old one with the mark"
    for old_part, new_part in zip(before.root.walk(), after.root.walk(), strict=True):
        if old_part.children or old_part is body.part:
            continue
        if old_part.raw_body != new_part.raw_body or _fields(old_part) != _fields(new_part):
            yield f"part at {old_part.header_start} is touched"
    allowed = 76 if new.part.encoding in ("quoted-printable", "base64") else 998
    if _longest(new.part) > max(allowed, _longest(body.part) + 1):  # one more for a soft line break in an old long line
        yield "a line is too long"


def _is_inserted(body: TextBody, text: str, place: int) -> bool:
    """Whether `text` is the body's with the mark, and a line end where the place or the message's end needs one."""
    line_end = "\n" if "\n" in body.text and "\r\n" not in body.text else "\r\n"
    before, behind = body.text[:place], body.text[place:]
    if before.endswith("\r") and behind.startswith("\n"):
        before, behind = before[:-1], "\r" + behind
    if not place and behind.startswith("\ufeff"):
        before, behind = "\ufeff", behind[1:]
    marks = [MARK.replace("\n", line_end)]
    if not body.is_html and (not body.is_certain or not body.part.header_is_closed):
        marks.append(IN_ASCII.replace("\n", line_end))
    for end in ("", "\r\n"):
        if text.startswith(before) and text.endswith(behind + end):
            added = text[len(before) : len(text) - len(behind + end)]
            added = html.unescape(added) if body.is_html else added
            if any(added in (mark, mark + line_end, line_end + mark) for mark in marks):
                return True
    return False


def _fields(part: Part) -> list[bytes]:
    return [part.data[field.start : field.end] for field in part.fields]


def _longest(part: Part) -> int:
    return max(map(len, part.raw_body.split(b"\r\n")))
