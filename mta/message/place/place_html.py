"""Top and bottom in HTML, as programs write it and not as it should be. The place under a reply: html_reply.

Most messages need no more than a look at their end; where something there might hide a stamp (an unclosed comment,
table or hidden preheader) the whole text is scanned, once.
"""

from __future__ import annotations

import re

import re2

from mta.message.html.nesting import HIDES, SWALLOWS, OpenElements
from mta.message.html.scan import Token, tokens
from mta.message.place.html_reply import reply_position
from mta.message.place.placement import BodyView, Placement
from mta.message.place.quote_marks import DEFAULT_MARKS, Gate, QuoteMarks, is_quiet
from mta.model.actions import Place

_SPACE = " \t\r\n\f\ufeff"
_END_TAG = re.compile(r"</(?:body|html)[ \t\r\n\f]*>\Z", re.IGNORECASE)
_CONDITIONAL = re.compile(r"\[if|\[endif", re.IGNORECASE)
_HEAD = frozenset(("html", "head", "meta", "title", "style", "link", "base", "script", "basefont", "bgsound"))
_ENDS_MAX = 20
_MAY_HIDE: Gate = re2.compile(HIDES)
_MAY_HIDE_OR_SWALLOW: Gate = re2.compile(f"{HIDES}|{SWALLOWS}")
_SIGNS = re.compile(rb"<(?:!--|/?(?:style|title|table))")


def place_html(view: BodyView, place: Place, is_reply: bool, marks: QuoteMarks = DEFAULT_MARKS) -> Placement:
    """Where to insert; `before` holds end tags where something open would hide the stamp."""
    if place is Place.TOP:
        return Placement(_top(view.text))
    if place is Place.REPLY:
        position = reply_position(view, is_reply, marks)
        if position is not None and not _is_hidden(view, position):
            return Placement(position)
    return _bottom(view, marks)


def _top(text: str) -> int:
    """Behind `<body …>`, else where the first content begins."""
    position = len(text) - len(text.lstrip(_SPACE))
    for token in tokens(text):
        if text[position : token.start].strip(_SPACE):
            return position
        if token.kind == "open" and token.name == "body":
            return token.end
        if not token.closed:
            return token.start
        if token.kind in ("comment", "bogus") or token.name in _HEAD:
            position = token.end
            continue
        return token.start
    return position if text[position:].strip(_SPACE) else len(text)


def _bottom(view: BodyView, marks: QuoteMarks) -> Placement:
    text = view.text
    position = _before_end(text)
    if not _in_doubt(view, marks):
        return Placement(position)
    scanned = list(tokens(text))
    end = len(text)
    if scanned and not scanned[-1].closed:
        end = scanned.pop().start
    position = end
    while scanned and _is_end(text, scanned[-1]) and not text[scanned[-1].end : position].strip(_SPACE):
        position = scanned.pop().start
    elements = OpenElements()
    elements.feed(scanned)
    return Placement(position, elements.closers())


def _before_end(text: str) -> int:
    """The place before the trailing `</body>`, `</html>` and comments, as the end of the text looks like."""
    position = len(text)
    for _ in range(_ENDS_MAX):
        start = max(0, position - 1000)
        end = start + len(text[start:position].rstrip(_SPACE))
        if not text.endswith(">", 0, end):
            break
        comment = text.endswith("-->", 0, end)
        start = text.rfind("<!--" if comment else "<", 0, end)
        if start < 0 or not (_is_comment(text, start, end) if comment else _END_TAG.match(text[start:end])):
            break
        position = start
    return position


def _is_comment(text: str, start: int, end: int) -> bool:
    """Whether this is one comment, without conditions, and neither inside of another one nor ended before."""
    if text.find("-->", start + 2, end) != end - 3 or text.find("--!>", start, end) >= 0:
        return False
    return not _CONDITIONAL.search(text, start, end) and text.rfind("<!--", 0, start) <= text.rfind("-->", 0, start)


def _is_end(text: str, token: Token) -> bool:
    if token.kind == "close":
        return token.name in ("body", "html")
    # Behind `<![endif]` we would be outside what the condition shows; before it, inside.
    return token.kind == "comment" and not _CONDITIONAL.search(text, token.start, token.end)


def _in_doubt(view: BodyView, marks: QuoteMarks) -> bool:
    """Whether something may swallow or hide what stands at the end.

    Nothing does if every comment, style, title and table is closed and nothing else that could is there: whatever is
    open at the end began at or before the last sign of its kind.
    """
    octets = view.octets
    signs = _SIGNS.findall(octets)
    if b"<!--" in signs and octets.find(b"-->", octets.rfind(b"<!--")) < 0:
        return True
    last = {sign.replace(b"/", b""): sign for sign in signs}
    if any(last.get(opening) == opening for opening in (b"<style", b"<title")):
        return True
    if signs.count(b"<table") != signs.count(b"</table"):
        return True
    return not is_quiet(view, marks) and _MAY_HIDE_OR_SWALLOW.search(octets) is not None


def _is_hidden(view: BodyView, position: int) -> bool:
    if _MAY_HIDE.search(view.octets) is None:
        return False
    elements = OpenElements()
    elements.feed(tokens(view.text, 0, position))
    return elements.is_hidden()
