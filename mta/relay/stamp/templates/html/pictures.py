"""Pictures in a template's HTML: called by cid, and with a dark one beside where there is one."""

from __future__ import annotations

import re

from mta.relay.stamp.templates.html.masks import HtmlSource
from mta.relay.stamp.templates.pictures import DARK

_PICTURE = re.compile(r"(?<=\s)((?:src|background)\s*=\s*)(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_ELSEWHERE = re.compile(r"https?:|data:|cid:|stamplinejinja", re.IGNORECASE)
_SOURCE = re.compile(r"\bsrc=\"cid:([^\"]*)\"", re.IGNORECASE)
_CLASS = re.compile(r"\sclass\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_STYLE = re.compile(r"\sstyle\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_DISPLAY = re.compile(r"(?:^|;)\s*display\s*:\s*([a-z-]+)[^;]*", re.IGNORECASE)
_SHEET = (
    "@media (prefers-color-scheme: dark) {{ .sl-if-light {{ display: none !important }} "
    ".sl-if-dark {{ display: {0} !important }} }}\n"
    "[data-ogsc] .sl-if-light {{ display: none !important }} [data-ogsc] .sl-if-dark {{ display: {0} !important }}"
)


def name_pictures(html: HtmlSource) -> None:
    """`src="logo.png"` becomes `src="cid:logo"`; double quotes everywhere, so that rendered cids are found."""
    by_file = {picture.filename: picture.cid for picture in html.pictures}

    def named(match: re.Match[str], at: int) -> str:
        value = match[2] or match[3] or ""
        if value in by_file:
            return f'{match[1]}"cid:{by_file[value]}"'
        if value and not _ELSEWHERE.match(value):
            html.trouble(at, f"no picture {value!r}", "list its file under pictures in template.yaml")
        return f'{match[1]}"{value}"'

    out: list[str] = []
    done = 0
    for token in html.tags():
        if token.kind == "open" and token.attributes:
            tag = html.text[token.start : token.end]
            renamed = _PICTURE.sub(lambda match, at=token.start: named(match, at), tag)  # type: ignore[misc]
            out += (html.text[done : token.start], renamed)
            done = token.end
    html.text = "".join(out) + html.text[done:]


def add_dark_pictures(html: HtmlSource) -> str:
    """Put the dark picture behind each that has one, hidden; the style sheet that shows it is what is returned.

    Programs that drop style sheets show the light one, and so does Outlook, which is told by a comment.
    """
    dark = {picture.cid.removesuffix(DARK) for picture in html.pictures if picture.cid.endswith(DARK)}
    out: list[str] = []
    done = 0
    display = "inline"
    for token in html.tokens():
        tag = html.text[token.start : token.end]
        source = _SOURCE.search(tag) if token.kind == "open" and token.name == "img" else None
        if source is None or source[1] not in dark:
            continue
        style = _value(_STYLE, tag)
        if shown := _DISPLAY.search(style):
            display = shown[1]
        hidden = f"{_DISPLAY.sub('', style).strip('; ')}; display: none; mso-hide: all".lstrip("; ")
        other = tag.replace(source[0], f'src="cid:{source[1]}{DARK}"')
        other = _with(_with(other, _STYLE, "style", hidden), _CLASS, "class", f"{_value(_CLASS, tag)} sl-if-dark")
        light = _with(tag, _CLASS, "class", f"{_value(_CLASS, tag)} sl-if-light")
        out += (html.text[done : token.start], light, "<!--[if !mso]><!-->", other, "<!--<![endif]-->")
        done = token.end
    html.text = "".join(out) + html.text[done:]
    return _SHEET.format(display) if done else ""


def _value(attribute: re.Pattern[str], tag: str) -> str:
    found = attribute.search(tag)
    return (found[1] or found[2] or "") if found else ""


def _with(tag: str, attribute: re.Pattern[str], name: str, value: str) -> str:
    bare = attribute.sub("", tag, count=1)
    return f'{bare[:4]} {name}="{value.strip()}"{bare[4:]}'
