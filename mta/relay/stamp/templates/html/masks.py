"""HTML with jinja in it, as the HTML scanner and the CSS inliner can read it.

They don't know jinja. So its constructs are masked: in tags, comments and raw text by words, and in text by comments
before CSS is inlined, which may stand anywhere, also between the rows of a table. They are put back at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mta.message.html.scan import Token, tokens
from mta.relay.stamp.templates.rendering import PictureSource

_STRING = r"\"(?>(?:[^\"\\]|\\.)*)\"|'(?>(?:[^'\\]|\\.)*)'"
_JINJA = re.compile(
    rf"\{{#.*?#\}}|\{{\{{(?>(?:{_STRING}|(?!\}}\}}).)*)\}}\}}"
    r"|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
    rf"|\{{%(?>(?:{_STRING}|(?!%\}}).)*)%\}}",
    re.DOTALL,
)
MASK = re.compile(r"<!--stamplinejinja(\d+)x-->|stamplinejinja(\d+)x(?:=\"\")?")
WORD = re.compile(r"stamplinejinja(\d+)x")
_CONDITION = re.compile(r"<!--\[if[^\]]*\]>", re.IGNORECASE)


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
        return MASK.sub(lambda match: self.masked[int(match[1] or match[2])], text)

    def lines(self) -> tuple[int, ...]:
        """For each line of the unmasked text the line of the file from which the first construct on it comes."""
        found: list[int] = []
        known = 1
        for line in self.text.split("\n"):
            origins = [self.origins[int(match[1] or match[2])] for match in MASK.finditer(line)]
            known = origins[0] if origins else known
            found.append(known)
            for match in MASK.finditer(line):
                at = int(match[1] or match[2])
                found.extend(self.origins[at] + n for n in range(1, self.masked[at].count("\n") + 1))
        return tuple(found)

    def tokens(self) -> list[Token]:
        return list(tokens(self.text))

    def tags(self) -> Iterator[Token]:
        """Start tags, those in conditional comments too, which Outlook reads."""
        for token in self.tokens():
            if token.kind in ("open", "raw"):
                yield token
            elif token.kind == "comment" and (condition := _CONDITION.match(self.text, token.start)):
                inner = tokens(self.text, condition.end(), token.end)
                yield from (tag for tag in inner if tag.kind == "open" and tag.end <= token.end)

    def is_value(self, word: re.Match[str]) -> bool:
        """Whether a mask stands for something printed, `{{ … }}`."""
        return self.masked[int(word[1])].startswith("{{")

    def wrap(self, word: re.Match[str], name: str) -> None:
        """Send what is printed there through a filter."""
        at = int(word[1])
        self.masked[at] = "{{ (" + self.masked[at][2:-2].strip("-+").strip() + ")|" + name + " }}"


def masked_html(source: str, pictures: Sequence[PictureSource]) -> HtmlSource:
    html = HtmlSource("", pictures)
    counted, line = 0, 1

    def mask(match: re.Match[str]) -> str:
        nonlocal counted, line
        line += source.count("\n", counted, match.start())
        counted = match.start()
        return html.mask(match[0], line)

    html.text = _JINJA.sub(mask, source)
    return html
