"""Carries out the content actions of one group: stamps, changes of texts and parts, subject tags, header fields.

Deterministic: the same message, actions and context give the same edits, so that an attempt after a crash sends the
bytes that the attempt before it sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from mta.message.body_text import Change, displayed
from mta.message.classify import Classification
from mta.message.edit import CannotEditError, Edit, combine, composed, joined
from mta.message.parse import Message, parse
from mta.message.place.quote_marks import DEFAULT_MARKS, QuoteMarks
from mta.model.actions import Action, AddAttachment, CarryId, RemoveStamps, ReplaceText, Stamp, StripAttachments
from mta.relay.stamp.bodies import ShownBody, TextView
from mta.relay.stamp.body_edits import BodyEdits
from mta.relay.stamp.content.changes import Content, PartActions, TextAction, changed, merged, on_error_of
from mta.relay.stamp.content.header_actions import header_edits, untouched_edits
from mta.relay.stamp.content.part_actions import change_parts
from mta.relay.stamp.content.text_actions import replace_text, replaced_subject
from mta.relay.stamp.content.uncovered import uncovered
from mta.relay.stamp.context import Failed, Skipped, StampContext, StampOutcome
from mta.relay.stamp.earlier.remove_stamps import remove_stamps, unneeded_pictures
from mta.relay.stamp.stamping import Stamping
from mta.relay.stamp.templates.template_set import TemplateSet

TEXT_ACTIONS: Mapping[type[Action], TextAction] = {RemoveStamps: remove_stamps, ReplaceText: replace_text}
"""What changes texts."""
PART_ACTIONS: Mapping[type[Action], PartActions] = {StripAttachments: change_parts, AddAttachment: change_parts}
"""What changes parts. Types with the same function are carried out together."""


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
    if classification.untouchable:
        kept = combine(untouched_edits(message, actions))
        return StampOutcome(kept, skipped=_untouched(actions, classification.untouchable))
    edits, failed = header_edits(message, actions)
    if not any(_is_of_the_body(action) for action in actions):
        return StampOutcome(combine(edits), failed=tuple(failed))
    bodies = [ShownBody(body) for body in displayed(message)]
    content = Content(message, classification, context, templates, marks, bodies)
    texts = _Texts(content)
    texts.change(actions)
    edits += texts.edits()
    failed += texts.failed
    done, part_failures = _with_parts(combine(edits), actions, content)
    stamping = texts.stamping
    return StampOutcome(
        done,
        tuple(entry.action.template for entry in stamping.planned if entry.action.template),
        tuple(stamping.skipped),
        (*failed, *stamping.failed, *part_failures),
    )


def _hidden(masks: Sequence[ReplaceText], subject: str) -> str:
    """The subject, for stamps that print it; "" where it can't be masked."""
    try:
        for mask in masks:
            subject = replaced_subject(mask, subject)
    except ValueError:
        return ""
    return subject


def _is_no_mask(action: Action) -> bool:
    return not (isinstance(action, ReplaceText) and action.mask)


_OF_THE_BODY = frozenset((Stamp, *TEXT_ACTIONS, *PART_ACTIONS))


def _is_of_the_body(action: Action) -> bool:
    return type(action) in _OF_THE_BODY or (isinstance(action, CarryId) and action.in_text != "none")


def _untouched(actions: Sequence[Action], reason: str) -> tuple[Skipped, ...]:
    return tuple(
        Skipped(action.template if isinstance(action, Stamp) else action.kind, reason, action.rule)
        for action in actions
        if type(action) in _OF_THE_BODY
    )


