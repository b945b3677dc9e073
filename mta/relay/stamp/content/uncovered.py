"""What readers may see though no text action reaches it: a mask must not pass it over in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mta.message import charsets
from mta.message.attachments import octets_of
from mta.message.body_text import BODY_MAX
from mta.message.html.visible_text import VisibleText
from mta.message.parse import Message
from mta.message.part import Part
from mta.model.actions import ReplaceText
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.content.text_patterns import TooManyError, text_pattern

_HTML = frozenset({"text/html", "text/x-amp-html", "text/watch-html", "application/xhtml+xml"})


def uncovered(mask: ReplaceText, message: Message, bodies: Sequence[ShownBody]) -> str:
    """Why something that the mask is to cover stays, or may stay, to be seen; "" where all of it is reached.

    Looked through are texts of other kinds (an alternative for one mail program, a calendar's) and those whose
    transfer encoding is broken, as readers take it. What is larger than a text action takes is not looked through.
    """
    if "body" not in mask.where:
        return ""
    reached = {body.body.part for body in bodies if body.body.is_sound}
    for part in _shown(message.root):
        if part in reached:
            continue
        if part.body_end - part.body_start > BODY_MAX:
            return f"a {part.content_type} part is larger than {BODY_MAX} octets"
        if _holds(mask, part):
            return f"a {part.content_type} part can't be changed"
    return ""


def _shown(root: Part) -> Iterator[Part]:
    """Texts of any kind that are no files, but not those of attached messages."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.children and part.is_multipart:
            waiting.extend(reversed(part.children))
        elif part.is_multipart:
            yield part  # no part of it can be told, so readers show it as it stands
        elif part.content_type.startswith("text/") or part.content_type in _HTML:
            is_body = part.content_type in ("text/plain", "text/html") and not part.is_attachment
            if is_body or not (part.filename or part.disposition == "attachment"):
                yield part


def _holds(mask: ReplaceText, part: Part) -> bool:
    is_html = part.content_type in _HTML
    text = charsets.decode(octets_of(part), part.charset, is_html=is_html).text
    shown = VisibleText(text, is_html=is_html).text
    try:
        return next(text_pattern(mask, in_lines=is_html).find(shown), None) is not None
    except TooManyError:
        return True
