"""One body's edits: what text actions change in it, and the stamps that go into it."""

from __future__ import annotations

from collections.abc import Sequence

from mta.message.body_text import Change
from mta.message.edit import Edit
from mta.message.parse import Message
from mta.message.structure import Picture, add_pictures
from mta.model.actions import Place
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.content import merged, moved_out
from mta.relay.stamp.stamping import Insertion, Planned


def body_edits(message: Message, body: ShownBody, changes: Sequence[Change], planned: Sequence[Planned]) -> list[Edit]:
    """All edits of the body. Raises CannotEditError.

    One change per place, stamps in rule order; what goes to the top stands before all else.
    """
    changes = merged(changes) if changes else ()
    by_place: dict[tuple[int, bool], list[Insertion]] = {}
    pictures: dict[str, Picture] = {}
    for entry in planned:
        for insertion in entry.insertions:
            if insertion.body is body:
                below = entry.action.place is not Place.TOP
                position = moved_out(insertion.place.position, changes)
                by_place.setdefault((position, below), []).append(insertion)
                if body.is_html:
                    pictures |= {picture.cid: picture for picture in entry.pictures}
    if not by_place:
        return body.body.change(changes) if changes else []
    added: dict[int, str] = {}
    for (position, _), insertions in sorted(by_place.items(), key=lambda item: item[0]):
        added[position] = added.get(position, "") + _joined(insertions, body.is_html)
    wanted = [*changes, *(Change(position, position, text) for position, text in added.items())]
    # A second server finds the pictures of the first one's stamps there already.
    shown = body.text if pictures and "cid:" in body.text else ""
    absent = [picture for picture in pictures.values() if picture.cid not in shown]
    return add_pictures(message, body.body, wanted, absent) if absent else body.body.change(wanted)


def _joined(insertions: Sequence[Insertion], is_html: bool) -> str:
    """Stamps at one place, with what the place needs around them once."""
    place = insertions[0].place
    between = "\n" if is_html else "\n\n"
    return place.before + between.join(insertion.text for insertion in insertions) + place.after
