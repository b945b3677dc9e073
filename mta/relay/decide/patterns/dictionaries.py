"""Dictionaries: words and patterns with weights, in files of their own below the folder of the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from mta.config.load import validate
from mta.config.problems import ConfigurationError, Problem
from mta.config.texts import Texts
from mta.config.types import Strict
from mta.config.yaml_values import Document, Loc, read_document
from mta.message.patterns.text_patterns import (
    Pattern,
    PatternBank,
    PatternError,
    Text,
    compile_keywords,
    compile_phrases,
    compile_regex,
)

COUNT_MAX = 1000
"""Matches of one entry that are counted."""
ENTRIES_MAX = 5000


class DictionaryEntry(Strict):
    """Words of one weight; each of them counts by itself."""

    phrase: Texts | None = None
    keywords: Texts | None = None
    regex: Texts | None = None
    weight: Annotated[int, Field(ge=-1000, le=1000)] = 1
    count: Literal["once", "each"] = "once"
    """`each`: the weight counts as often as the words stand in the text."""
    most: Annotated[int, Field(ge=1, le=COUNT_MAX)] = COUNT_MAX
    """With `each`: how often at most."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.phrase is None and self.keywords is None and self.regex is None:
            raise ValueError("says nothing | write one or more of phrase, keywords, regex")
        return self


class DictionaryFile(Strict):
    """One dictionary."""

    entries: Annotated[tuple[DictionaryEntry, ...], Field(min_length=1)]


class Score(NamedTuple):
    """The sum of the weights, and what was found how often."""

    weight: int
    found: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    pattern: Pattern
    weight: int
    most: int


class Dictionary:
    """A compiled dictionary."""

    def __init__(self, name: str, words: Sequence[_Word]) -> None:
        self.name = name
        self._words = tuple(words)
        self._bank = PatternBank()
        for word in words:
            self._bank.add(word.pattern)

    def score(self, text: Text) -> Score:
        """What the text comes to; several tests of one message are answered from one count."""
        known: Score | None = text.known.get(self)
        if known is None:
            known = text.known[self] = self._score(text)
        return known

    def _score(self, text: Text) -> Score:
        total = 0
        found: list[tuple[str, int]] = []
        for number in sorted(self._bank.hits(text)):
            word = self._words[number]
            count = 1 if word.most == 1 else word.pattern.count(text, word.most)
            total += word.weight * count
            found.append((word.text, count))
        return Score(total, tuple(found))


def read_dictionary(path: Path, name: str) -> Dictionary:
    """Read one file. Raises ConfigurationError with all its problems."""
    located = validate(read_document(path), DictionaryFile)
    problems: list[Problem] = []
    words = [
        word
        for n, entry in enumerate(located.value.entries)
        for word in _words(entry, ("entries", n), located.document, problems)
    ]
    if len(words) > ENTRIES_MAX:
        problems.append(located.problem(("entries",), f"more than {ENTRIES_MAX} words", "split the dictionary"))
    if problems:
        raise ConfigurationError(problems)
    return Dictionary(name, words)


def _words(entry: DictionaryEntry, loc: Loc, document: Document, problems: list[Problem]) -> Iterator[_Word]:
    most = entry.most if entry.count == "each" else 1
    for key, compile_one in (("phrase", _phrase), ("keywords", _keyword), ("regex", compile_regex)):
        texts: tuple[str, ...] = getattr(entry, key) or ()
        for n, text in enumerate(texts):
            try:
                yield _Word(text, compile_one(text), entry.weight, most)
            except PatternError as exc:
                problems.append(document.problem((*loc, key, n), str(exc), exc.mend))


def _phrase(text: str) -> Pattern:
    return compile_phrases([_looked_for(text)])


def _keyword(text: str) -> Pattern:
    return compile_keywords([_looked_for(text)])


def _looked_for(text: str) -> str:
    if not text.strip(" *?"):
        raise PatternError(f"{text!r} would match any text", "write the words to look for")
    return text
