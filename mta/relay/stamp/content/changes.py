"""How content actions join: each gives changes of texts or edits of parts, and `stamp.py` makes one of them all.

Two kinds of producers stand in the tables of `stamp.py`, by the type of the action that they carry out:

- a *text action* (replace text, remove stamps) gives changes of the texts that readers see. Positions are those of the
  text as it was received, whatever other actions do: nobody sees another's changes, and nobody changes a new stamp.
- *part actions* (strip and add attachments) give edits of whole parts. All of a group come in one call, in rule order,
  over a message in which the texts may have been changed already; so they must read everything from the message given.

Changes that overlap become one (`merged`). Stamps are put in last: a place inside replaced text moves to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from mta.message.body_text import Change
from mta.message.classify import Classification, Kind
from mta.message.edit import Edit
from mta.message.parse import Message
from mta.message.place.quote_marks import QuoteMarks
from mta.model.actions import Action, OnError
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.context import Failed, StampContext
from mta.relay.stamp.templates.template_set import TemplateSet


@dataclass(frozen=True, slots=True)
class Content:
    """One message and what its content actions need to know; the same for all actions of a group."""

    message: Message
    classification: Classification
    context: StampContext
    templates: TemplateSet
    marks: QuoteMarks
    bodies: Sequence[ShownBody]
    """The texts that readers see, in order."""

    @property
    def is_reply(self) -> bool:
        return self.classification.kind in (Kind.REPLY, Kind.FORWARD)


class TextAction(Protocol):
    """Carries out one action on texts."""

    def __call__(self, action: Any, content: Content) -> Mapping[ShownBody, Sequence[Change]]:
        """Changes of any of `content.bodies`; those of one body don't overlap.

        Raises CannotEditError where it can't be done; then nothing of the action is.
        """
        ...


class PartOutcome(NamedTuple):
    """Edits over the message that was given, and what could not be done."""

    edits: Sequence[Edit] = ()
    failed: Sequence[Failed] = ()


class PartActions(Protocol):
    """Carries out all of a group's actions on parts, in rule order."""

    def __call__(self, actions: Sequence[Action], message: Message, content: Content) -> PartOutcome:
        """Edits over `message`, which is what to read; `content.message` may be an earlier state of it."""
        ...


def on_error_of(action: Action) -> OnError:
    """What follows if the action fails."""
    found: OnError = getattr(action, "on_error", OnError.DELIVER_UNSTAMPED)
    return found


def merged(changes: Iterable[Change]) -> list[Change]:
    """Changes of one body, sorted, those that overlap made one.

    Whatever one of them takes out is out. The union gets the texts of all, in the order of their places; but of those
    that replace the same characters, or characters inside of another's, only the first, the widest one's.
    """
    result: list[Change] = []
    for change in sorted(changes, key=lambda change: (change.start, change.start < change.end, -change.end)):
        last = result[-1] if result else None
        if last is None or change.start >= last.end:
            result.append(change)
        elif change.end > last.end or change.start == change.end:
            result[-1] = Change(last.start, max(last.end, change.end), last.text + change.text)
    return result


def moved_out(position: int, changes: Sequence[Change]) -> int:
    """The position, or the end of the replaced text that it lies inside of."""
    for change in changes:
        if change.start < position < change.end:
            return change.end
    return position


def changed(text: str, changes: Sequence[Change]) -> str:
    """The text with changes as `merged` gives them."""
    pieces: list[str] = []
    done = 0
    for change in changes:
        pieces += (text[done : change.start], change.text)
        done = change.end
    return "".join([*pieces, text[done:]])
