"""A plain text as HTML: every character, line and gap as it stands, links to click on.

Quotes of a text in format=flowed become quotes in HTML, for there `>` says so; in other texts lines with `>` stay as
they are written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mta.message.flowed import Paragraph, paragraphs

_LINE_END = re.compile(r"\r\n|\r|\n")
_GAP = re.compile(r"^ | (?= )|\t")
_ALIGNED = re.compile(r"\S(?: {3,}|\t)\S|^[ \t]*[|+][-=+|]{3,}", re.MULTILINE)
_LINK = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"\u0000-\u001f]{1,2000}|\bwww\.[a-z0-9-]{1,63}\.[^\s<>\"\u0000-\u001f]{1,2000}"
    r"|(?<![\w.+@/-])[\w.+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}",
    re.IGNORECASE,
)
_NOT_OF_THE_LINK = ".,;:!?'\"»›”’*_~"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_SANS = "font-family:Calibri,Arial,Helvetica,sans-serif;font-size:11pt"
_FIXED = "font-family:Consolas,'Courier New',monospace;font-size:10pt"
_QUOTE = '<blockquote type="cite" style="margin:0 0 0 .8ex;border-left:1px solid #cccccc;padding-left:1ex">'
_DOCUMENT = (
    '<html>\n<head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>\n<body>\n%s\n</body>\n'
    "</html>\n"
)


class Flow(NamedTuple):
    """How the lines of a text are meant (RFC 3676)."""

    flowed: bool = False
    delsp: bool = False


def document(pieces: Iterable[tuple[str, str]], flow: Flow) -> str:
    """A whole document of pieces of plain text, each with the HTML that stands behind it."""
    pieces = list(pieces)
    style = _FIXED if any(_ALIGNED.search(text) for text, _ in pieces) else _SANS
    body = [part for text, behind in pieces for part in (_block(text, flow, style), behind) if part]
    return _DOCUMENT % "\n".join(body)


def _block(text: str, flow: Flow, style: str) -> str:
    """A piece of text; "" where it is blank."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return ""
    if text.endswith("\n"):
        text = text[: -2 if text.endswith("\r\n") else -1]  # the block's own end is that of its last line
    lines = paragraphs(text, delsp=flow.delsp) if flow.flowed else (Paragraph(0, x) for x in _LINE_END.split(text))
    return f'<div style="{style}">\n{"".join(_quoted(lines))}</div>'


def _quoted(lines: Iterable[Paragraph]) -> Iterator[str]:
    depth = 0
    for line in lines:
        yield (_QUOTE + "\n") * (line.depth - depth) + "</blockquote>\n" * (depth - line.depth)
        depth = line.depth
        yield _line(line.text) + "<br>\n"
    yield "</blockquote>\n" * depth


def _line(text: str) -> str:
    pieces: list[str] = []
    at = 0
    for match in _LINK.finditer(text):
        link = _trimmed(match[0])
        pieces += (_shown(text[at : match.start()]), _linked(link))
        at = match.start() + len(link)
    return "".join([*pieces, _shown(text[at:])])


def _trimmed(link: str) -> str:
    """Without what a sentence puts behind it."""
    while link and (link[-1] in _NOT_OF_THE_LINK or _is_unpaired(link)):
        link = link[:-1]
    return link


def _is_unpaired(link: str) -> bool:
    opening = _PAIRS.get(link[-1])
    return opening is not None and link.count(link[-1]) > link.count(opening)


def _linked(link: str) -> str:
    target = link
    if "://" not in link:
        target = f"mailto:{link}" if "@" in link and not link.lower().startswith("www.") else f"http://{link}"
    return f'<a href="{html.escape(target)}">{_shown(link)}</a>'


def _shown(text: str) -> str:
    """Escaped; gaps that HTML would close are kept."""
    return _GAP.sub(lambda match: "&nbsp;" * (8 if match[0] == "\t" else 1), html.escape(text, quote=False))
