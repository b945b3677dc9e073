"""What marks quoted text, compiled at load, and the quick tests by which most messages are passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.entities import codepoint2name
from typing import Protocol

import re2

from mta.message.html.nesting import HIDES, SWALLOWS
from mta.message.place import separators as words
from mta.message.place.placement import MARKER, BodyView
from mta.message.place.separators import DEFAULT, Separators

LINE_MAX = 500
"""Characters of a line that are looked at; attributions and header labels are shorter."""
_SAID = (words.ORIGINAL, words.FORWARDED, words.WROTE, words.PROCESSED)


class Gate(Protocol):
    """A compiled RE2 pattern."""

    def search(self, text: bytes) -> object | None: ...


@dataclass(frozen=True, slots=True)
class QuoteMarks:
    """Separators, compiled. The gates are quick tests over a whole body in lower case: no match, nothing quoted."""

    separators: Separators
    any_gate: Gate
    """For HTML: whatever `html_gate` finds, stamps of ours, and what may hide or swallow a stamp."""
    html_gate: Gate
    plain_gate: Gate
    hints: re.Pattern[str]
    """Finds the hint of any element separator in an element's attributes."""
    added: Gate | None

    def is_added(self, line: str) -> bool:
        """Whether the line (lower case) is one of the administrator's separators."""
        if self.added is None or len(line) > LINE_MAX:
            return False
        return self.added.search(" ".join(line.split()).encode("utf-8", "replace")) is not None


def is_quiet(view: BodyView, marks: QuoteMarks) -> bool:
    """Whether HTML has nothing that could decide about a stamp: one search instead of several, for most messages."""
    if view.quiet is None:
        view.quiet = marks.any_gate.search(view.octets) is None
    return view.quiet


def _gate(*alternatives: str) -> Gate:
    options = re2.Options()
    options.never_capture = True
    options.case_sensitive = False
    options.log_errors = False
    compiled: Gate = re2.compile("|".join(alternatives), options)
    return compiled


_COLON = r"(?:[:\x{ff1a}]|&#65306;)"
_UNSEEN = r"[\x{200e}\x{200f}\x{202a}-\x{202e}]"


def _html_signs(said: Iterable[str]) -> tuple[str, ...]:
    """RE2 patterns of which one matches HTML that quotes, beside the hints of elements.

    They say little of what stands around a word: a pattern that skips tags on both sides of many words needs so many
    states that RE2 gives up its quick way.
    """
    sender = "|".join(sorted({"".join(map(_reference, word)) for word in words.FROM}))
    recipient = _any(words.NOTES_TO)
    space = r"(?:[\s\x{a0}]|&nbsp;|&#160;)*"
    return (
        "<blockquote",
        _any(said),
        f"[>;\\s\\x{{a0}}](?:{sender}){space}(?:</[a-z]+>)?{space}{_COLON}",
        f"[>;]{space}(?:{recipient}){_COLON}|>{space}(?:{recipient})<",
        f"&gt;(?:</[a-z]+>)?{_UNSEEN}*(?:</[a-z]+>)?{_COLON}",
        "&gt;&gt;&gt;",
    )


def _plain_signs(said: Iterable[str]) -> tuple[str, ...]:
    """RE2 patterns of which one matches plain text that quotes."""
    sender, recipient = (_any(entry) for entry in (words.FROM, words.NOTES_TO))
    return (
        r"(?m:^[ \t]*>)",
        _any(said),
        f"(?m:^[\\s*_>|]*(?:{sender})[\\s\\x{{a0}}*_]*{_COLON})",
        f"(?m:^[ \\t]*(?:{recipient})[ \\t]*(?:{_COLON}|\\t|\\r?$))",
        f"@[^\\s<>()]*[>)][^\\n]{{0,30}}{_COLON}",
        r"(?m:^[ \t]*\d{4}[-/]\d\d?[-/]\d\d?[ \t])",
    )


def _any(entries: Iterable[str]) -> str:
    return "|".join(sorted({"".join(map(_letter, word)) for word in entries}))


def _letter(character: str) -> str:
    # The capital of i is \u0130 in Turkish, which no folding of case tells.
    return r"[i\x{130}]" if character == "i" else re2.escape(character)


def _reference(character: str) -> str:
    """The character, as itself or as HTML's reference."""
    if character.isascii():
        return _letter(character)
    forms = {character, character.upper()} if len(character.upper()) == 1 else {character}
    numbers = [f"#0*{ord(form)};|#x0*{ord(form):x};" for form in sorted(forms)]
    names = [f"{name};" for form in sorted(forms) if (name := codepoint2name.get(ord(form)))]
    return f"(?:{character}|&(?:{'|'.join([*numbers, *names])}))"


def compile_separators(chosen: Separators) -> QuoteMarks:
    """Compile once per configuration. Raises re2.error for a pattern that is not RE2."""
    hints = "|".join(sorted({re2.escape(element.hint) for element in chosen.elements}))
    said = [word for entry in _SAID for word in entry]
    added = [f"(?:{line})" for line in chosen.lines]
    signs = [re2.escape(sign) for sign in chosen.signs]
    in_html = (hints, *_html_signs(said), *signs)
    in_plain = (*_plain_signs(said), *signs)
    return QuoteMarks(
        chosen,
        _gate(*in_html, HIDES, SWALLOWS, MARKER),
        _gate(*in_html),
        _gate(*in_plain),
        re.compile(hints),
        _gate(f"\\A(?:{'|'.join(added)})\\z") if added else None,
    )


DEFAULT_MARKS = compile_separators(DEFAULT)
