"""Where values may stand in HTML, and what they are sent through there: links and styles are no text.

Escaping keeps a value inside its attribute. It does not keep `javascript:` out of a link, or another declaration out of
a style.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mta.message.html.scan import Token
from mta.relay.stamp.templates.html.css import outside_quotes
from mta.relay.stamp.templates.html.masks import WORD, HtmlSource

_ATTRIBUTE = re.compile(r"(?<=[\s\"'])([a-z][a-z:-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_LINKS = frozenset(
    (
        "href", "xlink:href", "src", "background", "action", "formaction", "poster", "data", "cite", "longdesc",
        "lowsrc", "dynsrc", "ping", "icon", "usemap", "classid", "codebase",
    )
)  # fmt: skip
_FIXED = re.compile(r"[:/?#]")
_SCRIPT = re.compile(r"\s*(?:java|vb)script:|\s*data:(?!image/)", re.IGNORECASE)
_MAILTO = re.compile(r"(\s*mailto:[^?]*)", re.IGNORECASE)
_REFUSED = {
    "script": "no mail program runs scripts",
    "base": "it would change where the message's own links lead",
    "body": "write only what goes into the body",
    "html": "write only what goes into the body",
    "head": "write only what goes into the body",
    "link": "put its CSS into <style>: nothing is fetched",
    "iframe": "no mail program shows it",
    "object": "no mail program shows it",
    "embed": "no mail program shows it",
    "form": "no mail program sends forms",
}
_IN_TAGS = re.compile(r"\{%[-+]?\s*(?:end)?(?:include|extends|block|macro|call|filter|import|from|trans)\b")


def check_places(html: HtmlSource) -> None:
    """Find what has no place in mail, and values and blocks where escaping can't keep them."""
    for token in html.tokens():
        written = html.text[token.start : token.end]
        if token.kind in ("open", "raw") and token.name in _REFUSED:
            html.trouble(token.start, f"<{token.name}> in a signature", _REFUSED[token.name])
        elif token.kind in ("close", "bogus") and WORD.search(written):
            html.trouble(token.start, "a value inside of a tag", "put it into the text, or into an attribute's quotes")
        elif token.kind in ("comment", "raw", "open") and token.end == len(html.text) and not written.endswith(">"):
            html.trouble(token.start, f"<{token.name or '!--'} has no end", "close it")
    for tag in html.tags():
        _check_tag(html, tag)


def _check_tag(html: HtmlSource, tag: Token) -> None:
    written = html.text[tag.start : tag.end] if tag.kind == "open" else f"<{tag.name}{tag.attributes}>"
    for word in WORD.finditer(outside_quotes(written)):
        if html.is_value(word):
            html.trouble(tag.start, "a value in a tag but not in quotes", 'write it as attribute="{{ … }}"')
    for word in WORD.finditer(written):
        if _IN_TAGS.match(html.masked[int(word[1])]):
            html.trouble(tag.start, "a block or another file inside of a tag", "put the whole element into it")
    for match in _ATTRIBUTE.finditer(written):
        name, value = match[1].lower(), match[2] or match[3] or ""
        if name.startswith("on"):
            html.trouble(tag.start, f"{name}: a script", "take it out: no mail program runs scripts")
        elif name in _LINKS and _SCRIPT.match(value):
            html.trouble(tag.start, f"a script in {name}", "link to a web address")


def make_values_safe(html: HtmlSource) -> None:
    """Send values in links through `url`, or `mailbox`, and those in styles through `css`."""
    filtered: list[tuple[int, int]] = []
    for tag in html.tags():
        if tag.kind == "raw":
            if tag.name == "style":
                _wrap_values(html, html.text[tag.start : tag.end], "css")
            continue
        for match in _ATTRIBUTE.finditer(html.text, tag.start, tag.end):
            name, group = match[1].lower(), 2 if match[2] is not None else 3
            if name == "style":
                _wrap_values(html, match[group], "css")
            elif name in _LINKS and _is_open(html, match[group]):
                filtered.append(match.span(group))
    _filter_whole(html, filtered)


def _is_open(html: HtmlSource, link: str) -> bool:
    """Whether it is still open where the link leads; a value that alone decides it is wrapped at once."""
    words = list(WORD.finditer(link))
    if not words:
        return False
    if address := _MAILTO.match(link):
        _wrap_values(html, address[1], "mailbox")
        return False
    if _FIXED.search(link, 0, words[0].start()):
        return False
    if len(words) == 1 and html.is_value(words[0]) and not link[: words[0].start()].strip():
        html.wrap(words[0], "url")
        return False
    return True


def _filter_whole(html: HtmlSource, spans: Sequence[tuple[int, int]]) -> None:
    """Links of several pieces, any of which may turn out to be the first, are sent through `url` as a whole."""
    out: list[str] = []
    at = 0
    for start, end in spans:
        line = html.line(start)
        begin, finish = html.mask("{% filter url %}", line), html.mask("{% endfilter %}", line)
        out += (html.text[at:start], begin, html.text[start:end].strip(), finish)
        at = end
    html.text = "".join(out) + html.text[at:]


def _wrap_values(html: HtmlSource, text: str, name: str) -> None:
    for word in WORD.finditer(text):
        if html.is_value(word):
            html.wrap(word, name)
