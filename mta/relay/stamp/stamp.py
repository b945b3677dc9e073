"""Carries out the content actions of one group: stamps, subject tags, header fields.

Deterministic: the same message, actions and context give the same edits, so that an attempt after a crash sends the
bytes that the attempt before it sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mta.message.body_text import Change, displayed
from mta.message.classify import Classification, Kind
from mta.message.edit import CannotEditError, Edit, combine
from mta.message.parse import Message
from mta.message.structure import Picture, add_pictures
from mta.model.actions import Action, Once, Place, Stamp
from mta.relay.stamp.bodies import Reading, ShownBody, choose, place_in, readings
from mta.relay.stamp.context import Failed, Skipped, StampContext, StampOutcome
from mta.relay.stamp.header_actions import header_edits
from mta.relay.stamp.once import Own, in_conversation, in_message, marked
from mta.relay.stamp.place import Placement
from mta.relay.stamp.quote_lines import DEFAULT_MARKS, QuoteMarks
from mta.relay.stamp.render import Rendered, Renderer
from mta.relay.stamp.templates import RenderError, TemplateSet


def stamp_message(
    message: Message,
    classification: Classification,
    actions: Sequence[Action],
    context: StampContext,
    templates: TemplateSet,
    marks: QuoteMarks = DEFAULT_MARKS,
) -> StampOutcome:
    """The edits that a group's actions come to, over the received bytes.

    A message that must not be touched gets none. A stamp is put into every alternative that it is for, or into none.
    """
    stamps = [action for action in actions if isinstance(action, Stamp)]
    if classification.untouchable:
        reason = classification.untouchable
        return StampOutcome(skipped=tuple(Skipped(stamp.template, reason, stamp.rule) for stamp in stamps))
    edits, failed = header_edits(message, actions)
    if not stamps:
        return StampOutcome(combine(edits), failed=tuple(failed))
    stamping = _Stamping(message, classification, context, templates, marks)
    for stamp in stamps:
        stamping.plan(stamp)
    edits += stamping.edits()
    return StampOutcome(
        combine(edits),
        tuple(entry.action.template for entry in stamping.planned),
        tuple(stamping.skipped),
        (*failed, *stamping.failed),
    )


@dataclass(frozen=True, slots=True)
class _Insertion:
    body: ShownBody
    place: Placement
    text: str


@dataclass(frozen=True, slots=True)
class _Planned:
    """A stamp that is to be put on: one insertion per body."""

    action: Stamp
    insertions: tuple[_Insertion, ...]
    pictures: tuple[Picture, ...]


@dataclass(slots=True)
class _Stamping:
    """The stamps of one message, planned one by one and edited together."""

    message: Message
    classification: Classification
    context: StampContext
    templates: TemplateSet
    marks: QuoteMarks
    planned: list[_Planned] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    bodies: list[ShownBody] = field(init=False)
    readings: list[Reading] = field(init=False)
    renderer: Renderer = field(init=False)
    placements: dict[tuple[int, Place], Placement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bodies = [ShownBody(body) for body in displayed(self.message)]
        self.readings = readings(self.message.root, self.bodies)
        self.renderer = Renderer(self.message, self.context)

    @property
    def is_reply(self) -> bool:
        return self.classification.kind in (Kind.REPLY, Kind.FORWARD)

    def plan(self, action: Stamp) -> None:
        """Render, look for an earlier stamp of ours, find the places."""
        if not self.bodies:
            self._skip(action, "no text that readers see")
            return
        try:
            rendered = self.renderer.render(action, self.templates.template(action.template))
        except KeyError:
            self._fail(action, f"no template {action.template}")
            return
        except RenderError as exc:
            self._fail(action, str(exc))
            return
        targets = self._targets(action)
        if not targets or not (rendered.html or rendered.text):
            self._skip(action, f"no {' or '.join(action.formats)} text" if not targets else "nothing to say")
        elif self._is_stamped(action, rendered, targets):
            self._skip(action, f"stamped already (once: {action.once.value})")
        else:
            self.planned.append(_Planned(action, self._insertions(action, rendered, targets), rendered.pictures))

    def _is_stamped(self, action: Stamp, rendered: Rendered, targets: Sequence[ShownBody]) -> bool:
        if any(planned.action.template == action.template for planned in self.planned):
            return True
        if action.once is Once.MESSAGE and not self.context.is_trusted:
            return False
        in_html = any(body.is_html for body in targets)
        own = Own(action.template, self.renderer.key, rendered.text)
        if action.once is Once.CONVERSATION:
            return in_conversation(self.bodies, own)
        return in_message(self.bodies, own, in_html, self.is_reply, self.marks)

    def _targets(self, action: Stamp) -> list[ShownBody]:
        """The text parts that the stamp goes into: one in each way of reading, where it is of a wanted format."""
        targets: dict[int, ShownBody] = {}
        for reading in self.readings:
            body = choose(reading, action.place, self.is_reply, self.marks)
            if ("html" if body.is_html else "plain") in action.formats:
                targets[id(body)] = body
        return list(targets.values())

    def _insertions(self, action: Stamp, rendered: Rendered, targets: Sequence[ShownBody]) -> tuple[_Insertion, ...]:
        insertions = []
        for body in targets:
            text = rendered.html if body.is_html else rendered.text
            if text:
                if body.is_html:
                    text = marked(action.template, self.renderer.key, text)
                insertions.append(_Insertion(body, self._placement(body, action.place), text))
        return tuple(insertions)

    def _placement(self, body: ShownBody, place: Place) -> Placement:
        found = self.placements.get((id(body), place))
        if found is None:
            found = place_in(body, place, self.is_reply, self.marks)
            self.placements[(id(body), place)] = found
        return found

    def edits(self) -> list[Edit]:
        """The edits of all planned stamps; those that some body refuses are failed wholly, and the rest done anew."""
        while True:
            edits: list[Edit] = []
            try:
                for body in self.bodies:
                    edits += self._body_edits(body)
            except CannotEditError as exc:
                self._drop(body, f"{body.body.part.content_type} part can't be changed: {exc}")
            else:
                return edits

    def _drop(self, body: ShownBody, error: str) -> None:
        """Give up the stamps that a body refuses; at least one, for only stamps change it."""
        kept = []
        for planned in self.planned:
            if any(insertion.body is body for insertion in planned.insertions):
                self._fail(planned.action, error)
            else:
                kept.append(planned)
        self.planned = kept

    def _body_edits(self, body: ShownBody) -> list[Edit]:
        """One change per place, stamps in rule order; what goes to the top stands before all else."""
        by_place: dict[tuple[int, bool], list[_Insertion]] = {}
        pictures: dict[str, Picture] = {}
        for planned in self.planned:
            for insertion in planned.insertions:
                if insertion.body is body:
                    below = planned.action.place is not Place.TOP
                    by_place.setdefault((insertion.place.position, below), []).append(insertion)
                    if body.is_html:
                        pictures |= {picture.cid: picture for picture in planned.pictures}
        if not by_place:
            return []
        changes: dict[int, str] = {}
        for (position, _), insertions in sorted(by_place.items(), key=lambda item: item[0]):
            changes[position] = changes.get(position, "") + _joined(insertions, body.is_html)
        wanted = [Change(position, position, text) for position, text in changes.items()]
        # A second server finds the pictures of the first one's stamps there already.
        shown = body.text if pictures and "cid:" in body.text else ""
        absent = [picture for picture in pictures.values() if picture.cid not in shown]
        return add_pictures(self.message, body.body, wanted, absent) if absent else body.body.change(wanted)

    def _skip(self, action: Stamp, reason: str) -> None:
        self.skipped.append(Skipped(action.template, reason, action.rule))

    def _fail(self, action: Stamp, error: str) -> None:
        self.failed.append(Failed(action.rule, error, action.on_error, action.template))


def _joined(insertions: Sequence[_Insertion], is_html: bool) -> str:
    """Stamps at one place, with what the place needs around them once."""
    place = insertions[0].place
    between = "\n" if is_html else "\n\n"
    return place.before + between.join(insertion.text for insertion in insertions) + place.after
