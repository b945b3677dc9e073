"""Pictures that a changed HTML body shows: inline parts beside it in a multipart/related."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.message.body_text import Change, TextBody
from mta.message.edit import Edit
from mta.message.parse import Message


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

    Raises CannotEditError as `TextBody.change` does. The same arguments give the same bytes.
    """
    raise NotImplementedError