@dataclass(slots=True)
class _Texts:
    """What becomes of the texts that readers see."""

    content: Content
    changes: dict[ShownBody, list[tuple[Action, Sequence[Change]]]] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)
    stamping: Stamping = field(init=False)

    def __post_init__(self) -> None:
        self.stamping = Stamping(self.content)

    def change(self, actions: Sequence[Action]) -> None:
        """Plan all actions on texts, then all stamps, each in rule order; masks first, for others to respect."""
        for action in sorted(actions, key=_is_no_mask) if TEXT_ACTIONS else ():
            if (carry_out := TEXT_ACTIONS.get(type(action))) is not None:
                try:
                    found = carry_out(action, self.content)
                except CannotEditError as exc:
                    self._fail(action, str(exc))
                    continue
                for body, changes in found.items():
                    self.changes.setdefault(body, []).append((action, changes))
                if isinstance(action, ReplaceText) and action.mask:
                    self._tell_uncovered(action)
        if self.changes:
            self.stamping.views = [self._left(body) for body in self.content.bodies]
        masks = [action for action in actions if isinstance(action, ReplaceText) and action.mask]
        if masks:
            self.stamping.renderer.hide = partial(_hidden, masks)
        stamps = [action for action in actions if isinstance(action, Stamp)]
        self.stamping.makes_html = any(stamp.make_html and "html" in stamp.formats for stamp in stamps)
        for stamp in stamps:
            self.stamping.plan(stamp)
        for action in actions:
            if isinstance(action, CarryId) and action.in_text != "none":
                self.stamping.plan_reference(action)
        if self.stamping.makes_html:
            self.stamping.settle()
        if self.stamping.present and self.stamping.planned:
            self.stamping.stack()

    def _tell_uncovered(self, mask: ReplaceText) -> None:
        """What a mask reaches stays covered, even if all of it could not be."""
        if reason := uncovered(mask, self.content.message, self.content.bodies):
            self._fail(mask, reason)

    def _left(self, body: ShownBody) -> TextView:
        """The body without the stamps that are taken out: they don't keep new ones out."""
        taken = self._taken(body)
        return TextView(changed(body.text, taken), None, is_html=body.is_html) if taken else body

    def _taken(self, body: ShownBody) -> list[Change]:
        listed = (found for action, found in self.changes.get(body, ()) if isinstance(action, RemoveStamps))
        return merged(change for found in listed for change in found)

    def edits(self) -> list[Edit]:
        """The edits of all bodies; stamps that some body refuses are failed wholly, and the rest done anew."""
        while True:
            edits: list[Edit] = []
            try:
                for body in self.content.bodies:
                    one = self._of(body)
                    edits += one.edits()
            except CannotEditError as exc:
                if one.makes_html:
                    self.stamping.refuse_html(body)
                else:
                    self._drop(body, f"{body.body.part.content_type} part can't be changed: {exc}")
            else:
                return edits + self._unneeded_pictures() if self.changes else edits

    def _of(self, body: ShownBody) -> BodyEdits:
        changes = [change for _, listed in self.changes.get(body, ()) for change in listed]
        makes_html = self.stamping.makes_html and self.stamping.html_is_made(body)
        return BodyEdits(self.content.message, body, changes, self.stamping.planned, makes_html)

    def _unneeded_pictures(self) -> list[Edit]:
        """Edits that take out the pictures which only removed stamps showed."""
        taken = {body: self._taken(body) for body in self.changes}
        put_in = [insertion.text for entry in self.stamping.planned for insertion in entry.insertions]
        return unneeded_pictures(self.content.bodies, taken, put_in)

    def _drop(self, body: ShownBody, error: str) -> None:
        """Give up the stamps that a body refuses; where there are none, the changes of its text."""
        if not self.stamping.drop(body, error):
            for action, _ in self.changes.pop(body):
                self._fail(action, error)

    def _fail(self, action: Action, error: str) -> None:
        self.failed.append(Failed(action.rule, error, on_error_of(action)))


def _with_parts(
    edits: tuple[Edit, ...], actions: Sequence[Action], content: Content
) -> tuple[tuple[Edit, ...], list[Failed]]:
    """`edits` and those of the actions on parts.

    Where all texts stand in parts of their own, both are edits of the message as it is. A message that is one text
    gets its new structure after the text has been changed, for both change the same header fields.
    """
    failed: list[Failed] = []
    wanted: dict[PartActions, list[Action]] = {}
    for action in actions if PART_ACTIONS else ():
        if (carry_out := PART_ACTIONS.get(type(action))) is not None:
            wanted.setdefault(carry_out, []).append(action)
    for carry_out, of_it in wanted.items():
        if not edits or content.message.root.is_multipart:
            outcome = carry_out(of_it, content.message, content)
            edits = combine((*edits, *outcome.edits))
        else:
            changed = joined(content.message.data, edits)
            outcome = carry_out(of_it, parse(changed), content)
            edits = composed(edits, outcome.edits)
        failed += outcome.failed
    return edits, failed
