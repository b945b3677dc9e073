"""Which of a message's bodies get a stamp: one in each way of reading it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mta.message.body_text import TextBody
from mta.message.html.visible_text import VisibleText
from mta.message.parse import Part
from mta.message.place import html_reply, place_html, place_plain
from mta.message.place.placement import BodyView, Placement
from mta.message.place.quote_marks import QuoteMarks
from mta.model.actions import Place
from mta.relay.stamp.earlier.wording import letters, shown_text


class TextView(BodyView):
    """A text of either kind with what searching made of it."""

    def __init__(self, text: str, utf_8: bytes | None, *, is_html: bool) -> None:
        super().__init__(text, utf_8)
        self.is_html = is_html
        self._letters: str | None = None

    @property
    def letters(self) -> str:
        """Letters and digits alone, of what is shown."""
        if self._letters is None:
            self._letters = letters(shown_text(self.text) if self.is_html else self.text)
        return self._letters


class ShownBody(TextView):
    """A body of the message."""

    def __init__(self, body: TextBody) -> None:
        super().__init__(body.text, body.utf_8, is_html=body.is_html)
        self.body = body
        self.visible: VisibleText | None = None
        """What text actions made of it."""


Reading = list[ShownBody]
"""Text parts that are shown one after the other when one alternative is chosen (Apple Mail writes several)."""


def readings(root: Part, bodies: Sequence[ShownBody]) -> list[Reading]:
    """Every way in which the message can be read, by the alternatives that it offers."""
    if len(bodies) == 1:
        return [list(bodies)]
    by_part = {id(body.body.part): body for body in bodies}
    return _readings(root, by_part)


def _readings(part: Part, bodies: Mapping[int, ShownBody]) -> list[Reading]:
    body = bodies.get(id(part))
    if body is not None:
        return [[body]]
    found = [below for child in part.children if (below := _readings(child, bodies))]
    if part.content_type == "multipart/alternative":
        return [reading for below in found for reading in below]
    joined: list[Reading] = []
    for below in found:
        joined = _joined(joined, below) if joined else below
    return joined


def _joined(first: list[Reading], then: list[Reading]) -> list[Reading]:
    """Readings of two parts shown one after the other: HTML goes with HTML where there is a choice."""
    if len(first) < len(then):
        return [[*_like(first, reading), *reading] for reading in then]
    return [[*reading, *_like(then, reading)] for reading in first]


def _like(choices: list[Reading], reading: Reading) -> Reading:
    return next((choice for choice in choices if choice[-1].is_html == reading[-1].is_html), choices[-1])


def choose(reading: Reading, place: Place, is_reply: bool, marks: QuoteMarks) -> ShownBody:
    """The text part of a reading that the stamp goes into."""
    if len(reading) == 1 or place is Place.BOTTOM:
        return reading[-1]
    if place is Place.TOP:
        return reading[0]
    return next((body for body in reading if _quotes(body, is_reply, marks)), reading[-1])


def _quotes(body: ShownBody, is_reply: bool, marks: QuoteMarks) -> bool:
    find = html_reply.reply_position if body.is_html else place_plain.reply_position
    return find(body, is_reply, marks) is not None


def place_in(body: ShownBody, place: Place, is_reply: bool, marks: QuoteMarks) -> Placement:
    """Where in the part."""
    find = place_html.place_html if body.is_html else place_plain.place_plain
    return find(body, place, is_reply, marks)
