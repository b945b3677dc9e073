"""Quote separators of the administrator's own: `organisation.quote_separators`, checked and compiled at load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import re2

from mta.message.place.quote_marks import DEFAULT_MARKS, LINE_MAX, QuoteMarks, compile_separators
from mta.message.place.separators import DEFAULT

SEPARATORS_MAX = 200
"""Literal lines and patterns together."""
_MEMORY_MAX = 1 << 20
_UNSUPPORTED = (
    (re.compile(r"\(\?<?[=!]"), "RE2 has no lookahead or lookbehind; write what the whole line looks like"),
    (re.compile(r"\\[1-9]|\(\?P="), "RE2 has no back-references; write the alternatives out"),
    (re.compile(r"\(\?>|[*+?}]\+"), "RE2 has no atomic groups or possessive repeats, and needs none: remove them"),
)


class SeparatorError(ValueError):
    """A separator that can't be used; `loc` is its place below `quote_separators`, `mend` what to write instead."""

    def __init__(self, loc: tuple[str, int], what: str, mend: str) -> None:
        super().__init__(what)
        self.loc = loc
        self.mend = mend


def marks_of(lines: Sequence[str] = (), patterns: Sequence[str] = ()) -> QuoteMarks:
    """The built-in marks and these: literal lines, and RE2 patterns that match a whole visible line.

    Case doesn't count, nor do the spaces around a line; any white space in a literal matches any other. The same marks
    serve plain text and HTML. Raises SeparatorError for the first that can't be used.
    """
    for error in separator_errors(lines, patterns):
        raise error
    return compile_separators(DEFAULT.adding(lines, patterns)) if lines or patterns else DEFAULT_MARKS


def separator_errors(lines: Sequence[str], patterns: Sequence[str]) -> Iterator[SeparatorError]:
    """What is wrong with each that can't be used."""
    if len(lines) + len(patterns) > SEPARATORS_MAX:
        loc = ("patterns", len(patterns) - 1) if patterns else ("lines", len(lines) - 1)
        yield SeparatorError(loc, f"more than {SEPARATORS_MAX} separators", "join patterns by |")
        return
    for check, key, entries in ((_check_line, "lines", lines), (_check_pattern, "patterns", patterns)):
        for number, entry in enumerate(entries):
            try:
                check((key, number), entry)
            except SeparatorError as exc:
                yield exc


def _check_line(loc: tuple[str, int], line: str) -> None:
    if not line.strip():
        raise SeparatorError(loc, "the separator is empty", "write the line as readers see it")
    if "\n" in line.strip():
        raise SeparatorError(loc, "the separator has several lines", "write the first of them")
    if len(line) > LINE_MAX:
        raise SeparatorError(loc, f"the separator is longer than {LINE_MAX} characters", "use a pattern")


def _check_pattern(loc: tuple[str, int], pattern: str) -> None:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_MAX
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as exc:
        for sign, mend in _UNSUPPORTED:
            if sign.search(pattern):
                raise SeparatorError(loc, f"pattern {pattern!r} is not RE2", mend) from exc
        reason = exc.args[0] if exc.args else "error"
        shown = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise SeparatorError(loc, f"pattern {pattern!r}: {shown}", "see RE2's syntax page") from exc
    if compiled.search("") is not None and compiled.fullmatch("a line of text 12") is not None:
        raise SeparatorError(loc, f"pattern {pattern!r} matches any line", "write what the line looks like")
    if compiled.fullmatch("") is not None:
        raise SeparatorError(loc, f"pattern {pattern!r} matches an empty line", "let it need at least one character")
