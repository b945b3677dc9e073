"""The stamps of one group: rendered, looked for in what is there already, and placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mta.message.place.placement import Placement
from mta.message.stamp_markers import Owner, key_of, marked
from mta.message.structure import Picture
from mta.model.actions import CarryId, Once, Place, Stamp
from mta.relay.stamp.bodies import Reading, ShownBody, TextView, choose, place_in, readings
from mta.relay.stamp.content.changes import Content
from mta.relay.stamp.context import Failed, Skipped
from mta.relay.stamp.earlier.once import Own, in_conversation, in_message
from mta.relay.stamp.earlier.stacking import Present, beside
from mta.relay.stamp.render import Rendered, Renderer
from mta.relay.stamp.templates.template_set import RenderError

_OF_SENDER = frozenset(("sender", "manager"))
_BELONGS_TOGETHER = frozenset(("multipart/alternative", "multipart/related"))
_HIDDEN = '<div style="display:none;mso-hide:all;font-size:0;line-height:0;max-height:0;overflow:hidden">{}</div>'
_HTML_MAX = 1_000_000
"""Characters of a text that HTML is made of."""


@dataclass(frozen=True, slots=True)
class Insertion:
    """One body's share of a stamp."""

    body: ShownBody
    place: Placement
    text: str
    """In the body's own format, "" where that is not wanted."""
    in_html: str = ""
    """For the HTML that may be made of a plain body."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A stamp that is to be put on: one insertion per body."""

    action: Stamp
    insertions: tuple[Insertion, ...]
    pictures: tuple[Picture, ...]
    order: int
    """Among the stamps of the rules."""


def reference_text(carried: CarryId, *, is_html: bool) -> str:
    """A reference as it stands in a text; "" where it can't be hidden."""
    if carried.in_text == "visible":
        text = f"Ref: {carried.reference}"
        return f'<p style="font-size:11px;color:#767676">{text}</p>' if is_html else text
    return _HIDDEN.format(carried.reference) if is_html else ""


def can_be_html(content: Content, body: ShownBody) -> bool:
    """Whether an HTML may be made of the body: of plain text alone that is surely read right, and not too long."""
    around = body.body.part.parent
    return (
        not any(other.is_html for other in content.bodies)
        and (around is None or around.content_type not in _BELONGS_TOGETHER)
        and len(body.text) <= _HTML_MAX
        and body.body.is_certain
    )


