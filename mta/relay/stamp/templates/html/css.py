"""CSS of a template: rules go into the elements' own styles, at load; what has to stay a style sheet stays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import css_inline

from mta.message.html.scan import TOKEN, Token, tokens
from mta.relay.stamp.templates.html.masks import WORD, HtmlSource, masked_html

_AT_RULE = re.compile(r"@(?>(?:[^{};\"']|\"[^\"]*\"|'[^']*')*)(?:;|\{(?>(?:[^{}]|\{[^{}]*\})*)\})")
_KEPT_RULE = re.compile(r"[^{}]*(?:\[data-og|:hover|:visited)[^{}]*\{[^{}]*\}")
"""Rules that mean something in a style sheet only: Outlook.com's dark mode, states of links."""
_CSS_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_COMMENT = re.compile(r"<!--stamplinejinja(\d+)x-->")
_BLOCK = re.compile(r"\{%[-+]?\s*(?:block|endblock|extends)\b")
_PARSER_ADDS = frozenset(("tbody", "style"))
_END_IS_OPTIONAL = frozenset(
    ("style", "p", "li", "td", "th", "tr", "dt", "dd", "tbody", "thead", "tfoot", "option", "colgroup")
)
_TBODY = re.compile(r"</?tbody>")
_AROUND = (("", ""), ("<table><tbody>", "</tbody></table>"), ("<table><tbody><tr>", "</tr></tbody></table>"))
"""Elements without which an HTML parser drops rows and cells."""
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, apply_width_attributes=False)


def style_of(source: str) -> str:
    """The CSS of a file's `<style>` elements that holds in files built upon it: all without a value in it."""
    html = masked_html(source, ())
    sheets = (html.text[token.start : token.end].partition(">")[2] for token in html.tokens() if _is_style(token))
    return "\n".join(sheet for sheet in sheets if not WORD.search(sheet))


def _is_style(token: Token) -> bool:
    return token.kind == "raw" and token.name == "style"


def inline_css(html: HtmlSource, more: str, added: str = "") -> None:
    """Inline the file's own rules, after those of `more`; `added` is a style sheet to keep as it is."""
    styles = [token for token in html.tokens() if _is_style(token)]
    at = styles[0].start if styles else 0
    rules, kept = _split_css("\n".join(html.text[token.start : token.end].partition(">")[2] for token in styles))
    rules = f"{_split_css(more)[0]}\n{rules}"
    if styles or rules.strip():
        for token in html.tokens():
            if token.kind == "open" and WORD.search(outside_quotes(html.text[token.start : token.end])):
                html.trouble(token.start, "{% … %} between attributes", "put it inside the value of an attribute")
                return
        body = re.sub(r"</style\s*>", "", _without(html.text, styles), flags=re.IGNORECASE)
        inlined = _inlined(html, _comments_in_text(body), rules)
        if inlined is None:
            mend = "close every element, keep rows in tables, and write <tbody> in every table or in none"
            html.trouble(at, "CSS can't be inlined into HTML that isn't well-formed", mend)
            return
        html.text = inlined
    kept = f"{kept}\n{added}".strip()
    if kept:
        html.text = f"<style>{kept}</style>\n{html.text}"


def outside_quotes(tag: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", "", tag)


def _inlined(html: HtmlSource, body: str, rules: str) -> str | None:
    """The body with the rules in its elements; None where the inliner would change its shape.

    A file that fills blocks of another one holds pieces of HTML, each of which may belong into another element.
    """
    whole = _inlined_piece(body, rules)
    if whole is not None:
        return whole
    pieces: list[str | None] = []
    at = 0
    for match in _COMMENT.finditer(body):
        if _BLOCK.match(html.masked[int(match[1])]):
            pieces += (_inlined_piece(body[at : match.start()], rules), match[0])
            at = match.end()
    pieces.append(_inlined_piece(body[at:], rules))
    return None if None in pieces else "".join(piece for piece in pieces if piece is not None)


def _inlined_piece(body: str, rules: str) -> str | None:
    if "<" not in body:
        return body
    for before, after in _AROUND:
        try:
            inlined = _INLINER.inline_fragment(f"{before}{body}{after}", rules)
        except css_inline.InlineError:
            return None
        if before:
            inlined = _unwrapped(inlined, before.count("<"))
        if "<tbody" not in body.lower():
            # The parser adds it where it stands in no one's way, which may be inside a loop.
            inlined = _TBODY.sub("", inlined)
        same_bodies = inlined.count("<tbody") == body.lower().count("<tbody")
        if same_bodies and _shape(inlined) == _shape(body) and set(WORD.findall(body)) <= set(WORD.findall(inlined)):
            return inlined
    return None


def _unwrapped(inlined: str, depth: int) -> str:
    """Without the first and the last tags, which the rules may have given styles."""
    found = [token for token in tokens(inlined) if token.kind in ("open", "close")]
    return inlined[found[depth - 1].end : found[-depth].start] if len(found) >= 2 * depth else ""


def _split_css(css: str) -> tuple[str, str]:
    """Rules to inline, and those that have to stay (`@media`)."""
    css = _CSS_COMMENT.sub("", css)
    kept = [rule for rule in _AT_RULE.findall(css) if not rule.startswith(("@import", "@charset"))]
    css = _AT_RULE.sub("", css)
    kept += _KEPT_RULE.findall(css)
    return _KEPT_RULE.sub("", css), "\n".join(rule.strip() for rule in kept)


def _without(text: str, spans: Sequence[Token]) -> str:
    out: list[str] = []
    at = 0
    for token in spans:
        out.append(text[at : token.start])
        at = token.end
    return "".join(out) + text[at:]


def _comments_in_text(text: str) -> str:
    """Words that stand in text become comments; those in tags, comments and raw text stay words."""
    out: list[str] = []
    for piece, is_text in _pieces(text):
        out.append(WORD.sub(r"<!--\g<0>-->", piece) if is_text else piece)
    return "".join(out)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    for match in TOKEN.finditer(text):
        yield text[at : match.start()], True
        yield match[0], False
        at = match.end()
    yield text[at:], True


def _shape(text: str) -> tuple[list[str], Counter[str], Counter[str]]:
    """What inlining must not change: the masks in text, in order, and how often each element stands there.

    End tags count for elements that must have one; a parser adds the others where they are left out.
    """
    found = list(tokens(text))
    opened = (token.name for token in found if token.kind in ("open", "raw") and token.name not in _PARSER_ADDS)
    closed = (token.name for token in found if token.kind == "close" and token.name not in _END_IS_OPTIONAL)
    return _COMMENT.findall(text), Counter(opened), Counter(closed)
