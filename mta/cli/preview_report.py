"""What there is to say about a template's result: missing values, its size, what mail programs make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mta.message.html.scan import attributes, tokens
from mta.message.structure import Picture
from mta.relay.stamp.templates.template_set import TemplateSet
from mta.relay.stamp.templates.values import Missing, Values

CLIPPED_AT = 100_000
"""Octets of HTML; Gmail hides what is beyond some 102 kB of a message."""
LONG_AT = 20_000
PICTURES_AT = 200_000
WIDEST = 650
_WIDTH = re.compile(r"(?:^|;)\s*(?:min-)?width\s*:\s*(\d+)px", re.IGNORECASE)
_UNSEEN = re.compile(
    r"(?:display\s*:\s*(?:inline-)?(?:flex|grid)|position\s*:\s*(?:absolute|fixed|sticky)|background(?:-image)?\s*:[^;]*url\()",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Lack:
    """A value that the template reads and that this person doesn't have."""

    value: str
    file: str
    line: int
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.value} has no value; {self.instead}"


def lacks(templates: TemplateSet, name: str, values: Mapping[str, object]) -> list[Lack]:
    """Every place at which a value is missing or empty."""
    missing = templates.template(name).missing
    found = []
    for use in templates.uses(name):
        base, _, attribute = use.value.partition(".")
        known = values.get(base)
        if isinstance(known, Values) and base != "banner" and not _has(known, attribute):
            found.append(Lack(use.value, use.file, use.line, _instead(missing, use.value)))
    return found


def _has(values: Values, attribute: str) -> bool:
    return bool(values.photo()) if attribute == "photo" else bool(values.look_up(attribute).strip())


def _instead(missing: Missing, value: str) -> str:
    if value in missing.defaults:
        return f"{missing.defaults[value]!r} stands for it"
    if missing.all_required or value in missing.required:
        return "the template fails where it is printed"
    return "it is empty, and a line that prints it vanishes"


def warnings(html: str, text: str, pictures: tuple[Picture, ...]) -> Iterator[str]:
    """What readers or their programs will not like."""
    octets = len(html.encode())
    if octets > CLIPPED_AT:
        yield f"{octets / 1000:.0f} kB of HTML: Gmail clips messages of more than 102 kB"
    elif octets > LONG_AT:
        yield f"{octets / 1000:.0f} kB of HTML: every reply of a conversation grows by it"
    weight = sum(len(picture.data) for picture in pictures)
    if weight > PICTURES_AT:
        yield f"{weight / 1000:.0f} kB of pictures go with every message"
    if html and not text:
        yield "no text: readers of plain text see nothing"
    said: set[str] = set()
    for warning in _of_elements(html):
        if warning not in said:
            said.add(warning)
            yield warning


def _of_elements(html: str) -> Iterator[str]:
    for token in tokens(html):
        if token.kind != "open":
            continue
        given = attributes(token.attributes)
        style = given.get("style", "")
        if "display: none" in style:
            continue
        for width in (given.get("width", ""), *_WIDTH.findall(style)):
            if width.isdecimal() and int(width) > WIDEST:
                yield f"<{token.name}> is {width} pixels wide: more than {WIDEST} runs over in reading panes"
        if unseen := _UNSEEN.search(style):
            yield f"Outlook on Windows ignores {unseen[0].strip('(')!r} of <{token.name}>"
        if token.name == "img":
            yield from _of_picture(given)
        if given.get("href", "").lower().startswith("http:"):
            yield f"a link without encryption: {given['href'][:80]}"


def _of_picture(given: Mapping[str, str]) -> Iterator[str]:
    source = given.get("src", "")
    shown = source.split("-")[0] if source.startswith("cid:") else source[:80]
    if "alt" not in given:
        yield f'picture {shown} has no alt: write what it says, or alt="" for decoration'
    if not given.get("width", "").isdecimal():
        yield f"picture {shown} has no width in pixels: Outlook shows it in its own size"
    if source.startswith("http"):
        yield f"picture {shown} is linked: most programs ask readers before they fetch it"
