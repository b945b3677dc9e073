"""Text patterns of the rules: wildcards, phrases, keywords and regexes, all run by RE2 in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import re2

from mta.relay.decide import required_text

PATTERN_MAX = 2000
"""Characters of one regex."""
_MEMORY_MAX = 8 << 20
_UNSUPPORTED = (
    (re.compile(r"\(\?<?[=!]"), "RE2 has no lookahead or lookbehind; use unless, or two conditions under all"),
    (re.compile(r"\\[1-9]|\(\?P="), "RE2 has no back-references; write the alternatives out"),
    (re.compile(r"\(\?>|[*+?}]\+"), "RE2 has no atomic groups or possessive repeats, and needs none: remove them"),
)


class Pattern(Protocol):
    def search(self, text: str) -> object | None:
        """A match, or None."""
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
        compiled = re2.compile(text, _options())
    except re2.error as exc:
        for sign, mend in _UNSUPPORTED:
            if sign.search(text):
                raise PatternError(f"regex {text!r} is not RE2", mend) from exc
        reason = exc.args[0] if exc.args else "error"
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"regex {text!r}: {reason}", "see RE2's syntax page") from exc
    needed = required_text.in_regex(text)
    return _Regex(compiled, (needed,) if needed else ())


class _Regex:
    """A compiled pattern; text without any of `needed` (case folded) has no match. Empty: nothing is known."""

    __slots__ = ("_compiled", "_needed")

    def __init__(self, compiled: Any, needed: tuple[str, ...]) -> None:
        self._compiled = compiled
        self._needed = needed

    def search(self, text: str) -> object | None:
        if self._needed:
            folded = text.casefold()
            if not any(needed in folded for needed in self._needed):
                return None
        # RE2 takes no lone surrogates, which decoded mail may hold; they become `?`.
        found: object | None = self._compiled.search(text.encode("utf-8", "replace"))
        return found


class Glob:
    """Texts of which one must be the whole text, `*` for any characters and `?` for one; case doesn't count.

    Runs on the standard library's `re`, whose call costs a twentieth of RE2's: atomic groups keep it linear.
    """

    __slots__ = ("search",)

    def __init__(self, texts: Sequence[str]) -> None:
        pattern = re.compile("|".join(f"(?:{_glob(text)})" for text in texts), re.IGNORECASE | re.DOTALL)
        self.search: Callable[[str], object | None] = pattern.match


def _glob(text: str) -> str:
    first, *rest = [re.escape(part).replace(r"\?", ".") for part in text.split("*")]
    if not rest:
        return rf"{first}\Z"
    # The first place where a middle part fits is as good as any later one, so nothing is ever tried twice.
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return rf"{first}{middle}.*{rest[-1]}\Z" if rest[-1] else f"{first}{middle}"


def _wildcards(text: str, star: str, mark: str) -> str:
    """A text with `*` and `?` as a regex; everything else stands for itself."""
    return "".join(star if ch == "*" else mark if ch == "?" else re2.escape(ch) for ch in text)


def compile_phrases(texts: Sequence[str]) -> Pattern:
    """Phrases of which one must stand anywhere in the text; any white space in them matches any other."""
    alternatives = "|".join(
        r"\s+".join(_wildcards(word, ".*", ".") for word in text.split()) for text in texts if text.split()
    )
    return _Regex(re2.compile(f"(?s)(?:{alternatives})", _options()), required_text.in_words(texts))


def compile_keywords(texts: Sequence[str]) -> Pattern:
    """Words (or words in a row) of which one must stand by itself, not inside a longer word."""
    word = r"[\pL\pM\pN_]"
    other = r"[^\pL\pM\pN_]"
    alternatives = "|".join(
        r"\s+".join(_wildcards(part, f"{word}*", word) for part in text.split()) for text in texts if text.split()
    )
    compiled = re2.compile(rf"(?:\A|{other})(?:{alternatives})(?:{other}|\z)", _options())
    return _Regex(compiled, required_text.in_words(texts))


def has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text
