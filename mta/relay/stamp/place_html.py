"""Top and bottom in HTML, as programs write it and not as it should be. The place under a reply: place_html_reply.

Most messages need no more than a look at their end; where something there might hide a stamp (an unclosed comment,
table or hidden preheader) the whole text is scanned, once.
"""

from __future__ import annotations

import re

from mta.model.decision import Place
from mta.relay.stamp.html_nesting import OpenElements
from mta.relay.stamp.html_reply import reply_position
from mta.relay.stamp.html_scan import Token, tokens
from mta.relay.stamp.place import Placement, lowered
from mta.relay.stamp.quote_lines import DEFAULT_MARKS, QuoteMarks

_SPACE = " \t\r\n\f\ufeff"
_END_TAG = re.compile(r"</(?:body|html)[ \t\r\n\f]*>\Z")
_CONDITIONAL = re.compile(r"\[if|\[endif", re.IGNORECASE)
_HEAD = frozenset(("html", "head", "meta", "title", "style", "link", "base", "script", "basefont", "bgsound"))
_BALANCE = re.compile(
    r"<(?:(?P<close>/)?(?P<name>script|style|textarea|title|xmp|iframe|noembed|noframes|plaintext|table|select|template"
    r"|svg|object|video|audio)(?=[\s/>])|(?P<comment>!--))|(?P<end>--!?>)"
)
_TRAILING = re.compile(r"[ \t\r\n\f\ufeff]*")
_ENDS_MAX = 20
_MAY_HIDE = (
    "display:none", "display: none", "visibility:", "mso-hide", "height:0", "height: 0", "opacity:", "font-size:0",
    "font-size: 0", " hidden",
)  # fmt: skip


def place_html(text: str, place: Place, is_reply: bool, marks: QuoteMarks = DEFAULT_MARKS) -> Placement:
    """Where to insert; `before` holds end tags where something open would hide the stamp."""
    if place is Place.TOP:
        return Placement(_top(text))
    folded = lowered(text)
    if place is Place.REPLY:
        position = reply_position(text, folded, is_reply, marks)
        if position is not None and not _is_hidden(text, folded, position):
            return Placement(position)
    return _bottom(text, folded)


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


def _bottom(text: str, folded: str) -> Placement:
    position = _before_end(folded)
    if not _in_doubt(folded, position):
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


def _before_end(folded: str) -> int:
    """The place before the trailing `</body>`, `</html>` and comments, as the end of the text looks like."""
    position = len(folded)
    for _ in range(_ENDS_MAX):
        end = position - len(_TRAILING.match(folded[max(0, position - 1000) : position][::-1])[0])  # type: ignore[index]
        if not folded.endswith(">", 0, end):
            break
        comment = folded.endswith("-->", 0, end)
        start = folded.rfind("<!--" if comment else "<", 0, end)
        if start < 0 or (_CONDITIONAL.search(folded, start, end) if comment else not _END_TAG.match(folded[start:end])):
            break
        position = start
    return position


def _is_end(text: str, token: Token) -> bool:
    if token.kind == "close":
        return token.name in ("body", "html")
    # Behind `<![endif]` we would be outside what the condition shows; before it, inside.
    return token.kind == "comment" and not _CONDITIONAL.search(text, token.start, token.end)


def _in_doubt(folded: str, position: int) -> bool:
    """Whether something before `position` may swallow or hide what stands there. Never falsely no for real mail."""
    if folded.count('"', 0, position) & 1 or any(sign in folded for sign in _MAY_HIDE):
        return True
    opened: dict[str, int] = {}
    comment = False
    for match in _BALANCE.finditer(folded, 0, position):
        name = match["name"]
        if name is not None:
            opened[name] = opened.get(name, 0) + (-1 if match["close"] else 1)
        else:
            comment = match["comment"] is not None
    return comment or any(opened.values())


def _is_hidden(text: str, folded: str, position: int) -> bool:
    if not any(sign in folded for sign in _MAY_HIDE):
        return False
    elements = OpenElements()
    elements.feed(tokens(text, 0, position))
    return elements.is_hidden()
