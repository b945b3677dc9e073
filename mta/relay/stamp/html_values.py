"""Where values may stand in HTML, and what they are sent through there: links and styles are no text.

Escaping keeps a value inside its attribute. It does not keep `javascript:` out of a link, or another declaration out of
a style.
"""

from __future__ import annotations

import re

from mta.relay.stamp.html_css import outside_quotes
from mta.relay.stamp.html_masks import WORD, HtmlSource
from mta.relay.stamp.html_scan import Token

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
    for tag in html.tags():
        if tag.kind == "raw":
            if tag.name == "style":
                _wrap_values(html, html.text[tag.start : tag.end], "css")
            continue
        for match in _ATTRIBUTE.finditer(html.text[tag.start : tag.end]):
            name, value = match[1].lower(), match[2] or match[3] or ""
            if name == "style":
                _wrap_values(html, value, "css")
            elif name in _LINKS:
                _make_link_safe(html, value)


def _make_link_safe(html: HtmlSource, value: str) -> None:
    words = list(WORD.finditer(value))
    if not words:
        return
    if address := _MAILTO.match(value):
        _wrap_values(html, address[1], "mailbox")
        return
    if _FIXED.search(value, 0, words[0].start()):
        return
    if len(words) == 1 and not value[: words[0].start()].strip():
        if html.is_value(words[0]):
            html.wrap(words[0], "url")
        return
    # Several pieces, any of which may turn out to be the first: together they are one address.
    first, last = int(words[0][1]), int(words[-1][1])
    html.masked[first] = "{% filter url %}" + html.masked[first]
    html.masked[last] += "{% endfilter %}"


def _wrap_values(html: HtmlSource, text: str, name: str) -> None:
    for word in WORD.finditer(text):
        if html.is_value(word):
            html.wrap(word, name)
