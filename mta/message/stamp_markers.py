"""Markers: what is written into the HTML of a stamp so that it is known again, whatever mail programs did to it.

No attribute survives everywhere, so there are three, and any one is enough:

- `class` names the template, and by digests the organisation and the sender; `id` names the message, too. Gmail and
  Outlook on the web put prefixes before them (`m_123…`, `x_`), others drop one or both.
- `name` of an anchor around the stamp's first words says the same as the class: to Outlook for Windows it is a
  bookmark, which it keeps where it drops ids and classes, and which has at most 40 letters, digits and underscores.

Where all are lost, the stamp's own words are left (`mta.relay.stamp.earlier.wording`). Nothing here is a secret: who
was sent a stamp can forge one, so that markers count in mail from ourselves only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import re2

from mta.message.html.scan import tokens
from mta.message.place.placement import MARKER, BodyView
from mta.message.place.quote_marks import Gate

_GATE: Gate = re2.compile(MARKER)
_NAMED = re.compile(
    r"stampline-(?P<name>[a-z0-9]++(?:[._-][a-z0-9]++)*?)"
    r"(?:--(?P<origin>[0-9a-f]{8})(?P<sender>[0-9a-f]{8})(?:-(?P<message>[0-9a-f]{8}))?)?(?=[\"'\s>])"
    r"|stampline_(?P<digest>[0-9a-f]{8})_(?P<origin2>[0-9a-f]{8})(?P<sender2>[0-9a-f]{8})"
)
_IN_ATTRIBUTE = re.compile(
    r"<[a-z][^<>]*(?:[\s\"'](?:id|class|name)\s*=\s*(?:\"[^\"]*|'[^']*|[^\s\"'>]*)|mso-bookmark:[^\s;\"']*)\Z"
)
_TAG_MAX = 2000
_MARKERS_MAX = 500
_NONE = "0" * 8
_HAS_NAME = re.compile(r"\sname\s*=", re.IGNORECASE)


class Owner(NamedTuple):
    """Whose stamp it is: keys of organisation and sender, "" for what is not known or not said."""

    origin: str
    sender: str


class Marker(NamedTuple):
    """What one attribute says; "" for what it doesn't say. All in lower case."""

    tag: int
    """Where the element begins."""
    name: str
    digest: str
    """Of the template's name, by `key_of`; one of `name` and this is there."""
    owner: Owner
    message: str

    def is_of(self, template: str) -> bool:
        """Whether it is a stamp of that template."""
        return self.name == template.lower() if self.name else self.digest == key_of(template)


@lru_cache(maxsize=1024)
def key_of(name: str) -> str:
    """Eight hexadecimal digits that stand for a template's name, an organisation or an address; "" for ""."""
    return hashlib.sha256(name.lower().encode("utf-8", "surrogatepass")).hexdigest()[:8] if name else ""


def marked(template: str, owner: Owner, message: str, html: str) -> str:
    """The HTML of a stamp with its markers. The owner's sender is "" where the template doesn't speak of the sender.

    Only the first line names the message: what stands behind it is encoded once for a sender (quoted_printable).
    """
    keys = f"{owner.origin or _NONE}{owner.sender or _NONE}"
    named = f"stampline-{template}--{keys}"
    bookmarked = _bookmarked(html, f'name="stampline_{key_of(template)}_{keys}"')
    return f'<div class="{named}" id="{named}-{message}">{bookmarked}</div>'


@lru_cache(maxsize=256)
def _bookmarked(html: str, name: str) -> str:
    """The first words inside of an anchor with that name; a link around them takes it. Neither can be seen."""
    at = 0
    link = None
    for token in tokens(html):
        text = html[at : token.start]
        if text and not text.isspace():
            break
        if token.name == "a" and token.kind != "raw":
            link = token if token.kind == "open" else None
        at = token.end
    else:
        text = html[at:]
    if link is not None:
        has_name = _HAS_NAME.search(link.attributes) is not None
        return html if has_name else f"{html[: link.start + 2]} {name}{html[link.start + 2 :]}"
    words = text.strip()
    if not words:
        return html
    start = at + text.index(words)
    return f"{html[:start]}<a {name}>{words}</a>{html[start + len(words) :]}"


def has_markers(view: BodyView) -> bool:
    """Far quicker than looking for one in the text, and nearly always the answer is no."""
    return _GATE.search(view.octets) is not None


def markers(view: BodyView) -> Iterator[Marker]:
    """All markers in the attributes of a body's HTML, in order; words like them in the text are none."""
    if not has_markers(view):
        return
    text = view.folded
    for number, match in enumerate(_NAMED.finditer(text)):
        if number == _MARKERS_MAX:
            return
        tag = text.rfind("<", max(0, match.start() - _TAG_MAX), match.start())
        if tag < 0 or not _IN_ATTRIBUTE.match(text, tag, match.start()):
            continue
        origin, sender = match["origin"] or match["origin2"], match["sender"] or match["sender2"]
        owner = Owner(_known(origin), _known(sender))
        yield Marker(tag, match["name"] or "", match["digest"] or "", owner, match["message"] or "")


def _known(key: str | None) -> str:
    return "" if key is None or key == _NONE else key


def elements(view: BodyView, is_wanted: Callable[[Marker], bool]) -> list[tuple[int, int]]:
    """The elements around stamps whose class or id is wanted: outermost ones, that have an end, in order."""
    starts = {marker.tag for marker in markers(view) if marker.name and is_wanted(marker)}
    if not starts:
        return []
    spans: list[tuple[int, int]] = []
    start = depth = 0
    for token in tokens(view.text):
        if token.name != "div" or token.kind == "raw":
            continue
        if depth:
            depth += 1 if token.kind == "open" else -1
            if not depth:
                spans.append((start, token.end))
        elif token.kind == "open" and token.start in starts:
            start, depth = token.start, 1
    return spans
