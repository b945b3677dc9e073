"""Takes earlier stamps of ours out again: by their markers in HTML, else by their words.

Nothing else changes. In HTML an element goes that is known by its marker, or that shows a stamp's words and no others;
of words that share an element with other text only the words go. In plain text the stamp's lines go, and the blank line
that kept them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from urllib.parse import quote, unquote

from mta.message.body_text import Change
from mta.message.edit import Edit
from mta.message.html.scan import VOID, Token, tokens
from mta.message.stamp_markers import Marker, elements, key_of
from mta.message.structure import drop_pictures
from mta.model.actions import RemoveStamps, Stamp
from mta.relay.stamp.bodies import ShownBody
from mta.relay.stamp.content.changes import Content, changed, merged
from mta.relay.stamp.earlier.stamp_lines import Lines, lines_of, without_gaps
from mta.relay.stamp.earlier.wording import Located, Words, locate
from mta.relay.stamp.render import Rendered, Renderer
from mta.relay.stamp.templates.template_set import RenderError

_PEOPLE_MAX = 20
_RENDERINGS_MAX = 200
_SEARCHED_MAX = 500_000
"""Characters of a text in which stamps are looked for by their words: it takes about a second for a million."""
_NEVER_WHOLE = frozenset(("html", "head", "body", "blockquote", "td", "th", "tr", "tbody", "thead", "tfoot"))
_CID = re.compile(r"cid:([^\"'\s<>)]+)", re.IGNORECASE)

Span = tuple[int, int]


def remove_stamps(action: RemoveStamps, content: Content) -> Mapping[ShownBody, Sequence[Change]]:
    """What takes the stamps of `action.templates` (all of ours, if it names none) out of every text."""
    known = content.templates.names()
    names = {name for name in action.templates if name in known} if action.templates else known
    if not names:
        return {}
    renderings: list[Rendered] | None = None
    found: dict[ShownBody, Sequence[Change]] = {}
    for body in content.bodies:
        spans = _marked_spans(body, names, key_of(content.context.origin)) if body.is_html else []
        renderings = list(_renderings(names, content)) if renderings is None else renderings
        changes = _without_words(body, spans, renderings)
        if changes:
            found[body] = changes
    return found


def _renderings(names: set[str] | frozenset[str], content: Content) -> Iterator[Rendered]:
    """The stamps as they would be put on for the sender, and for the others whom the message names and we know."""
    context = content.context
    people = [context.sender, *(key for key in sorted(context.people) if key != context.sender)][:_PEOPLE_MAX]
    renderers = [Renderer(content.message, replace(context, sender=key)) for key in people]

    def every() -> Iterator[Rendered]:
        for name in sorted(names):
            template = content.templates.template(name)
            for recipient in people if content.templates.uses_recipient(name) else ("",):
                for renderer in renderers:
                    try:
                        yield renderer.render(Stamp(template=name, recipient=recipient), template)
                    except RenderError:
                        continue

    return islice(every(), _RENDERINGS_MAX)


def _marked_spans(body: ShownBody, names: set[str] | frozenset[str], origin: str) -> list[Span]:
    """The elements around our stamps, outermost ones, that have an end."""

    def is_wanted(marker: Marker) -> bool:
        return marker.owner.origin in ("", origin) and any(marker.is_of(name) for name in names)

    return _joined(body.text, elements(body, is_wanted))


def _joined(text: str, spans: Sequence[Span]) -> list[Span]:
    """Spans with nothing between them made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and not text[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _without_words(body: ShownBody, spans: Sequence[Span], renderings: Sequence[Rendered]) -> list[Change]:
    """The spans, and where the words of stamps stand outside of them."""
    changes = [Change(start, end, "") for start, end in spans]
    if len(body.text) > _SEARCHED_MAX:
        return changes
    lines: list[Lines] = []
    located: Located | None = None
    for rendered in renderings:
        words = Words(rendered.text, rendered.html)
        if not words.stand_in(body):
            continue
        located = locate(body.text, is_html=body.is_html) if located is None else located
        for letters in (found for form in words.forms for found in located.find(form)):
            start, end = located.starts[letters[0]], located.ends[letters[1] - 1]
            if any(start < change.end and change.start < end for change in changes):
                continue
            if body.is_html:
                changes += _element_or_words(body.text, located, letters, rendered.html)
            else:
                lines.append(lines_of(body.text, located, letters, rendered.text))
    return sorted(changes + [Change(start, end, "") for start, end in without_gaps(body.text, lines)])


def _element_or_words(text: str, located: Located, letters: Span, stamp: str) -> list[Change]:
    """The outermost element that shows these letters, no others, and no more pictures than the stamp has."""
    start, end = located.starts[letters[0]], located.ends[letters[1] - 1]
    pictures_max = stamp.count("<img")
    whole: Span | None = None
    opened: list[tuple[str, int, int]] = []
    pictures = 0
    inside: list[Token] = []
    for token in tokens(text):
        if start <= token.start < end:
            inside.append(token)
        if token.kind == "open":
            pictures += token.name == "img"
            if token.name not in VOID:
                opened.append((token.name, token.start, pictures))
        elif token.kind == "close" and (at := _last(opened, token.name)) is not None:
            name, begins, before = opened[at]
            del opened[at:]
            if begins > start or token.end < end or name in _NEVER_WHOLE:
                continue
            shows = (located.before(begins), located.before(token.end))
            if shows != letters or pictures - before > pictures_max:
                break
            whole = (begins, token.end)
    return [Change(*whole, "")] if whole is not None else list(_between(inside, start, end))


def _last(opened: Sequence[tuple[str, int, int]], name: str) -> int | None:
    """The innermost open element of that name, not looked for far."""
    for at in range(len(opened) - 1, max(len(opened) - 100, -1), -1):
        if opened[at][0] == name:
            return at
    return None


def _between(inside: Sequence[Token], start: int, end: int) -> Iterator[Change]:
    """Changes that take everything out but the tags whose partners are outside."""
    opened: list[Token] = []
    kept: list[Token] = []
    for token in inside:
        if token.kind == "open" and token.name not in VOID:
            opened.append(token)
        elif token.kind == "close":
            if opened and opened[-1].name == token.name:
                opened.pop()
            else:
                kept.append(token)
    at = start
    for token in sorted((*opened, *kept), key=lambda token: token.start):
        if token.start > at:
            yield Change(at, token.start, "")
        at = token.end
    if end > at:
        yield Change(at, end, "")


def unneeded_pictures(
    bodies: Sequence[ShownBody], changes: Mapping[ShownBody, Sequence[Change]], put_in: Sequence[str]
) -> list[Edit]:
    """Edits that take out the pictures which were shown only where `changes` take text out.

    `put_in` are texts that come in. A picture that any text still shows stays, and so does one in no
    multipart/related.
    """
    edits: list[Edit] = []
    shown = [changed(body.text, merged(changes.get(body, ()))) for body in bodies if body.is_html] + list(put_in)
    for body, taken in changes.items():
        removed = "".join(body.text[change.start : change.end] for change in taken) if body.is_html else ""
        cids = {unquote(cid) for cid in _CID.findall(removed)}
        cids = {cid for cid in cids if not any(cid in text or quote(cid) in text for text in shown)}
        if cids:
            edits += drop_pictures(body.body, cids)
    return edits
