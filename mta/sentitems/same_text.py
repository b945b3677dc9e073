"""Whether two items say the same, however often mail servers and clients have written the text anew.

Exchange keeps no MIME: it makes HTML, plain text and RTF of each other, wraps lines, turns entities into characters and
back, drops styles, comments and empty tags, and adds lists' signs and links' targets where it makes plain text of HTML.
None of that is an edit. A word, a number or a sign that differs is, and so is a space put into a word or taken out.
"""

from __future__ import annotations

import html as markup
import re
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from mta.message.shown_text import text_of_html

_INVISIBLE = dict.fromkeys([
    0x00AD, 0x034F, 0x061C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF,
    *range(0xFE00, 0xFE10), *range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0x80, 0xA0),
])  # fmt: skip
_SAME_SIGNS = {
    0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-", 0x2014: "-", 0x2212: "-", 0x2018: "'", 0x2019: "'",
    0x201A: "'", 0x201B: "'", 0x201C: '"', 0x201D: '"', 0x201E: '"', 0x201F: '"', 0x02BC: "'", 0x00B4: "'",
}  # fmt: skip
_TRANSLATED = {**_INVISIBLE, **_SAME_SIGNS}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UNDECODED = re.compile("[\ud800-\udfff\ufffd]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_QUOTE_MARKS = re.compile(r"^[ \t]*>[> \t]*", re.MULTILINE)
_SEPARATOR = re.compile(r"\s+")
_WIDE_FROM = "\u2e80"
"""Scripts without spaces between words begin here; lines are broken anywhere in them."""
# What Exchange and Outlook write where they make plain text of HTML.
_TARGET = re.compile(
    r"<(?:https?|mailto|tel|sip|ftp|file|cid|callto):[^<>]{1,4000}>|\[cid:[^\[\]]{1,300}\]", re.IGNORECASE
)
_RULE = re.compile(r"^[ \t]*[_\-]{5,}[ \t]*$", re.MULTILINE)
_LIST_SIGN = re.compile(
    r"^[ \t]*(?:[*•·▪▫◦●○■□\u2023\u2043\uf0a7\uf0b7-]|o(?=[ \t]{2})|\d{1,3}[.)])(?:[ \t]+|$)", re.MULTILINE
)
_ALT = re.compile(r"<img\b[^<>]{0,4000}?\balt\s*=\s*(?:\"([^\"<>]{1,500})\"|'([^'<>]{1,500})')", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """A message's text in the forms that there are."""

    html: str | None
    text: str | None


class _Shape(NamedTuple):
    """A text's visible characters, and behind which of them a space or a line's end stands."""

    visible: str
    spaces: frozenset[int]
    breaks: frozenset[int]


def is_same(first: Said, second: Said) -> bool:
    """By their HTML where both have it, for plain text is made of it; else by what they have.

    Where only one of them has HTML, links' targets don't count.
    """
    if first.html is not None and second.html is not None:
        return _are_equal(text_of_html(first.html), text_of_html(second.html))
    if first.text is not None and second.text is not None:
        if _are_equal(first.text, second.text):
            return True
        if first.html is None and second.html is None:
            return False
    signs = _pictures(first) | _pictures(second)
    return any(
        _are_equal(_as_plain(one, signs), _as_plain(other, signs)) for one in _texts(first) for other in _texts(second)
    )


def hides_other_text(item: Said, came: Said) -> bool:
    """Whether a message says something else in its plain text than in its HTML, and than the item does.

    Who reads HTML doesn't see that. Of servers that keep both; Exchange makes the one of the other.
    """
    if item.html is None or item.text is None or came.html is None or came.text is None:
        return False
    return not (_are_equal(item.text, came.text) or is_same(Said(came.html, None), Said(None, came.text)))


def digest(said: Said) -> str:
    """By which it is known later whether an item that was made with this text has been edited."""
    return _digest(_texts(said)[0], _pictures(said))


def has_digest(said: Said, known: str) -> bool:
    """Whether it says what had this digest."""
    return any(_digest(text, _pictures(said)) == known for text in _texts(said))


def _digest(text: str, signs: set[str]) -> str:
    visible = _shape(_as_plain(text, signs)).visible
    return blake2b(visible.encode("utf_8", "surrogatepass"), digest_size=8).hexdigest()


def _texts(said: Said) -> list[str]:
    texts = [] if said.html is None else [text_of_html(said.html)]
    return [*texts, said.text or ""] if said.text is not None or not texts else texts


def _pictures(said: Said) -> set[str]:
    """What stands in plain text for pictures: `[Logo]`."""
    if said.html is None or "<img" not in said.html.lower():
        return set()
    return {f"[{markup.unescape(match[1] or match[2])}]" for match in _ALT.finditer(said.html)}


def _as_plain(text: str, signs: set[str]) -> str:
    """Without what only one of plain text and HTML has."""
    text = _TARGET.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    for sign in signs:
        text = text.replace(sign, "")
    return _RULE.sub("", _LIST_SIGN.sub("", _QUOTE_MARKS.sub("", text)))


def _are_equal(first: str, second: str) -> bool:
    if first.split() == second.split():
        return True  # as nearly always
    if _UNDECODED.search(first) or _UNDECODED.search(second):
        # Others decode what is no text in its charset otherwise, so that only ASCII can be compared.
        first, second = _NOT_ASCII.sub("", first), _NOT_ASCII.sub("", second)
    one, other = _shape(first), _shape(second)
    if one.visible != other.visible:
        return False
    # A space in a line on one side, and nothing at all on the other: words were joined or parted.
    parted = (one.spaces - other.spaces - other.breaks) | (other.spaces - one.spaces - one.breaks)
    return all(_is_wide(one.visible, place) for place in parted)


def _is_wide(visible: str, place: int) -> bool:
    return any(character >= _WIDE_FROM for character in visible[max(place - 1, 0) : place + 1])


def _shape(text: str) -> _Shape:
    if not text.isascii() or _CONTROL.search(text):
        text = unicodedata.normalize("NFKC", text.translate(_TRANSLATED)).translate(_TRANSLATED)
    text = _QUOTE_MARKS.sub("", text)
    pieces: list[str] = []
    spaces: set[int] = set()
    breaks: set[int] = set()
    done = length = 0
    for match in _SEPARATOR.finditer(text):
        pieces.append(text[done : match.start()])
        length += match.start() - done
        done = match.end()
        (breaks if "\n" in match[0] or "\r" in match[0] else spaces).add(length)
    pieces.append(text[done:])
    visible = "".join(pieces)
    return _Shape(visible, frozenset(spaces - {0, len(visible)}), frozenset(breaks))
