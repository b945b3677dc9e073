"""What a message says as plain text, what of it its author wrote, and what it quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mta.message.body_text import BODY_MAX, TextBody, displayed
from mta.message.html.text import text_of
from mta.message.parse import Message, Part
from mta.message.place import html_reply, place_plain, quote_lines
from mta.message.place.placement import BodyView, lowered
from mta.message.place.quote_marks import DEFAULT_MARKS
from mta.message.stamp_markers import elements, has_markers

TEXT_MAX = 1_000_000
"""Characters of one body that are read, and of bodies after which no other is. More is a log, which belongs into a
file."""
_TEXT = frozenset({"text/plain", "text/html"})
_QUOTED_HTML_MAX = 100_000
"""Characters of quoted HTML of which text is made: a quote's beginning is what counts."""
_BLOCKQUOTE = re.compile(r"<(/?)blockquote\b[^>]*+(?:>|\Z)", re.IGNORECASE)
_SIGNATURE = re.compile(r"^--[ \u00a0]?$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_LINE_END = re.compile(r"\r*\n|\r")


@dataclass(frozen=True, slots=True)
class Wording:
    """LF line ends throughout."""

    text: str
    newest: str
    quoted: str
    """What stands below the author's words; "" where they stand below or between what is quoted."""
    is_inline: bool
    """The author wrote below or between what is quoted."""


def wording_of(message: Message, *, is_reply: bool, is_ours: bool = False) -> Wording:
    """Of the plain texts where there are any with words, else of HTML.

    `is_ours`: one of ours sent it. Then HTML is read, if our stamps stand there: they are marked, and nobody's words.
    """
    texts: list[str] = []
    newest: list[str] = []
    quoted = ""
    is_inline = False
    room = TEXT_MAX
    for body in _one_reading(_without_stamps(message) if is_ours else list(_bodies(message))):
        if room <= 0:
            break
        room -= len(body.text)
        whole, own, below, inline = (_of_html if body.is_html else _of_plain)(body, is_reply)
        texts.append(whole)
        is_inline = is_inline or inline
        if not quoted:
            newest.append(own)
            quoted = below
    return Wording(
        text=_joined(texts), newest=_without_signature(_joined(newest)), quoted=quoted.strip("\n"), is_inline=is_inline
    )


class _Unstamped(TextBody):
    """HTML without the elements that our stamps are marked by."""

    @cached_property
    def text(self) -> str:
        whole = super().text[:TEXT_MAX]
        kept, at = [], 0
        for start, end in elements(BodyView(whole), lambda _: True):
            kept.append(whole[at:start])
            at = end
        return "".join([*kept, whole[at:]])


def _without_stamps(message: Message) -> list[TextBody]:
    """The bodies as one of ours wrote them: HTML alone where stamps are marked in it, for in plain text nothing is."""
    bodies = list(_bodies(message))
    in_html = [body for body in bodies if body.is_html]
    if not any(has_markers(BodyView(body.text)) for body in in_html):
        return bodies
    return [_Unstamped(body.part, message) for body in in_html]


def _bodies(message: Message) -> Iterator[TextBody]:
    """What readers see, inside clear-signed parts, too: these are only closed to changes."""
    yield from displayed(message)
    waiting = [message.root]
    while waiting:
        part = waiting.pop()
        if part.content_type == "multipart/signed" and part.children:
            yield from _bodies(Message(message.data, part.children[0], ()))
        elif part.is_multipart:
            waiting.extend(reversed(part.children))
        elif part.content_type in _TEXT and part.body_end - part.body_start > BODY_MAX and not part.is_attachment:
            yield TextBody(_beginning_of(part), message)


def _beginning_of(part: Part) -> Part:
    """Of a text that is too long to be shown whole."""
    cut = Part(part.data, part.header_start, part.fields, part.parent)
    cut.body_start, cut.body_end = part.body_start, part.body_start + BODY_MAX
    return cut


def _one_reading(bodies: Sequence[TextBody]) -> list[TextBody]:
    """Of alternatives the plain one, unless it is blank."""
    blank = {id(body) for body in bodies if not body.is_html and not body.text[:TEXT_MAX].strip()}
    if len(bodies) == 1 or all(body.is_html for body in bodies):
        return list(bodies)
    of_plain = {id(_alternatives(body.part)) for body in bodies if not body.is_html and id(body) not in blank}
    of_html = {id(_alternatives(body.part)) for body in bodies if body.is_html}
    none = id(None)
    shown = []
    for body in bodies:
        around = id(_alternatives(body.part))
        if body.is_html:
            if around == none or around not in of_plain:
                shown.append(body)
        elif id(body) not in blank or (around not in of_html):
            shown.append(body)
    return shown


def _alternatives(part: Part) -> Part | None:
    around = part.parent
    while around is not None and around.content_type != "multipart/alternative":
        around = around.parent
    return around


_Found = tuple[str, str, str, bool]
"""The whole, the author's, what is quoted below, whether the author wrote below or between."""


def _of_plain(body: TextBody, is_reply: bool) -> _Found:
    text = _LINE_END.sub("\n", _clean(body.text[:TEXT_MAX]))
    position = place_plain.reply_position(BodyView(text), is_reply)
    if position is not None:
        return text, text[:position], text[position:], False
    lines = text.split("\n")
    marked = sum(line.startswith(">") for line in lines)
    if marked > 1 or (marked and is_reply):
        return text, _unquoted(lines), "", True
    return text, text, "", False


def _unquoted(lines: Sequence[str]) -> str:
    """Lines without those that are marked as quoted, and without the attributions right above them."""
    kept: list[str] = []
    folded: list[str] = []
    for line in lines:
        seen = lowered(quote_lines.without_directions(line)).strip(quote_lines.EDGES)
        if quote_lines.is_quoted(seen):
            _drop_attribution(kept, folded)
            if kept and kept[-1]:
                kept.append("")
                folded.append("")
            continue
        kept.append(line)
        folded.append(seen)
    return "\n".join(kept)


def _drop_attribution(kept: list[str], folded: list[str]) -> None:
    """The attribution or header that ends the lines, if one does; and the blank lines behind it."""
    last = len(folded)
    end = next((index for index in range(last, max(last - 3, 0), -1) if folded[index - 1]), 0)
    if not end:
        return
    near = max(0, end - 5)
    first = quote_lines.attribution_start(folded[near:end], end - near - 1)
    start = None if first is None else near + first
    if start is None and quote_lines.label(folded[end - 1]):
        start = quote_lines.header_above(folded, end)
    if start is not None:
        del kept[start:], folded[start:]


def _of_html(body: TextBody, is_reply: bool) -> _Found:
    source = _clean(body.text[:TEXT_MAX])
    whole = text_of(source)
    position = html_reply.reply_position(BodyView(source), is_reply, DEFAULT_MARKS)
    if position is not None:
        own, quoted = text_of(source[:position]), text_of(source[position : position + _QUOTED_HTML_MAX])
        # An element that marks a quote may be around the author's words, too: then the lines tell where it begins.
        below = None if own.strip() else place_plain.reply_position(BodyView(whole), is_reply)
        return (whole, whole[:below], whole[below:], False) if below else (whole, own, quoted, False)
    if is_reply and (pieces := _outside_quotes(source)):
        return whole, _joined(pieces), "", True
    return whole, whole, "", False


def _outside_quotes(source: str) -> list[str]:
    """Texts of what stands outside of blockquotes, attributions taken off; empty where there is no blockquote."""
    pieces: list[str] = []
    depth = at = 0
    for match in _BLOCKQUOTE.finditer(source):
        if match[1]:
            depth = max(0, depth - 1)
            at = match.end() if depth == 0 else at
            continue
        if depth == 0:
            pieces.append(source[at : match.start()])
        depth += 1
    if not pieces:
        return []
    if depth == 0:
        pieces.append(source[at:])
    return [_unattributed(text_of(piece)) for piece in pieces]


def _unattributed(text: str) -> str:
    kept = text.split("\n")
    _drop_attribution(kept, [lowered(line).strip(quote_lines.EDGES) for line in kept])
    return "\n".join(kept)


def _without_signature(text: str) -> str:
    """Without the block behind `-- `, unless all that was written stands there."""
    for match in _SIGNATURE.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()].strip("\n")
    return text


def _joined(texts: Sequence[str]) -> str:
    trimmed = (_BLANK_LINES.sub("\n\n", "\n".join(map(str.rstrip, text.split("\n")))).strip("\n") for text in texts)
    return "\n\n".join(filter(None, trimmed))


def _clean(text: str) -> str:
    """Octets that a charset can't decode are lone surrogates, which no store takes."""
    if text.isascii():
        return text.replace("\0", "")
    return text.encode("utf_8", "replace").decode("utf_8").replace("\0", "").replace("\u00a0", " ")
