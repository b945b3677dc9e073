"""A message as stores show it that keep fields instead of MIME: its body as HTML, as text, and all else as files."""

from __future__ import annotations

import html as markup
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mta.message.attachments.attachment import octets_of
from mta.message.body_text import TextBody, displayed
from mta.message.parse import Message
from mta.message.part import Part
from mta.message.shown_text import text_of_html

_EXTENSIONS = {
    "text/plain": ".txt", "text/html": ".htm", "text/calendar": ".ics", "image/jpeg": ".jpg", "image/png": ".png",
    "image/gif": ".gif", "application/pdf": ".pdf",
}  # fmt: skip
MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})


@dataclass(frozen=True, slots=True)
class File:
    """A part that is no body: an attachment, a picture in the text, an attached message."""

    part: Part
    name: str
    """Never empty: what has no name is called as Exchange does, `ATT00001.png`."""
    is_inline: bool
    """Shown in the text: it has a content id, and stands beside a body or says that it is inline."""

    @property
    def content_type(self) -> str:
        return self.part.content_type

    @property
    def content_id(self) -> str:
        """Without angle brackets; "" if there is none."""
        return self.part.content_id

    @property
    def is_message(self) -> bool:
        """Whatever its transfer encoding: some writers use one, which they shouldn't (RFC 2046 §5.2.1)."""
        return self.part.content_type in MESSAGES

    @property
    def octets(self) -> bytes:
        """Decoded; of an attached message the message."""
        return octets_of(self.part)


class Contents:
    """Found when it is asked for; holds its message."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def html(self) -> str | None:
        """What is shown where HTML is; None where no body is HTML."""
        if not any(body.is_html for body in self._bodies):
            return None
        shown = [body for body in self._bodies if body.is_html or not self._has_other(body)]
        return "".join(body.text if body.is_html else f"<pre>{markup.escape(body.text)}</pre>" for body in shown)

    @cached_property
    def text(self) -> str | None:
        """What is shown where HTML isn't; None where no body is plain text."""
        if all(body.is_html for body in self._bodies):
            return None
        shown = [body for body in self._bodies if not body.is_html or not self._has_other(body)]
        return "\r\n".join(text_of_html(body.text) if body.is_html else body.text for body in shown)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """In the order of the message; nothing from inside attached messages."""
        bodies = {id(body.part) for body in self._bodies}
        parts = [part for part in _leaves(self.message.root) if id(part) not in bodies]
        return tuple(File(part, _name(part, number), _is_inline(part)) for number, part in enumerate(parts, 1))

    @cached_property
    def _bodies(self) -> list[TextBody]:
        return displayed(self.message)

    def _has_other(self, body: TextBody) -> bool:
        """Whether it has an alternative of the other kind."""
        around = _alternatives(body.part)
        return around is not None and any(
            other.is_html != body.is_html and _alternatives(other.part) is around for other in self._bodies
        )


def _alternatives(part: Part) -> Part | None:
    around = part.parent
    while around is not None and around.content_type != "multipart/alternative":
        around = around.parent
    return around


def _leaves(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.is_multipart:
            waiting.extend(reversed(part.children))
        elif not _is_unshown_alternative(part):
            yield part


def _is_unshown_alternative(part: Part) -> bool:
    """A body in a form that we don't show, beside others: AMP, enriched text."""
    parent = part.parent
    return (
        parent is not None
        and parent.content_type == "multipart/alternative"
        and part.content_type.startswith("text/")
        and part.disposition != "attachment"
        and part.content_type not in ("text/plain", "text/html", "text/calendar")
    )


def _is_inline(part: Part) -> bool:
    if not part.content_id:
        return False
    parent = part.parent
    return part.disposition == "inline" or (
        part.disposition != "attachment" and parent is not None and parent.content_type == "multipart/related"
    )


def _name(part: Part, number: int) -> str:
    extension = ".eml" if part.content_type in MESSAGES else _EXTENSIONS.get(part.content_type, "")
    return part.filename or f"ATT{number:05}{extension}"
