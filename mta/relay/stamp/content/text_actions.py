"""Replaces, removes and masks text: in all texts that readers see, and in the subject.

Found is what is seen: across tags inside a line, with entities resolved, over the soft line breaks of format=flowed.
Changed are only the characters that show it; tags, attributes and what nobody sees stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mta.message.body_text import Change
from mta.message.edit import CannotEditError
from mta.message.html.visible_text import VisibleText
from mta.model.actions import ReplaceText
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.content.changes import Content
from mta.relay.stamp.content.text_patterns import Found, TooManyError, text_pattern


def replace_text(action: ReplaceText, content: Content) -> Mapping[ShownBody, Sequence[Change]]:
    """Changes of the bodies; none where the action is about the subject only. Raises CannotEditError."""
    if "body" not in action.where:
        return {}
    try:
        changes = {body: list(_changes(action, body)) for body in content.bodies}
    except TooManyError as exc:
        raise CannotEditError(str(exc)) from exc
    return {body: found for body, found in changes.items() if found}


def replaced_subject(action: ReplaceText, subject: str) -> str:
    """The subject, changed where the action is about it. Raises ValueError where that can't be done."""
    if "subject" not in action.where:
        return subject
    seen = VisibleText(subject, is_html=False).text
    try:
        changed = text_pattern(action, in_lines=False).replace(seen)
    except TooManyError as exc:
        raise ValueError(str(exc)) from exc
    return subject if changed == seen else " ".join(changed.split())


def _changes(action: ReplaceText, body: ShownBody) -> Iterator[Change]:
    visible = _visible(body)
    matches = list(text_pattern(action, in_lines=body.is_html).find(visible.text, visible.covered))
    for found in matches:
        yield from _spread(action, found, visible)
    if action.mask and matches:
        _cover(visible, matches)


def _cover(visible: VisibleText, matches: Sequence[Found]) -> None:
    """Let nobody's replacement show again what a mask covers."""
    pieces: list[str] = []
    done = 0
    for found in matches:
        for start, end in _differences(found, visible.text):
            pieces += (visible.covered[done:start], found.text[start - found.start : end - found.start])
            done = end
    visible.covered = "".join([*pieces, visible.covered[done:]])


def _visible(body: ShownBody) -> VisibleText:
    """Made once for all actions."""
    if body.visible is None:
        params = body.body.part.params
        is_delsp = params.get("delsp", "").lower() == "yes"
        body.visible = VisibleText(
            body.text, is_html=body.is_html, is_flowed=body.body.is_flowed, is_delsp=is_delsp
        )  # fmt: skip
    return body.visible


def _spread(action: ReplaceText, found: Found, visible: VisibleText) -> Iterator[Change]:
    """A replacement stands where the match begins, whatever tags are inside it; a mask changes each character."""
    if action.mask:
        for start, end in _differences(found, visible.text):
            for low, high, change in visible.pieces(start, end):
                shown = found.text[low - found.start : high - found.start]
                yield Change(change.start, change.end, visible.written(shown))
        return
    text = found.text
    for _, _, change in visible.pieces(found.start, found.end):
        yield Change(change.start, change.end, visible.written(text))
        text = ""


def _differences(found: Found, text: str) -> Iterator[tuple[int, int]]:
    """Where neighbouring characters of the match change."""
    start = found.start
    for place, new in enumerate(found.text, found.start):
        if new == text[place]:
            if start < place:
                yield start, place
            start = place + 1
    if start < found.end:
        yield start, found.end
