"""What happens to an HTML template once, at load: `data-line`, inlined CSS, safe links, names of pictures.

The HTML scanner and the CSS inliner don't know jinja. So its tags are masked first: in text by comments (which may
stand anywhere, also between the rows of a table), elsewhere by words; and put back at the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import css_inline

from mta.relay.stamp.html_scan import TOKEN, VOID, Token, attributes, tokens
from mta.relay.stamp.rendering import PictureSource

_STRING = r"\"(?>(?:[^\"\\]|\\.)*)\"|'(?>(?:[^'\\]|\\.)*)'"
_JINJA = re.compile(
    rf"\{{#.*?#\}}|\{{\{{(?>(?:{_STRING}|(?!\}}\}}).)*)\}}\}}"
    r"|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
    rf"|\{{%(?>(?:{_STRING}|(?!%\}}).)*)%\}}",
    re.DOTALL,
)
_MASK = re.compile(r"<!--stamplinejinja(\d+)x-->|stamplinejinja(\d+)x(?:=\"\")?")
_WORD = re.compile(r"stamplinejinja(\d+)x")
_BARE = re.compile(r"=\s*[^\s\"'>]*stamplinejinja\d+x")
_LINK = re.compile(r"(?<=\s)(?:href|src|background|action)\s*=\s*[\"']\s*stamplinejinja(\d+)x", re.IGNORECASE)
_PICTURE = re.compile(r"(?<=\s)((?:src|background)\s*=\s*)(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_KEEPS_SPACE = re.compile(r"<(?:pre|textarea)\b|white-space", re.IGNORECASE)
_INDENT = re.compile(r"\n[ \t\n]+")
_CID = re.compile(r"\"cid:([^\"]*)\"")
_AT_RULE = re.compile(r"@(?>(?:[^{};\"']|\"[^\"]*\"|'[^']*')*)(?:;|\{(?>(?:[^{}]|\{[^{}]*\})*)\})")
_CSS_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_PARSER_ADDS = frozenset(("tbody", "style"))
_TBODY = re.compile(r"</?tbody>")
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, apply_width_attributes=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a source, at a line counted from 1."""

    line: int
    what: str
    mend: str = ""


@dataclass(slots=True)
class HtmlSource:
    """One file on its way: `text` is masked, `masked` holds what the masks stand for."""

    text: str
    pictures: Sequence[PictureSource]
    masked: list[str] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    """The line of the file in which each of `masked` begins."""
    troubles: list[Trouble] = field(default_factory=list)

    def mask(self, construct: str, line: int) -> str:
        self.masked.append(construct)
        self.origins.append(line)
        return f"stamplinejinja{len(self.masked) - 1}x"

    def trouble(self, at: int, what: str, mend: str = "") -> None:
        """Note trouble at a position of the masked text."""
        self.troubles.append(Trouble(self.line(at), what, mend))

    def line(self, at: int) -> int:
        """The line of a position of the masked text, while nothing has been moved yet."""
        return self.unmasked(self.text[:at]).count("\n") + 1

    def unmasked(self, text: str) -> str:
        return _MASK.sub(lambda match: self.masked[int(match[1] or match[2])], text)

    def lines(self) -> tuple[int, ...]:
        """For each line of the unmasked text the line of the file from which the first construct on it comes."""
        found: list[int] = []
        known = 1
        for line in self.text.split("\n"):
            origins = [self.origins[int(match[1] or match[2])] for match in _MASK.finditer(line)]
            known = origins[0] if origins else known
            found.append(known)
            for match in _MASK.finditer(line):
                at = int(match[1] or match[2])
                found.extend(self.origins[at] + n for n in range(1, self.masked[at].count("\n") + 1))
        return tuple(found)

    def tokens(self) -> list[Token]:
        return list(tokens(self.text))


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
    html = _masked(source, pictures)
    _check(html)
    _name_pictures(html)
    _make_links_safe(html)
    _mark_lines(html)
    if not html.troubles:
        _inline_css(html, css)
    if not _KEEPS_SPACE.search(html.text):
        html.text = _INDENT.sub("\n", html.text)
    cids = frozenset(_CID.findall(html.text))
    return PreparedHtml(html.unmasked(html.text), cids, tuple(html.troubles), html.lines())


def style_of(source: str) -> str:
    """The CSS of a file's `<style>` elements that holds in files built upon it: all without a value in it."""
    html = _masked(source, ())
    styles = (html.text[token.start : token.end].partition(">")[2] for token in html.tokens() if _is_style(token))
    return "\n".join(style for style in styles if not _WORD.search(style))


def _is_style(token: Token) -> bool:
    return token.kind == "raw" and token.name == "style"


def _masked(source: str, pictures: Sequence[PictureSource]) -> HtmlSource:
    html = HtmlSource("", pictures)
    counted, line = 0, 1

    def mask(match: re.Match[str]) -> str:
        nonlocal counted, line
        line += source.count("\n", counted, match.start())
        counted = match.start()
        return html.mask(match[0], line)

    html.text = _JINJA.sub(mask, source)
    return html


