"""Text patterns of the rules: wildcards, phrases, keywords and regexes, all run by RE2 in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import re2

from mta.message.patterns import required_text

PATTERN_MAX = 2000
"""Characters of one regex."""
_MEMORY_MAX = 8 << 20
_BANK_MEMORY_MAX = 16 << 20
_BANK_MIN = 3
"""Patterns from which on one pass for all is quicker."""
_CHUNK = 50
"""Texts in one regex."""
_UNSUPPORTED = (
    (re.compile(r"\(\?<?[=!]"), "RE2 has no lookahead or lookbehind; use unless, or two conditions under all"),
    (re.compile(r"\\[1-9]|\(\?P="), "RE2 has no back-references; write the alternatives out"),
    (re.compile(r"\(\?>|[*+?}]\+"), "RE2 has no atomic groups or possessive repeats, and needs none: remove them"),
)


class Text:
    """A text that many patterns are looked for in; what they all need is worked out once."""

    __slots__ = ("_folded", "_octets", "known", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.known: dict[object, Any] = {}
        """What those who looked into it found, by who they are."""
        self._folded: str | None = None
        self._octets: bytes | None = None

    @property
    def folded(self) -> str:
        """Case folded."""
        if self._folded is None:
            self._folded = self.text.casefold()
        return self._folded

    @property
    def octets(self) -> bytes:
        """UTF-8. RE2 takes no lone surrogates, which decoded mail may hold; they become `?`."""
        if self._octets is None:
            self._octets = self.text.encode("utf-8", "replace")
        return self._octets


class Match(Protocol):
    """A place where a pattern fits, counted in octets of UTF-8."""

    def group(self, group: int = 0, /) -> bytes: ...

    def start(self, group: int = 0, /) -> int: ...

    def end(self, group: int = 0, /) -> int: ...


class Pattern(Protocol):
    @property
    def gate(self) -> tuple[str, bool]:
        """A regex that is found wherever the pattern is, cheap among many; and whether that is enough to know."""
        ...

    def search(self, text: str) -> Match | None:
        """A match, or None."""
        ...

    def find(self, text: Text) -> Match | None:
        """The same in a text that others look into, too."""
        ...

    def count(self, text: Text, most: int) -> int:
        """How many matches there are beside each other; no more than `most` are looked for."""
        ...


class PatternError(ValueError):
    """A regex that can't be used; `mend` says what to write instead."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


def _options(*, ignore_case: bool = True) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.max_mem = _MEMORY_MAX
    return options


def compile_regex(text: str) -> Pattern:
    """A regex as written in a rule: case-insensitive (`(?-i)` changes that), found anywhere. Raises PatternError."""
    if len(text) > PATTERN_MAX:
        raise PatternError(f"regex is longer than {PATTERN_MAX} characters", "split it into several conditions")
    try:
        needed = required_text.in_regex(text)
        return _Regex(text, (needed,) if needed else ())
    except re2.error as exc:
        for sign, mend in _UNSUPPORTED:
            if sign.search(text):
                raise PatternError(f"regex {text!r} is not RE2", mend) from exc
        reason = exc.args[0] if exc.args else "error"
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"regex {text!r}: {reason}", "see RE2's syntax page") from exc


class FieldPattern:
    """A regex whose groups have names: those of the values that it finds."""

    __slots__ = ("_compiled", "names")

    def __init__(self, text: str) -> None:
        """Raises PatternError, as `compile_regex` does, and for a regex without a named group."""
        compile_regex(text)
        self._compiled: Any = re2.compile(text, _options())
        self.names: tuple[str, ...] = tuple(
            name.decode() if isinstance(name, bytes) else name for name in self._compiled.groupindex
        )
        if not self.names:
            raise PatternError(f"regex {text!r} has no group with a name", "write (?P<order>[0-9]+)")

    def groups_in(self, text: Text) -> dict[str, str]:
        """The groups of the first match that took part in it, by name."""
        match = self._compiled.search(text.octets)
        if match is None:
            return {}
        found = ((name, match.group(name)) for name in self.names)
        return {name: value.decode("utf-8", "replace") for name, value in found if value is not None}


class _Regex:
    """A compiled pattern; text without any of `needed` (case folded) has no match. Empty: nothing is known."""

    __slots__ = ("_compiled", "_needed", "_words", "gate")

    def __init__(self, regex: str, needed: tuple[str, ...], words: int = 0) -> None:
        """`words` is the group that holds what was looked for, where the match holds more than that."""
        # Literals rather than the regex: what makes out words is large, and a set of many would be huge.
        self.gate = ("|".join(map(re2.escape, needed)), False) if needed else (regex, True)
        self._compiled: Any = re2.compile(regex, _options())
        self._needed = needed
        self._words = words

    def search(self, text: str) -> Match | None:
        if self._needed:
            folded = text.casefold()
            if not any(needed in folded for needed in self._needed):
                return None
        # RE2 takes no lone surrogates, which decoded mail may hold; they become `?`.
        found: Match | None = self._compiled.search(text.encode("utf-8", "replace"))
        return found

    def find(self, text: Text) -> Match | None:
        if self._needed:
            folded = text.folded
            if not any(needed in folded for needed in self._needed):
                return None
        found: Match | None = self._compiled.search(text.octets)
        return found

    def count(self, text: Text, most: int) -> int:
        match = self.find(text)
        found = 0
        while match is not None and found < most:
            found += 1
            # From the end of the words themselves, as the white space behind them may begin the next match.
            end = match.end(self._words)
            start = end if end > match.start(0) else end + 1
            match = self._compiled.search(text.octets, start) if start <= len(text.octets) else None
        return found


