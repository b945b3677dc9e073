"""HTML and text bodies, and what Exchange makes of them when it gives them out."""

from __future__ import annotations

import html as entities
import re

_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_ROOT = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_CHARSET_META = re.compile(
    r"""<meta\b(?=[^>]*(?:http-equiv\s*=\s*["']?content-type|charset\s*=))[^>]*>\s*""", re.IGNORECASE
)
_META = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
_DROPPED = re.compile(r"<(script|style|head|title)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/h[1-6]|/li)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_BLANKS = re.compile(r"\n{3,}")
_ACTIVE = re.compile(r"<(script|iframe|object|embed)\b.*?(?:</\1\s*>|/>)", re.IGNORECASE | re.DOTALL)


def given_out(html: str) -> str:
    """A stored HTML body as GetItem and MIME show it: a whole document with a meta element of its own for the charset.

    Line ends are CRLF, and no-break spaces are entities: text is equal, octets aren't.
    """
    html = _CHARSET_META.sub("", html)
    if not _ROOT.search(html):
        html = f"<html>\n<head>\n</head>\n<body>\n{html}\n</body>\n</html>\n"
    elif not _HEAD.search(html):
        html = _ROOT.sub(lambda found: found[0] + "<head></head>", html, count=1)
    html = _HEAD.sub(lambda found: f"{found[0]}\n{_META}", html, count=1)
    return with_crlf(html.replace("\u00a0", "&nbsp;"))


def filtered(html: str) -> str:
    """FilterHtmlContent: without what may run."""
    return _ACTIVE.sub("", html)


def text_of_html(html: str) -> str:
    """The text that stands for it, CRLF line ends."""
    text = _DROPPED.sub("", html)
    text = re.sub(r"\s+", " ", text)
    text = _BREAK.sub("\n", text)
    text = entities.unescape(_TAG.sub("", text)).replace("\u00a0", " ")
    lines = [line.strip() for line in text.split("\n")]
    return with_crlf(_BLANKS.sub("\n\n", "\n".join(lines)).strip("\n") + "\n")


def html_of_text(text: str) -> str:
    """A plain text item's HTML, in the wrapping that Exchange puts around it."""
    body = entities.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\n")
    return with_crlf(
        f'<html>\n<head>\n{_META}\n<meta name="Generator" content="Microsoft Exchange Server">\n'
        "<!-- converted from text -->\n<style><!-- .EmailQuote { margin-left: 1pt; padding-left: 4pt; } --></style>\n"
        '</head>\n<body>\n<font size="2"><span style="font-size:11pt;"><div class="PlainText">'
        f"{body}</div></span></font>\n</body>\n</html>\n"
    )


def with_crlf(text: str) -> str:
    return re.sub(r"\r\n|\r|\n", "\r\n", text)