def _check(html: HtmlSource) -> None:
    for token in html.tokens():
        written = html.text[token.start : token.end]
        if token.name == "script":
            html.trouble(token.start, "a script", "take it out: no mail program runs scripts")
        elif token.name in ("body", "html", "head") and token.kind == "open":
            html.trouble(token.start, f"<{token.name}> in a signature", "write only what goes into the body")
        elif token.name == "link":
            html.trouble(token.start, "a <link>", "put its CSS into <style>: nothing is fetched")
        elif token.kind == "open" and _BARE.search(written):
            html.trouble(token.start, "a value in an attribute without quotes", 'write it as attribute="{{ … }}"')
        elif token.kind in ("comment", "raw", "open") and token.end == len(html.text) and not written.endswith(">"):
            html.trouble(token.start, f"<{token.name or '!--'} has no end", "close it")


def _name_pictures(html: HtmlSource) -> None:
    """`src="logo.png"` becomes `src="cid:logo"`; double quotes everywhere, so that rendered cids are found."""
    by_file = {picture.filename: picture.cid for picture in html.pictures}

    def named(match: re.Match[str], at: int) -> str:
        value = match[2] or match[3] or ""
        if value in by_file:
            return f'{match[1]}"cid:{by_file[value]}"'
        if value and not re.match(r"https?:|data:|cid:|stamplinejinja", value, re.IGNORECASE):
            html.trouble(at, f"no picture {value!r}", "list its file under pictures in template.yaml")
        return f'{match[1]}"{value}"'

    out: list[str] = []
    done = 0
    for token in html.tokens():
        if token.kind == "open" and token.attributes:
            tag = html.text[token.start : token.end]
            renamed = _PICTURE.sub(lambda match, at=token.start: named(match, at), tag)  # type: ignore[misc]
            out += (html.text[done : token.start], renamed)
            done = token.end
    html.text = "".join(out) + html.text[done:]


def _make_links_safe(html: HtmlSource) -> None:
    """A link that begins with a value goes through the filter `url`, so that no value makes a `javascript:` of it."""
    for token in html.tokens():
        for match in _LINK.finditer(html.text, token.start, token.end) if token.kind == "open" else ():
            construct = html.masked[int(match[1])]
            if construct.startswith("{{"):
                inner = construct[2:-2].strip("-+")
                html.masked[int(match[1])] = "{{ (" + inner.strip() + ")|url }}"


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


def _inline_css(html: HtmlSource, more: str) -> None:
    styles = [token for token in html.tokens() if _is_style(token)]
    inherited = _split_css(more)[0]
    if not styles and not inherited.strip():
        return
    css = "\n".join(html.text[token.start : token.end].partition(">")[2] for token in styles)
    rules, kept = _split_css(css)
    rules = f"{inherited}\n{rules}"
    for token in html.tokens():
        tag = html.text[token.start : token.end]
        outside = re.sub(r"\"[^\"]*\"|'[^']*'", "", tag)
        if token.kind == "open" and _WORD.search(outside):
            html.trouble(token.start, "{% … %} between attributes", "put it inside the value of an attribute")
            return
    at = styles[0].start if styles else 0
    body = re.sub(r"</style\s*>", "", _without(html.text, styles), flags=re.IGNORECASE)
    body = _comments_in_text(body)
    try:
        inlined = _INLINER.inline_fragment(body, rules)
    except css_inline.InlineError as exc:
        html.trouble(at, f"CSS that can't be inlined: {exc}")
        return
    if "<tbody" not in body.lower():
        # The parser adds it where it stands in no one's way, which may be inside a loop.
        inlined = _TBODY.sub("", inlined)
    if inlined.count("<tbody") != body.lower().count("<tbody"):
        html.trouble(at, "tables with and without <tbody>", "write <tbody> in every table or in none")
        return
    if _shape(inlined) != _shape(body) or not set(_WORD.findall(body)) <= set(_WORD.findall(inlined)):
        mend = "close every element, and keep rows in tables"
        html.trouble(at, "CSS can't be inlined into HTML that isn't well-formed", mend)
        return
    html.text = (f"<style>{kept}</style>\n" if kept else "") + inlined


def _split_css(css: str) -> tuple[str, str]:
    """Rules to inline, and the at-rules (`@media`) that have to stay."""
    css = _CSS_COMMENT.sub("", css)
    kept = "\n".join(rule.strip() for rule in _AT_RULE.findall(css) if not rule.startswith(("@import", "@charset")))
    return _AT_RULE.sub("", css), kept


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
        out.append(_WORD.sub(r"<!--\g<0>-->", piece) if is_text else piece)
    return "".join(out)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    at = 0
    for match in TOKEN.finditer(text):
        yield text[at : match.start()], True
        yield match[0], False
        at = match.end()
    yield text[at:], True


def _shape(text: str) -> tuple[list[str], Counter[str]]:
    """What inlining must not change: the masks in text, in order, and how often each element stands there."""
    masks = re.findall(r"<!--(stamplinejinja\d+x)-->", text)
    opened = (token.name for token in tokens(text) if token.kind in ("open", "raw"))
    return masks, Counter(name for name in opened if name not in _PARSER_ADDS)