class _AnyOf:
    """Several patterns, of which one must be found."""

    __slots__ = ("_patterns", "gate")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self.gate = ("|".join(f"(?:{pattern.gate[0]})" for pattern in patterns), False)

    def search(self, text: str) -> Match | None:
        return next(filter(None, (pattern.search(text) for pattern in self._patterns)), None)

    def find(self, text: Text) -> Match | None:
        return next(filter(None, (pattern.find(text) for pattern in self._patterns)), None)

    def count(self, text: Text, most: int) -> int:
        return min(most, sum(pattern.count(text, most) for pattern in self._patterns))


class PatternBank:
    """Patterns that are all looked for in one pass over a text, which costs hardly more than looking for one.

    The set of RE2 doesn't say when its memory was too small and it gave up. So it has a pattern that every text
    matches: where that is missing, each pattern is tried by itself, which needs no such memory.
    """

    __slots__ = ("_patterns", "_set")

    def __init__(self) -> None:
        self._patterns: list[Pattern] = []
        self._set: Any = None

    def add(self, pattern: Pattern) -> int:
        """The pattern's number. All have to be added before the first text is looked into."""
        self._patterns.append(pattern)
        return len(self._patterns) - 1

    def finds(self, text: Text, numbers: frozenset[int]) -> bool:
        """Whether the text has a match of one of these patterns; where they are few, others are not looked for."""
        if len(self._patterns) < _BANK_MIN:
            return any(self._patterns[number].find(text) is not None for number in numbers)
        return not numbers.isdisjoint(self.hits(text))

    def hits(self, text: Text) -> frozenset[int]:
        """The numbers of the patterns that the text has matches of."""
        known: frozenset[int] | None = text.known.get(self)
        if known is None:
            patterns = self._patterns
            known = text.known[self] = frozenset(
                number
                for number in self._candidates(text)
                if patterns[number].gate[1] or patterns[number].find(text) is not None
            )
        return known

    def _candidates(self, text: Text) -> Iterable[int]:
        """The numbers of the patterns whose gate is open."""
        count = len(self._patterns)
        if self._set is None:
            self._set = self._compiled() if count >= _BANK_MIN else False
        found = self._set.Match(text.octets) if self._set else None
        if found:
            return (number for number in found if number < count)
        return (
            number
            for number, pattern in enumerate(self._patterns)
            if not pattern.gate[1] or pattern.find(text) is not None
        )

    def _compiled(self) -> Any:
        options = _options()
        options.max_mem = _BANK_MEMORY_MAX
        bank = re2.Set.SearchSet(options)
        try:
            for pattern in self._patterns:
                bank.Add(pattern.gate[0])
            bank.Add("")
            bank.Compile()
        except re2.error:
            return False
        return bank


def _wildcards(text: str, star: str, mark: str) -> str:
    """A text with `*` and `?` as a regex; everything else stands for itself."""
    return "".join(star if ch == "*" else mark if ch == "?" else re2.escape(ch) for ch in text)


def compile_phrases(texts: Sequence[str]) -> Pattern:
    """Phrases of which one must stand anywhere in the text, `*` inside one line; any white space matches any other.

    Raises PatternError.
    """
    return _in_chunks(_phrases, texts)


def compile_keywords(texts: Sequence[str]) -> Pattern:
    """Words (or words in a row) of which one must stand by itself, not inside a longer word. Raises PatternError."""
    return _in_chunks(_keywords, texts)


def _in_chunks(build: Callable[[Sequence[str]], Pattern], texts: Sequence[str]) -> Pattern:
    """RE2 takes no regex of any size, so long lists become several."""
    if any(len(text) > PATTERN_MAX for text in texts):
        raise PatternError(f"a text is longer than {PATTERN_MAX} characters", "look for a part of it")
    if len(texts) <= _CHUNK:
        return build(texts)
    return _AnyOf([build(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)])


def _phrases(texts: Sequence[str]) -> Pattern:
    alternatives = "|".join(
        r"\s+".join(_wildcards(word, ".*", ".") for word in text.split()) for text in texts if text.split()
    )
    return _Regex(f"(?:{alternatives})", required_text.in_words(texts))


def _keywords(texts: Sequence[str]) -> Pattern:
    word = r"[\pL\pM\pN_]"
    other = r"[^\pL\pM\pN_]"
    alternatives = "|".join(
        r"\s+".join(_wildcards(part, f"{word}*", word) for part in text.split()) for text in texts if text.split()
    )
    return _Regex(rf"(?:\A|{other})({alternatives})(?:{other}|\z)", required_text.in_words(texts), 1)


def has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text
