"""How servers and clients write a text anew without anybody having edited it.

Seen in Exchange 2016 to 2019 and Exchange Online (bodies asked for as HTML or text, and the MIME that it makes of its
items), Outlook, and IMAP clients that keep format=flowed.
"""

from __future__ import annotations

import html as markup
import re
import textwrap
from collections.abc import Callable
from typing import Any

from lxml import etree
from lxml import html as documents

_TEXT_NODE = re.compile(r">([^<>]+)<")
_URL = re.compile(r"https?://[^\s<>\"]+")


def parsed(source: str) -> Any | None:
    """The document as browsers see it; None where there is none."""
    clean = "".join(c for c in source if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff"))
    clean = re.sub(r"^\s*<\?xml[^>]*>", "", clean)
    try:
        return documents.document_fromstring(clean) if clean.strip() else None
    except (etree.ParserError, ValueError):
        return None


# --- HTML to HTML -----------------------------------------------------------------------------------------------------


def serialised(source: str) -> str:
    """Every tag closed, entities as characters."""
    tree = parsed(source)
    return source if tree is None else str(documents.tostring(tree, encoding="unicode"))


def with_entities(source: str) -> str:
    """Characters beyond ASCII as entities, spaces that don't break as such."""
    return "".join(c if ord(c) < 128 else f"&#{ord(c)};" for c in source)


def wrapped_source(source: str) -> str:
    """Lines of the source broken anew at spaces, as quoted-printable writers and Word like it."""

    def wrapped(match: re.Match[str]) -> str:
        text = match[1]
        lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        inner = "\r\n".join(textwrap.wrap(text, 60, break_long_words=False, break_on_hyphens=False))
        return f">{lead}{inner}{trail}<"

    return _outside_of_scripts(source, lambda piece: _TEXT_NODE.sub(wrapped, piece))


def in_word_section(source: str) -> str:
    """Head and styles of Word's around it, a hidden comment, an empty paragraph behind it."""
    head = (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name="Generator" content="Microsoft Word '
        '15 (filtered medium)"><style><!-- @font-face {font-family:"Cambria Math"} p.MsoNormal {margin:0cm} --></style>'
        '<!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]--></head>'
    )
    body = (
        f'<body lang="EN-GB"><div class="WordSection1">{source}<p class="MsoNormal"><o:p>&nbsp;</o:p></p></div></body>'
    )
    return head + body + "</html>"


def _outside_of_scripts(source: str, change: Callable[[str], str]) -> str:
    pieces = re.split(
        r"(?is)(<(?:style|script|title|pre|textarea|xmp)\b.*?</(?:style|script|title|pre|textarea|xmp)\s*>|<!--.*?-->)",
        source,
    )
    return "".join(piece if number % 2 else change(piece) for number, piece in enumerate(pieces))


# --- plain text to HTML, and HTML to plain text -----------------------------------------------------------------------


def html_of_text(text: str) -> str:
    """As Exchange shows a plain text where HTML is asked for."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = markup.escape(line, quote=True).replace("  ", "&nbsp; ").replace("\t", "&nbsp;&nbsp; ")
        lines.append(_URL.sub(lambda match: f'<a href="{match[0]}">{match[0]}</a>', shown))
    inner = "<br>\r\n".join(lines)
    return (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body><font size="2">'
        f'<span style="font-size:11pt;"><div class="PlainText">{inner}</div></span></font></body></html>'
    )


_BLOCKS = frozenset("p div table tr ul ol blockquote h1 h2 h3 h4 h5 h6 pre center form hr dl dt dd address".split())  # noqa: SIM905
_UNSEEN = frozenset("head style script title template".split())  # noqa: SIM905


def text_of_html(source: str) -> str:
    """As Exchange makes plain text: signs of lists, links' targets and pictures in brackets, cells by tabs."""
    tree = parsed(source)
    if tree is None:
        return ""
    pieces: list[str] = []
    _write(tree, pieces)
    text = "".join(pieces).replace("\xa0", " ")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip().replace("\n", "\r\n") + "\r\n"


def _write(node: Any, pieces: list[str]) -> None:
    if not isinstance(node.tag, str):
        return
    name = node.tag.lower()
    if name in _UNSEEN:
        return
    if name in _BLOCKS or name == "br":
        pieces.append("\n")
    if name == "li":
        is_numbered = node.getparent() is not None and node.getparent().tag == "ol"
        pieces.append(f"\n  {len(node.xpath('preceding-sibling::li')) + 1}.  " if is_numbered else "\n  *   ")
    if name == "hr":
        pieces.append("________________________________\n")
    if name == "img" and (node.get("src") or "").startswith("cid:"):
        pieces.append(f"[{node.get('src')}]")
    pieces.append(_spaced(node.text))
    for child in node:
        _write(child, pieces)
        pieces.append(_spaced(child.tail))
    if name == "a" and (node.get("href") or "").startswith(("http:", "https:", "mailto:")):
        pieces.append(f"<{''.join(node.get('href').split())}>".replace("<", "<", 1))
    if name in ("td", "th"):
        pieces.append("\t")
    if name in _BLOCKS or name == "li":
        pieces.append("\n")


def _spaced(text: str | None) -> str:
    return re.sub(r"[ \t\r\n\f]+", " ", text or "")


# --- plain text to plain text -----------------------------------------------------------------------------------------


def flowed(text: str) -> str:
    """format=flowed: broken at 72, a space at each soft end."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        pieces = textwrap.wrap(line, 72, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"{piece} " for piece in pieces[:-1]] + [pieces[-1]]
    return "\r\n".join(f" {line}" if line.startswith((" ", "From ")) else line for line in lines)


def ends_trimmed(text: str) -> str:
    """No spaces at the ends of lines, no empty lines at the end, one at most between others."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def without_breaking(text: str) -> str:
    """Two spaces in a row as one that doesn't break and another."""
    return text.replace("  ", "\xa0 ")


OF_HTML: tuple[Callable[[str], str], ...] = (serialised, with_entities, wrapped_source, in_word_section)
OF_TEXT: tuple[Callable[[str], str], ...] = (flowed, ends_trimmed, without_breaking)
