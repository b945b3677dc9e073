"""What to look for in texts and what to put in its place: RE2, so that no message can make it slow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from mta.model.actions import ReplaceText

MATCHES_MAX = 10_000
_REFERENCE = re.compile(r"\\([0-9\\])")
_WORD = re.compile(r"[^\W_]")


class TooManyError(Exception):
    """More matches than one text may have."""


class Found(NamedTuple):
    """A match: from character `start` up to `end`; `text` is what is to stand there."""

    start: int
    end: int
    text: str


class TextPattern:
    """The compiled form of a replace-text action."""

    def __init__(self, compiled: Any, text_of: Callable[[Any, str], str]) -> None:
        self._compiled = compiled
        self._text_of = text_of

    def find(self, text: str, covered: str = "") -> Iterator[Found]:
        """Every match that is not empty, in order; what groups give is taken from `covered`. Raises TooManyError."""
        covered = covered or text
        octets = text.encode("utf_8", "replace")
        if self._compiled.search(octets) is None:
            return
        is_ascii = len(octets) == len(text)
        done = characters = count = 0
        for match in self._compiled.finditer(octets):
            start, end = match.span()
            if start == end:
                continue
            count += 1
            if count > MATCHES_MAX:
                raise TooManyError(f"more than {MATCHES_MAX} matches")
            if is_ascii:
                yield Found(start, end, self._text_of(match, covered[start:end]))
                continue
            characters += len(octets[done:start].decode("utf_8"))
            done = start
            last = characters + len(octets[start:end].decode("utf_8"))
            yield Found(characters, last, self._text_of(match, covered[characters:last]))

    def replace(self, text: str) -> str:
        """The text with every match replaced. Raises TooManyError."""
        pieces = []
        done = 0
        for start, end, replacement in self.find(text):
            pieces += [text[done:start], replacement]
            done = end
        return "".join([*pieces, text[done:]]) if pieces else text


@lru_cache(maxsize=1024)
def text_pattern(action: ReplaceText, *, in_lines: bool) -> TextPattern:
    """`in_lines`: white space of literal text matches inside of a line only, for a line end is another paragraph's."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    if action.is_regex:
        pattern = action.find
    else:
        space = r"[^\S\n]+" if in_lines else r"\s+"
        pattern = space.join(re2.escape(word) for word in action.find.split())
    compiled = re2.compile(pattern, options)
    if action.mask:
        return TextPattern(compiled, lambda match, _: masked(match[0].decode("utf_8"), action.mask, action.keep_last))
    if not action.is_regex:
        return TextPattern(compiled, lambda match, _: action.replacement)
    return TextPattern(compiled, lambda match, covered: _expanded(action.replacement, match, covered))


def masked(text: str, mask: str, keep_last: int) -> str:
    """Letters and digits replaced but for the last ones; what stands between them stays."""
    characters = list(text)
    places = [place for place, character in enumerate(characters) if _WORD.match(character)]
    for place in places[: max(0, len(places) - keep_last)]:
        characters[place] = mask
    return "".join(characters)


def _expanded(template: str, match: Any, covered: str) -> str:
    """`\\\\1` is what the first group matched, of what the match shows now; `\\\\\\\\` is a backslash."""

    def value(reference: re.Match[str]) -> str:
        if reference[1] == "\\":
            return "\\"
        start, end = match.span(int(reference[1]))
        if start < 0:
            return ""
        before = len(match[0][: start - match.start()].decode("utf_8"))
        return covered[before : before + len(match[0][start - match.start() : end - match.start()].decode("utf_8"))]

    return _REFERENCE.sub(value, template) if "\\" in template else template
