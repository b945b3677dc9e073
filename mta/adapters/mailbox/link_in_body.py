"""The link to a filed message's record on top of an item's body: put there once, and replaced by a later one."""

from __future__ import annotations

import html
import re

_ID = "stampline-link"
_ON_TOP = re.compile(
    rf'(?is)\s*<div\b[^<>]{{0,200}}\bid="?(?:x_)*{_ID}"?[^<>]{{0,200}}>(?P<inside>.{{0,8000}}?)</div>\s*'
)
"""Exchange writes `x_` before ids of what it takes over from elsewhere."""
_ANCHOR = re.compile(r"""(?is)\s*<a\b[^<>]{0,500}?\bhref=(["'])(?P<link>[^"'<>]{0,4000})\1[^<>]{0,500}>"""
                     r"(?P<text>[^<>]{0,2000})</a>\s*")  # fmt: skip
"""All that such a block holds; whatever else stands in one is somebody else's."""
_BODY = re.compile(r"(?i)<body\b[^<>]{0,10000}>")


def with_link(body: str, link: str, text: str, *, is_html: bool) -> str:
    """The body with the link on top; the same body where that stands there already."""
    return _html_with_link(body, link, text) if is_html else _plain_with_link(body, link, text)


def _html_with_link(body: str, link: str, text: str) -> str:
    start = _BODY.search(body)
    at = start.end() if start is not None else 0
    former = _ON_TOP.match(body, at)
    if former is not None and _says(former["inside"], link, text):
        return body
    added = f'<div id="{_ID}"><a href="{html.escape(link)}">{html.escape(text)}</a></div>'
    return body[:at] + added + body[former.end() if former is not None else at :]


def _says(inside: str, link: str, text: str) -> bool:
    """Servers write entities, spaces and more attributes as they please."""
    found = _ANCHOR.fullmatch(inside)
    if found is None:
        return False
    shown = html.unescape(found["text"]).replace("\N{NO-BREAK SPACE}", " ").split()
    return html.unescape(found["link"]).strip() == link and shown == text.split()


def _plain_with_link(body: str, link: str, text: str) -> str:
    first, _, rest = body.partition("\n")
    added = f"{text}: <{link}>"
    if first.strip() == added:
        return body
    if first.startswith(f"{text}: <") and first.rstrip().endswith(">"):
        return f"{added}\r\n{rest}"
    return f"{added}\r\n\r\n{body}"