@dataclass(slots=True)
class Stamping:
    """The stamps of one message, planned one by one."""

    content: Content
    makes_html: bool = False
    """Whether some stamp wants HTML made of plain text."""
    planned: list[Planned] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    views: Sequence[TextView] = field(init=False)
    """The texts to look for earlier stamps in."""
    readings: list[Reading] = field(init=False)
    renderer: Renderer = field(init=False)
    placements: dict[tuple[int, Place], Placement] = field(default_factory=dict)
    present: list[Present] = field(default_factory=list)
    """Stamps that stand there already."""
    seen: int = 0
    """Stamps planned or not so far."""
    refusing_html: set[int] = field(default_factory=set)
    """Bodies, by `id`."""

    def __post_init__(self) -> None:
        content = self.content
        self.views = content.bodies
        self.readings = readings(content.message.root, content.bodies)
        self.renderer = Renderer(content.message, content.context)

    def plan(self, action: Stamp) -> None:
        """Render, look for an earlier stamp of ours, find the places."""
        self.seen += 1
        if not self.content.bodies:
            self._skip(action, "no text that readers see")
            return
        try:
            rendered = self.renderer.render(action, self.content.templates.template(action.template))
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
            insertions = self._insertions(action, rendered, targets)
            self.planned.append(Planned(action, insertions, rendered.pictures, self.seen))

    def plan_reference(self, carried: CarryId) -> None:
        """A conversation's reference in the text, under the newest reply, where it does not stand yet."""
        self.seen += 1
        if any(carried.reference in body.text for body in self.content.bodies):
            return
        action = Stamp(rule=carried.rule, template="", place=Place.REPLY)
        insertions = []
        for body in self._targets(action):
            text = reference_text(carried, is_html=body.is_html)
            if text:
                insertions.append(Insertion(body, self._placement(body, action.place), text))
        if insertions:
            self.planned.append(Planned(action, tuple(insertions), (), self.seen))

    def html_is_made(self, body: ShownBody) -> bool:
        """Whether a plain body gets an HTML alternative, which some stamp in it asks for."""
        return id(body) not in self.refusing_html and any(
            insertion.body is body and insertion.in_html and entry.action.make_html
            for entry in self.planned
            for insertion in entry.insertions
        )

    def refuse_html(self, body: ShownBody) -> None:
        """Let a plain body be plain text only: what stands around it allows no alternative."""
        self.refusing_html.add(id(body))
        self.settle()

    def settle(self) -> None:
        """Skip the stamps that are for HTML alone, where none is made."""
        kept = []
        for entry in self.planned:
            if any(insertion.text or self.html_is_made(insertion.body) for insertion in entry.insertions):
                kept.append(entry)
            else:
                self._skip(entry.action, "no html text")
        self.planned = kept

    def stack(self) -> None:
        """Put the new stamps beside those of the same place that another server put on, in rule order."""
        self.planned = [
            replace(entry, insertions=tuple(self._beside(insertion, entry) for insertion in entry.insertions))
            for entry in self.planned
        ]

    def _beside(self, insertion: Insertion, entry: Planned) -> Insertion:
        place = beside(insertion.body, entry.order, [it for it in self.present if it.place is entry.action.place])
        return insertion if place is None else replace(insertion, place=place)

    def drop(self, body: ShownBody, error: str) -> bool:
        """Give up the stamps that go into a body which refuses them; whether there were any."""
        kept = [entry for entry in self.planned if all(insertion.body is not body for insertion in entry.insertions)]
        for entry in self.planned:
            if entry not in kept:
                self._fail(entry.action, error)
        dropped = len(kept) < len(self.planned)
        self.planned = kept
        return dropped

    def _is_stamped(self, action: Stamp, rendered: Rendered, targets: Sequence[ShownBody]) -> bool:
        if any(planned.action.template == action.template for planned in self.planned):
            return True
        if not self.content.context.is_trusted:
            return False  # whatever looks like our stamp, a stranger wrote
        own = Own(action.template, self._owner(action), self.renderer.key, rendered.text, rendered.html)
        if action.once is Once.CONVERSATION:
            is_there = in_conversation(self.views, own)
        else:
            in_html = any(body.is_html for body in targets)
            is_there = in_message(self.views, own, in_html, self.content.is_reply, self.content.marks)
        if is_there:
            self.present.append(Present(own, action.place, self.seen))
        return is_there

    def _owner(self, action: Stamp) -> Owner:
        """With the sender, if the template speaks of them: another sender's stamp is another stamp then."""
        context = self.content.context
        speaks = not _OF_SENDER.isdisjoint(self.content.templates.template(action.template).context)
        return Owner(key_of(context.origin), key_of(context.sender) if speaks else "")

    def _targets(self, action: Stamp) -> list[ShownBody]:
        """The text parts that the stamp goes into: one in each way of reading, where it is of a wanted format."""
        targets: dict[int, ShownBody] = {}
        for reading in self.readings:
            body = choose(reading, action.place, self.content.is_reply, self.content.marks)
            if ("html" if body.is_html else "plain") in action.formats or self._may_be_html(body, action):
                targets[id(body)] = body
        return list(targets.values())

    def _may_be_html(self, body: ShownBody, action: Stamp) -> bool:
        """Whether an HTML made of the body would be for this stamp."""
        return self.makes_html and "html" in action.formats and can_be_html(self.content, body)

    def _insertions(self, action: Stamp, rendered: Rendered, targets: Sequence[ShownBody]) -> tuple[Insertion, ...]:
        insertions = []
        for body in targets:
            of_html = self._marked(action, rendered) if body.is_html or self._may_be_html(body, action) else ""
            text = of_html if body.is_html else rendered.text if "plain" in action.formats else ""
            in_html = "" if body.is_html else of_html
            if text or in_html:
                insertions.append(Insertion(body, self._placement(body, action.place), text, in_html))
        return tuple(insertions)

    def _marked(self, action: Stamp, rendered: Rendered) -> str:
        return marked(action.template, self._owner(action), self.renderer.key, rendered.html) if rendered.html else ""

    def _placement(self, body: ShownBody, place: Place) -> Placement:
        found = self.placements.get((id(body), place))
        if found is None:
            found = place_in(body, place, self.content.is_reply, self.content.marks)
            self.placements[(id(body), place)] = found
        return found

    def _skip(self, action: Stamp, reason: str) -> None:
        self.skipped.append(Skipped(action.template, reason, action.rule))

    def _fail(self, action: Stamp, error: str) -> None:
        self.failed.append(Failed(action.rule, error, action.on_error, action.template))
