"""One body's edits: what text actions change in it, and the stamps that go into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.message.body_text import Change
from mta.message.edit import Edit
from mta.message.html.plain import Flow, document
from mta.message.parse import Message
from mta.message.structure import Picture, add_html, add_pictures
from mta.model.actions import Place
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.content.changes import changed, merged, moved_out
from mta.relay.stamp.stamping import Insertion, Planned

Places = dict[tuple[int, bool], list[Insertion]]


@dataclass(frozen=True, slots=True)
class BodyEdits:
    """What becomes of one body."""

    message: Message
    body: ShownBody
    changes: Sequence[Change]
    """What text actions want."""
    planned: Sequence[Planned]
    makes_html: bool
    """Whether a plain body gets an HTML alternative."""

    def edits(self) -> list[Edit]:
        """Raises CannotEditError."""
        changes = merged(self.changes) if self.changes else ()
        by_place = self._by_place(changes)
        if not by_place:
            return self.body.body.change(changes) if changes else []
        wanted = [*changes, *self._stamps(by_place)]
        if self.makes_html:
            return add_html(self.message, self.body.body, wanted, self._html(changes, by_place), self._pictures())
        pictures = self._pictures() if self.body.is_html else []
        if not pictures:
            return self.body.body.change(wanted)
        # A second server finds the pictures of the first one's stamps there already.
        shown = self.body.text if "cid:" in self.body.text else ""
        absent = [picture for picture in pictures if picture.cid not in shown]
        return add_pictures(self.message, self.body.body, wanted, absent)

    def _by_place(self, changes: Sequence[Change]) -> Places:
        """Stamps in rule order at each place; what goes to the top stands before all else."""
        by_place: Places = {}
        for entry in self.planned:
            for insertion in entry.insertions:
                if insertion.body is self.body:
                    position = moved_out(insertion.place.position, changes)
                    below = entry.action.place is not Place.TOP
                    by_place.setdefault((position, below), []).append(insertion)
        return by_place if len(by_place) < 2 else dict(sorted(by_place.items()))

    def _stamps(self, by_place: Places) -> list[Change]:
        changes: list[Change] = []
        for (position, _), insertions in by_place.items():
            text = _joined(insertions, self.body.is_html)
            if changes and changes[-1].start == position:
                changes[-1] = Change(position, position, changes[-1].text + text)
            elif text:
                changes.append(Change(position, position, text))
        return changes

    def _pictures(self) -> list[Picture]:
        pictures: dict[str, Picture] = {}
        for entry in self.planned:
            if any(insertion.body is self.body for insertion in entry.insertions):
                pictures |= {picture.cid: picture for picture in entry.pictures}
        return list(pictures.values())

    def _html(self, changes: Sequence[Change], by_place: Places) -> str:
        """The changed text as HTML, with the stamps in their own HTML at the same places."""
        body = self.body.body
        pieces: list[tuple[str, str]] = []
        done = 0
        for (position, _), insertions in by_place.items():
            stamps = "\n".join(insertion.in_html for insertion in insertions if insertion.in_html)
            pieces.append((self._changed(changes, done, position), stamps))
            done = position
        pieces.append((self._changed(changes, done, len(body.text)), ""))
        return document(pieces, Flow(body.is_flowed, body.is_delsp))

    def _changed(self, changes: Sequence[Change], start: int, end: int) -> str:
        """A piece of the text; no change reaches over its ends."""
        inside = [change for change in changes if start <= change.start and change.end <= end]
        moved = [Change(change.start - start, change.end - start, change.text) for change in inside]
        return changed(self.body.text[start:end], moved)


def _joined(insertions: Sequence[Insertion], is_html: bool) -> str:
    """Stamps at one place, with what the place needs around them once."""
    texts = [insertion.text for insertion in insertions if insertion.text]
    place = insertions[0].place
    return place.before + ("\n" if is_html else "\n\n").join(texts) + place.after if texts else ""
