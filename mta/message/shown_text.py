"""A message's text as its readers see it, for looking for words: markup off, entities resolved, one form of spelling.

Nothing is ever changed by it, so it may be rough where the bytes must be exact.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

from mta.message.body_text import TextBody, displayed
from mta.message.parse import Message
from mta.message.part import Part

TEXT_MAX = 1_000_000
"""Characters of one reading that are looked at."""
# Each stops at the next "<" at the latest, so that the whole takes time linear in the text.
_ATTRIBUTES = r"(?>(?:[^<>\"']+|\"[^\"<]*\"|'[^'<]*'|[\"'])*)>"
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<name>style|script|title|template)\b[^<>]*>.*?(?:</(?P=name)\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(
    r"</?(?:address|article|blockquote|br|center|dd|div|dl|dt|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre"
    rf"|section|table|tbody|td|tfoot|th|thead|tr|ul)\b{_ATTRIBUTES}",
    re.IGNORECASE,
)
_TAG = re.compile(rf"<[a-z/!?]{_ATTRIBUTES}", re.IGNORECASE)
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001)))).replace(" ", "")
_UNSEEN_CHARACTERS = "\u00ad\u200b\u2060\ufeff"


def shown_texts(message: Message) -> tuple[str, ...]:
    """The readings of a message: with the HTML of its alternatives, and with their plain text where that differs.

    Lines end in "\\n". Octets that their charset can't decode are lone surrogates.
    """
    return readings((body, body.text) for body in displayed(message))


def readings(texts: Iterable[tuple[TextBody, str]]) -> tuple[str, ...]:
    """The same from bodies and their text, or that part of it that is to count, in order.

    Beyond twice TEXT_MAX, which is both readings, no more texts are taken.
    """
    bodies: list[tuple[TextBody, Part | None, str]] = []
    room = 2 * TEXT_MAX
    for body, text in texts:
        bodies.append((body, _alternatives(body.part), text[: min(room, TEXT_MAX)]))
        room -= min(len(text), TEXT_MAX)
        if room <= 0:
            break
    of_html = {id(around) for body, around, _ in bodies if body.is_html and around is not None}
    of_plain = {id(around) for body, around, _ in bodies if not body.is_html and around is not None}
    rich = [_seen(body, text) for body, around, text in bodies if body.is_html or id(around) not in of_html]
    if not of_html & of_plain:
        return ("\n".join(rich)[:TEXT_MAX],)
    plain = [_seen(body, text) for body, around, text in bodies if not body.is_html or id(around) not in of_plain]
    found = dict.fromkeys(("\n".join(rich)[:TEXT_MAX], "\n".join(plain)[:TEXT_MAX]))
    first, *others = found
    return (first, *(other for other in others if not _same_words(first, other)))


def _same_words(first: str, other: str) -> bool:
    """Most that differ do so at once."""
    few = 10
    return first.split(maxsplit=few)[:few] == other.split(maxsplit=few)[:few] and _one_space(first) == _one_space(other)


def _alternatives(part: Part) -> Part | None:
    """The multipart/alternative that a body stands in."""
    around = part.parent
    while around is not None and around.content_type != "multipart/alternative":
        around = around.parent
    return around


def _seen(body: TextBody, text: str) -> str:
    text = text_of_html(text) if body.is_html else text.replace("\r\n", "\n").replace("\u00a0", " ")
    if text.isascii():
        return text
    for character in _UNSEEN_CHARACTERS:
        text = text.replace(character, "")
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _one_space(text: str) -> str:
    """All white space as one space each, as by `split` and `join`, which make an object of every word."""
    for character in _WHITE_SPACE:
        text = text.replace(character, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


def text_of_html(source: str) -> str:
    """The words of a piece of HTML, hidden ones too; a line for each block. Linear in its length."""
    text = _one_space(_UNSEEN.sub(" ", source))
    text = _BLOCK.sub("\n", text)
    text = _TAG.sub("", text)
    if "&" in text:
        text = html.unescape(text).replace("\u00a0", " ")
    return "\n".join(filter(None, map(str.strip, text.split("\n"))))
