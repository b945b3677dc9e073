"""Tests of single visible lines: does quoted text begin here? Used for plain text and for the lines that HTML shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import re2

from mta.relay.stamp import separators as words
from mta.relay.stamp.html_nesting import HIDES, SWALLOWS
from mta.relay.stamp.place import MARKER, BodyView
from mta.relay.stamp.separators import DEFAULT, Separators

LINE_MAX = 500
"""Characters of a line that are looked at; attributions and header labels are shorter."""
_NO_LABEL: frozenset[str] = frozenset()
HEADER_LINES = 14
_SPACE = r"[\s\u00a0\u200b-\u200f\u202f\ufeff]"


def _any(*lists: Sequence[str]) -> str:
    every = sorted({word for entry in lists for word in entry}, key=len, reverse=True)
    return "|".join(re.escape(word) for word in every)


_KINDS = {"from": words.FROM, "date": words.DATE, "to": words.TO, "subject": words.SUBJECT}
_LABEL_KINDS = {
    word: frozenset(kind for kind, listed in _KINDS.items() if word in listed)
    for listed in _KINDS.values()
    for word in listed
}
_LABEL = re.compile(
    rf"{_SPACE}*[>|*_]{{0,3}}{_SPACE}*({_any(*_KINDS.values())}){_SPACE}*[*_]{{0,2}}{_SPACE}*[::][*_]{{0,2}}"
)
_RULED = re.compile(
    rf"{_SPACE}*[-_=*–—]{{2,}}{_SPACE}*(?:{_any(words.ORIGINAL)})\b[^\n]{{0,80}}?[-_=*–—]{{2,}}{_SPACE}*\Z"
)
_UNRULED = re.compile(
    rf"{_SPACE}*[-_=*–—]*{_SPACE}*(?:{_any(words.ORIGINAL)}){_SPACE}*[-_=*–—]*{_SPACE}*[::]?{_SPACE}*\Z"
)
_FORWARDED = re.compile(rf"{_SPACE}*(?:{_any(words.FORWARDED)}){_SPACE}*[::]{_SPACE}*\Z")
_WROTE = re.compile(rf"(?:{_any(words.WROTE)})")
_CUT_ATTRIBUTION = re.compile(rf">{_SPACE}*(?:{_any(words.WROTE)})?(?:\(а\)|\(a\))?{_SPACE}*[::]\Z")
_TIMED = re.compile(r"[::][*_\s]*\d")
_DATED = re.compile(r"\d{1,2}[:.h]\d\d|\b(?:19|20)\d\d\b|\d[./-]\d\d?[./-]\d")
_MAILBOX = re.compile(r"[<(\[]{0,4}(?:mailto:)?[^\s<>()\[\]@]+@[^\s<>()\[\]]+[>)\]]")
_OLD_GMAIL = re.compile(rf"{_SPACE}*\d{{4}}[-/]\d\d?[-/]\d\d?\b[^\n]{{0,200}}<[^<>@]+@[^<>]+>:?{_SPACE}*\Z")
_FOOTER = re.compile(rf"{_SPACE}*(?:{_any(words.FOOTER)})")
RULE = re.compile(rf"{_SPACE}*(?:_{{5,}}|-{{5,}}|={{5,}}|\*{{5,}}|—{{3,}}|─{{3,}}){_SPACE}*\Z")


@lru_cache(maxsize=64)  # a block is looked for at each of its lines, so that each line is asked for again and again
def label(line: str) -> frozenset[str]:
    """The kinds of header label ("from", "date", "to", "subject") that a line in lower case may begin with."""
    if ":" not in line and "\uff1a" not in line:
        return _NO_LABEL
    match = _LABEL.match(line)
    return _LABEL_KINDS[match[1]] if match else _NO_LABEL


def is_header_block(lines: Sequence[str]) -> bool:
    """Whether these lines (lower case, without blank ones between) begin with the header of a quoted message."""
    seen: set[str] = set()
    whose = False
    strangers = 0
    for number, line in enumerate(lines[:HEADER_LINES]):
        kinds = label(line[:LINE_MAX])
        if not kinds:
            strangers += 1
            if number == 0 or strangers > 3:
                break
            continue
        fresh = kinds - seen
        if fresh:
            seen.add(min(fresh))
        # "From: 9:00, To: 10:00, Date: 5 May" is an appointment.
        whose = whose or ("from" in kinds and not _TIMED.search(line))
    return whose and len(seen) >= 3


def is_quoted(line: str) -> bool:
    """A `>` line; not the end of `<jane@example.com> wrote:` that was wrapped before the bracket."""
    return line.startswith(">") and not (line.endswith((":", "\uff1a")) and _CUT_ATTRIBUTION.match(line))


def is_original(line: str) -> bool:
    """`-----Original Message-----` and its like, or the line with which a forwarded message is announced."""
    return len(line) <= LINE_MAX and bool(_RULED.match(line) or _FORWARDED.match(line))


def announces_header(line: str) -> bool:
    """A rule, or words for "original message" alone: they count where a header block follows."""
    return bool(RULE.match(line)) or (len(line) <= 80 and bool(_UNRULED.match(line)))


def ends_attribution(line: str) -> bool:
    """A quick test: whether an attribution may end with this line."""
    return line.endswith((":", "\uff1a", ":*", ":_")) or (line.endswith(">") and bool(_OLD_GMAIL.match(line)))


def begins_attribution(line: str) -> bool:
    """Whether a line above the one that says "wrote" belongs to it."""
    return line.startswith(words.ON) or (len(line) <= LINE_MAX and _DATED.search(line) is not None)


def is_attribution(text: str) -> bool:
    """Whether the text (lower case; one to three lines joined) says who wrote, and ends so that a quote may follow."""
    if len(text) > LINE_MAX or not ends_attribution(text):
        return False
    if text.endswith(">") or _WROTE.search(text) is not None:
        return True
    return _DATED.search(text) is not None and _MAILBOX.search(text) is not None


def is_whole_attribution(text: str) -> bool:
    """Whether it is one even if nothing marks the text below as quoted: it tells who, when, and "wrote"."""
    return is_attribution(text) and _WROTE.search(text) is not None and _DATED.search(text) is not None


def attribution_start(lines: Sequence[str], last: int) -> int | None:
    """Index of the first line of the attribution that ends with line `last`; None if there is none.

    An attribution has up to three lines; those above the last count only if they look like its beginning.
    """
    if not ends_attribution(lines[last]):
        return None
    first = last
    for above in range(last - 1, max(last - 3, -1), -1):
        if not lines[above] or is_quoted(lines[above]):
            break
        if begins_attribution(lines[above]):
            first = above
    return first if is_attribution(" ".join(lines[first : last + 1])) else None


def is_footer(line: str) -> bool:
    """Whether what stands below a quote is added by programs: signatures of devices, lists, disclaimers."""
    return bool(_FOOTER.match(line))


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


def compile_separators(chosen: Separators) -> QuoteMarks:
    """Compile once per configuration. Raises re2.error for a pattern that is not RE2."""
    hints = "|".join(sorted({re2.escape(element.hint) for element in chosen.elements}))
    phrases = (re2.escape(word) for entry in (words.ORIGINAL, words.FORWARDED, words.WROTE) for word in entry)
    said = "|".join(sorted({*phrases}))
    sender = "|".join(re2.escape(word) for word in words.FROM)
    between = r"(?:[\s\x{a0}]|&nbsp;|&#160;|<[^<>]*>)*"
    added = [f"(?:{line})" for line in chosen.lines]
    signs = [re2.escape(sign) for sign in chosen.signs]
    in_html = (hints, "<blockquote", "border-top", said, f"[>;\\s]{between}(?:{sender}){between}[::]", *signs)
    return QuoteMarks(
        chosen,
        _gate(*in_html, HIDES, SWALLOWS, MARKER),
        _gate(*in_html),
        _gate(r"(?m:^[ \t]*>)", said, f"(?m:^[\\s*_>|]*(?:{sender})[\\s\\x{{a0}}*_]*[::])", *signs),
        re.compile(hints),
        _gate(f"\\A(?:{'|'.join(added)})\\z") if added else None,
    )


DEFAULT_MARKS = compile_separators(DEFAULT)
