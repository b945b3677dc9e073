"""The text that readers see, decoded, and the edits that change it without touching the rest of its part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mta.message.edit import Edit
from mta.message.parse import Message, Part


class Change(NamedTuple):
    """Replace the characters from `start` up to `end` of a body's text by `text`, whose lines end in "\\n"."""

    start: int
    end: int
    text: str


class TextBody:
    """A text part that is shown as (part of) the body.

    `text` is decoded, its line ends as they stand (CRLF); octets that its charset can't decode are lone surrogates
    (PEP 383).
    """

    part: Part
    is_html: bool

    @property
    def text(self) -> str:
        raise NotImplementedError

    def change(self, changes: Sequence[Change]) -> list[Edit]:
        """Edits of the message that make `changes`, positions counted in `text` as it stands.

        Raises CannotEditError (mta.message.edit) where no safe way is; ValueError if changes overlap.
        """
        raise NotImplementedError


def displayed(message: Message) -> list[TextBody]:
    """The bodies that readers see, in order: alternatives, roots of related, inline text parts."""
    raise NotImplementedError
