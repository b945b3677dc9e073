"""The link to a filed message's record on top of an item's body: put there once, and replaced by a later one."""

from __future__ import annotations

import html
import re

_ID = "stampline-link"
_ON_TOP = re.compile(rf'(?is)\s*<div[^>]{{0,200}}\bid="?(?:x_)?{_ID}"?[^>]{{0,200}}>.{{0,8000}}?</div>\s*')
"""Exchange writes `x_` before ids of what it takes over from elsewhere."""
_BODY = re.compile(r"(?is)<body\b[^>]{0,10000}>")


def with_link(body: str, link: str, text: str, *, is_html: bool) -> str:
    """The body with the link on top; the same body where that stands there already."""
    return _html_with_link(body, link, text) if is_html else _plain_with_link(body, link, text)


def _html_with_link(body: str, link: str, text: str) -> str:
    start = _BODY.search(body)
    at = start.end() if start is not None else 0
    former = _ON_TOP.match(body, at)
    shown = html.escape(text)
    added = f'<div id="{_ID}"><a href="{html.escape(link)}">{shown}</a></div>'
    if former is not None and html.escape(link) in former[0] and shown in former[0]:
        return body
    return body[:at] + added + body[former.end() if former is not None else at :]


def _plain_with_link(body: str, link: str, text: str) -> str:
    first, _, rest = body.partition("\n")
    added = f"{text}: <{link}>"
    if first.rstrip("\r") == added:
        return body
    if first.startswith(f"{text}: <") and first.rstrip("\r").endswith(">"):
        return f"{added}\r\n{rest}"
    return f"{added}\r\n\r\n{body}"
