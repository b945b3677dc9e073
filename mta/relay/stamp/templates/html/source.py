"""What happens to an HTML template once, at load: `data-line`, inlined CSS, safe values, names of pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mta.message.html.scan import VOID, Token, attributes
from mta.relay.stamp.templates.html.css import inline_css
from mta.relay.stamp.templates.html.masks import HtmlSource, Trouble, masked_html
from mta.relay.stamp.templates.html.pictures import add_dark_pictures, name_pictures
from mta.relay.stamp.templates.html.values import check_places, make_values_safe
from mta.relay.stamp.templates.rendering import PictureSource

_KEEPS_SPACE = re.compile(r"<(?:pre|textarea)\b|white-space", re.IGNORECASE)
_INDENT = re.compile(r"\n[ \t\n]+")
_CID = re.compile(r"\"cid:([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class PreparedHtml:
    """The source to compile, the cids that it shows, and what is wrong with it."""

    source: str
    cids: frozenset[str]
    troubles: tuple[Trouble, ...]
    lines: tuple[int, ...] = ()
    """For each line of `source` the line of the file that it comes from."""


def prepare_html(source: str, pictures: Sequence[PictureSource], css: str = "") -> PreparedHtml:
    """Prepare one file. `pictures` are those that may be called by their file's name; any cid may be used.

    `css` holds rules of other files that count in this one too: of those that it extends or includes.
    """
    html = masked_html(source, pictures)
    check_places(html)
    name_pictures(html)
    make_values_safe(html)
    sheet = add_dark_pictures(html)
    _mark_lines(html)
    if not html.troubles:
        inline_css(html, css, sheet)
    if not _KEEPS_SPACE.search(html.text):
        html.text = _INDENT.sub("\n", html.text)
    cids = frozenset(_CID.findall(html.text))
    return PreparedHtml(html.unmasked(html.text), cids, tuple(html.troubles), html.lines())


def _mark_lines(html: HtmlSource) -> None:
    """Elements with `data-line` go into `{% line %}…{% endline %}`."""
    if "data-line" not in html.text.lower():
        return
    insertions: list[tuple[int, int, str]] = []
    scanned = html.tokens()
    for index, token in enumerate(scanned):
        if token.kind != "open" or "data-line" not in attributes(token.attributes):
            continue
        end = token.end if token.name in VOID else _end_of(scanned, index)
        if end is None:
            html.trouble(token.start, f"<{token.name} data-line> has no </{token.name}>", "close the element")
            continue
        tag = html.text[token.start : token.end]
        bare = re.sub(r"\s+data-line(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?(?=[\s/>])", "", tag, flags=re.I)
        line = html.line(token.start)
        insertions.append((token.start, token.end, f"<!--{html.mask('{% line %}', line)}-->{bare}"))
        insertions.append((end, end, f"<!--{html.mask('{% endline %}', line)}-->"))
    out: list[str] = []
    at = 0
    for start, end, text in sorted(insertions, key=lambda entry: entry[0]):
        # A void element's end tag is its start tag, whose replacement has just been written.
        out += (html.text[at:start], text)
        at = max(at, end)
    html.text = "".join(out) + html.text[at:]


def _end_of(scanned: Sequence[Token], index: int) -> int | None:
    depth = 0
    name = scanned[index].name
    for token in scanned[index:]:
        if token.name == name:
            depth += {"open": 1, "close": -1}.get(token.kind, 0)
            if depth == 0:
                return token.end
    return None
