"""Several stamps at one place stand in rule order, also where another server has put some of them on already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mta.message.place.placement import Placement
from mta.message.stamp_markers import elements
from mta.model.actions import Place
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.earlier.once import Own
from mta.relay.stamp.earlier.stamp_lines import lines_of
from mta.relay.stamp.earlier.wording import Words, locate


class Present(NamedTuple):
    """A stamp of the rules that stands in the message; `order` is its number among the rules' stamps."""

    own: Own
    place: Place
    order: int


def beside(body: ShownBody, order: int, present: Sequence[Present]) -> Placement | None:
    """Where the stamp of that number goes: behind the nearest earlier one that is there, else before the next later.

    `present` are those of the same place, in order. None where none of them stands in this body and in this message: a
    quoted one has its place in the quote.
    """
    for entry in reversed([entry for entry in present if entry.order < order]):
        if (span := _span(body, entry.own)) is not None:
            return Placement(span[1], "\n", "" if body.is_html else "\n")
    for entry in (entry for entry in present if entry.order > order):
        if (span := _span(body, entry.own)) is not None:
            return Placement(span[0], "", "\n" if body.is_html else "\n\n")
    return None


def _span(body: ShownBody, own: Own) -> tuple[int, int] | None:
    if body.is_html:
        found = elements(body, lambda marker: marker.message == own.message and marker.is_of(own.template))
        return found[0] if found else None
    words = Words(own.text)
    if not words.stand_in(body):
        return None
    located = locate(body.text, is_html=False)
    for form in words.forms:
        for letters in located.find(form):
            lines = lines_of(body.text, located, letters, own.text)
            if lines.are_whole and not body.text.startswith(">", lines.start):
                return lines.start, lines.end
    return None
