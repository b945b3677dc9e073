"""What Exchange makes of bodies: HTML that it wraps and cleans, text that it makes HTML of, and back."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

_META = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
_SCRIPT = re.compile(r"<script\b.*?(?:</script\s*>|\Z)", re.IGNORECASE | re.DOTALL)


def stored_html(content: str) -> str:
    """HTML as it is kept: a whole document with its charset said."""
    if not re.search(r"<html\b", content, re.IGNORECASE):
        return f"<html><head>\r\n{_META}</head><body>{content}</body></html>"
    if re.search(r"<head\b[^>]*>", content, re.IGNORECASE):
        if _META.lower() in content.lower():
            return content
        return re.sub(r"(?i)(<head\b[^>]*>)", r"\1" + "\r\n" + _META, content, count=1)
    return re.sub(r"(?i)(<html\b[^>]*>)", r"\1" + f"<head>\r\n{_META}</head>", content, count=1)


def safe_html(content: str) -> str:
    """As it is read without `Prefer: outlook.allow-unsafe-html` (graph/api/resources/message)."""
    return _SCRIPT.sub("", content)


def html_of_text(text: str) -> str:
    lines = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return f'<html><head>\r\n{_META}</head><body>\r\n<div class="PlainText">{lines}</div>\r\n</body></html>'


def text_of_html(content: str) -> str:
    reader = _Reader()
    reader.feed(content)
    reader.close()
    return re.sub(r"(?:\r\n){3,}", "\r\n\r\n", "".join(reader.parts)).strip()


class _Reader(HTMLParser):
    _BREAKS = frozenset(("br", "p", "div", "tr", "li", "h1", "h2", "h3", "table"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "script", "head", "title"):
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\r\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script", "head", "title"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in self._BREAKS:
            self.parts.append("\r\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))
