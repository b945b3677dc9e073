"""Whether a stamp stands there already: in this message, or in the thread that it quotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.message.place.place_plain import own_text
from mta.message.place.quote_marks import QuoteMarks, is_quiet
from mta.message.stamp_markers import Owner, markers
from mta.relay.stamp.bodies import TextView
from mta.relay.stamp.earlier.wording import Words


@dataclass(frozen=True, slots=True)
class Own:
    """A stamp as it would be put on this message: template, owner, the message's key, and its words.

    The owner has no sender where the template doesn't speak of one: then it is the same stamp, whoever wrote.
    """

    template: str
    owner: Owner
    message: str
    text: str
    html: str


def in_conversation(views: Sequence[TextView], own: Own) -> bool:
    """Whether the template's stamp, of this sender if it speaks of one, stands anywhere in the message.

    A marker counts whatever the template or the sender's values were when it was put on. One that doesn't tell the
    sender any more counts as theirs.
    """
    for view in views:
        if view.is_html and any(
            marker.is_of(own.template) and _is_owners(marker.owner, own.owner) for marker in markers(view)
        ):
            return True
    words = Words(own.text, own.html)
    return any(words.stand_in(view) for view in views)


def in_message(views: Sequence[TextView], own: Own, in_html: bool, is_reply: bool, marks: QuoteMarks) -> bool:
    """Whether this message has it already, from another server say; what it quotes doesn't count.

    `in_html`: whether the stamp goes into HTML. There the marker decides, in plain text the stamp's own words above the
    quoted part.
    """
    if in_html:
        return any(
            marker.message == own.message and marker.is_of(own.template) and marker.owner == own.owner
            for view in views
            if view.is_html and not is_quiet(view, marks)
            for marker in markers(view)
        )
    words = Words(own.text)
    return any(
        words.stand_in(view) and words.stand_in(TextView(own_text(view, is_reply, marks), None, is_html=False))
        for view in views
        if not view.is_html
    )


def _is_owners(found: Owner, own: Owner) -> bool:
    """What a marker doesn't tell, or our stamp doesn't speak of, can't tell them apart."""
    return found.origin in ("", own.origin) and (not own.sender or found.sender in ("", own.sender))
