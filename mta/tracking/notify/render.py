"""What a notice's template sees, and who renders it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mta.message.letters import CannotWriteError, Letter
from mta.message.parse import Message
from mta.model.person import Person

Value = str | Sequence[str] | Mapping[str, str] | Sequence[Mapping[str, str]]
"""What stands behind a name's attribute: a line of text; several lines; more names; rows of a table."""


@dataclass(frozen=True, slots=True)
class NoticeContext:
    """All that a notice may speak of, beside the organisation."""

    values: Mapping[str, Mapping[str, Value]]
    """`record`, `note`, `digest`: their attributes."""
    now: datetime
    recipient: str
    """Address key of the person who gets it."""
    sender: str = ""
    """Address key of the person whose message it is about; "" for none."""
    rule: str = ""
    message: Message | None = None
    """The message that it is about."""
    people: Mapping[str, Person] = field(default_factory=dict)
    """Recipient and sender, as the directory knows them."""


class RenderNotice(Protocol):
    """Renders templates of the organisation's templates folder."""

    def __call__(self, template: str, context: NoticeContext) -> Letter:
        """Raises CannotWriteError where there is no such template, or it can't be rendered; the text says why, without
        values."""
        ...


__all__ = ["CannotWriteError", "Letter", "NoticeContext", "RenderNotice", "Value"]
