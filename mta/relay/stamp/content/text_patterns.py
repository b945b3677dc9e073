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

    def __init__(self, compiled: Any, text_of: Callable[[Any], str]) -> None:
        self._compiled = compiled
        self._text_of = text_of

    def find(self, text: str) -> Iterator[Found]:
        """Every match that is not empty, in order. Raises TooManyError."""
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
                yield Found(start, end, self._text_of(match))
                continue
            characters += len(octets[done:start].decode("utf_8"))
            done = start
            yield Found(characters, characters + len(octets[start:end].decode("utf_8")), self._text_of(match))

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
        return TextPattern(compiled, lambda match: masked(match[0].decode("utf_8"), action.mask, action.keep_last))
    if not action.is_regex:
        return TextPattern(compiled, lambda match: action.replacement)
    return TextPattern(compiled, lambda match: _expanded(action.replacement, match))


def masked(text: str, mask: str, keep_last: int) -> str:
    """Letters and digits replaced but for the last ones; what stands between them stays."""
    characters = list(text)
    places = [place for place, character in enumerate(characters) if _WORD.match(character)]
    for place in places[: max(0, len(places) - keep_last)]:
        characters[place] = mask
    return "".join(characters)


def _expanded(template: str, match: Any) -> str:
    """`\\\\1` is what the first group matched, `\\\\\\\\` a backslash."""

    def value(reference: re.Match[str]) -> str:
        if reference[1] == "\\":
            return "\\"
        return (match[int(reference[1])] or b"").decode("utf_8", "replace")

    return _REFERENCE.sub(value, template) if "\\" in template else template


def highest_reference(template: str) -> int:
    """The highest group that a replacement names; 0 for none."""
    return max((int(found) for found in _REFERENCE.findall(template) if found != "\\"), default=0)
