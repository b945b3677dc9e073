"""Places in plain text. Everything works on lines and is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mta.message.place import quote_lines
from mta.message.place import separators as words
from mta.message.place.placement import BodyView, Placement
from mta.message.place.quote_marks import DEFAULT_MARKS, LINE_MAX, QuoteMarks
from mta.model.actions import Place

_BLANK_LINE_AT_END = re.compile(r"\n[ \t]*\n[ \t]*\Z")
_SIGNS = (*"-_=*–—─", ">>>", *words.PROCESSED)
_COLONS = (":", "\uff1a")
_LOOKS_MAX = 20_000
"""Lines above the quote that could begin one; a text with more is hostile, or a log."""
_SHORT = 20
"""Characters of a line without a colon that may be a label of Notes."""
_GAP_MAX = 8
"""Lines within which an attribution is followed by what it introduces."""
_WRAPPED_MAX = 60
"""Characters of a line between quoted ones that is taken for the broken end of a quoted line."""


class Quote(NamedTuple):
    """Where the quoted part begins (first line of its separator), and whether it has to be the rest of the body."""

    first: int
    to_end: bool
    body: int
    """Index of the first line behind the separator."""


def place_plain(view: BodyView, place: Place, is_reply: bool, marks: QuoteMarks = DEFAULT_MARKS) -> Placement:
    """Where to insert, with the blank lines that keep the stamp apart. The text may have any line ends."""
    text = view.text
    if place is Place.TOP:
        start = 1 if text.startswith("\ufeff") else 0
        return Placement(start, "", "\n\n" if len(text) > start else "\n")
    if place is Place.REPLY:
        position = reply_position(view, is_reply, marks)
        if position is not None:
            return Placement(position, _gap(text, position), "\n\n")
    return _bottom(text)


def own_text(view: BodyView, is_reply: bool, marks: QuoteMarks = DEFAULT_MARKS) -> str:
    """What was written for this message: the text above the quoted part, or all of it without its `>` lines."""
    text = view.text
    position = reply_position(view, is_reply, marks)
    if position is not None:
        return text[:position]
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(">"))


def _bottom(text: str) -> Placement:
    end = len(text)
    return Placement(end, _gap(text, end), "\n")


def _gap(text: str, position: int) -> str:
    """Line ends needed so that a blank line stands before `position`."""
    tail = text[max(0, position - 200) : position].replace("\r", "")
    stripped = tail.rstrip(" \t")
    if not stripped.strip("\n\ufeff"):
        return "" if position < 200 else "\n"
    # A line that ends in a space would flow into ours (RFC 3676 §4.2); the blank line stops it, too.
    return "" if _BLANK_LINE_AT_END.search(tail) else "\n" if stripped.endswith("\n") else "\n\n"


def reply_position(view: BodyView, is_reply: bool, marks: QuoteMarks = DEFAULT_MARKS) -> int | None:
    """The start of the quoted part below the newest reply; None where nothing is quoted or the reply stands below."""
    if marks.plain_gate.search(view.octets) is None:
        return None
    raw = view.folded.split("\n")
    lines = [line.strip(quote_lines.EDGES) for line in quote_lines.without_directions(view.folded).split("\n")]
    quote = _first_quote(lines, is_reply, marks)
    if quote is None:
        return None
    first = quote.first
    if not quote.to_end:
        later = _first_to_end(lines, quote.body, marks)
        if _is_answered_below(lines, quote, len(lines) if later is None else later):
            if later is None:
                return None
            first = later
    return sum(map(len, raw[:first])) + first


def _first_quote(lines: Sequence[str], is_reply: bool, marks: QuoteMarks) -> Quote | None:
    last_quoted = _last(lines, quote_lines.is_quoted)
    looks = 0
    for index, line in enumerate(lines):
        if not line:
            continue
        if ":" in line or line[0].isdecimal() or line.startswith(_SIGNS) or _may_be_notes(line):
            looks += 1
            if looks > _LOOKS_MAX:
                return None
        rest = _rest_start(lines, index, marks)
        if rest is not None:
            return _rest(lines, rest, index)
        if quote_lines.is_quoted(line):
            if _counts(lines, index, is_reply):
                header = quote_lines.header_above(lines, index)
                return Quote(index if header is None else header, False, index)
        elif quote_lines.ends_attribution(line) and (quote := _attributed(lines, index, last_quoted)) is not None:
            return quote
    return None


def _last(lines: Sequence[str], test: Callable[[str], bool]) -> int:
    """Index of the last line that passes; -1 if none does."""
    return next((index for index in range(len(lines) - 1, -1, -1) if test(lines[index])), -1)


def _counts(lines: Sequence[str], index: int, is_reply: bool) -> bool:
    """Whether a `>` line quotes somebody: a single one in a new message is more likely a shell prompt or an arrow.

    Programs that store mail put one before a line that begins with "From ".
    """
    if lines[index].startswith(">from "):
        return lines[index + 1 : index + 2] != [] and quote_lines.is_quoted(lines[index + 1])
    return is_reply or sum(map(quote_lines.is_quoted, lines)) > 1


def _first_to_end(lines: Sequence[str], start: int, marks: QuoteMarks) -> int | None:
    for index in range(start, len(lines)):
        if lines[index] and not quote_lines.is_quoted(lines[index]):
            rest = _rest_start(lines, index, marks)
            if rest is not None:
                return rest
    return None


def _rest(lines: Sequence[str], first: int, sign: int) -> Quote:
    """The quote that begins with a header or a line such as `-----Original Message-----`.

    It is the rest of the body, unless its lines are marked one by one: then a reply may stand below.
    """
    for index in range(sign + 1, min(sign + 1 + quote_lines.HEADER_LINES, len(lines))):
        line = lines[index]
        if quote_lines.is_quoted(line):
            return Quote(first, False, index)
        if line and not quote_lines.label(line[:LINE_MAX]):
            break
    return Quote(first, True, sign + 1)


def _rest_start(lines: Sequence[str], index: int, marks: QuoteMarks) -> int | None:
    """First line of a quote that the line begins, and whose lines nothing needs to mark one by one."""
    line = lines[index]
    if marks.added is not None and marks.is_added(line):
        return index
    if line.startswith(_SIGNS) or line.endswith(_COLONS):
        if quote_lines.is_original(line):
            return index
    elif ":" not in line and "\uff1a" not in line and len(line) > _SHORT and "\t" not in line:
        return None
    if quote_lines.label(line):
        return _header_start(lines, index)
    return _notes_start(lines, index) if _may_be_notes(line) else None


def _may_be_notes(line: str) -> bool:
    """A quick test: whether it may be the line of a header of Lotus Notes that names the recipients."""
    return (len(line) <= _SHORT or ":" in line or "\t" in line) and quote_lines.may_be_notes(line)


def _header_start(lines: Sequence[str], index: int) -> int | None:
    """First line of the header that begins with the line: a line that announces it belongs to it."""
    first = _announced(lines, index)
    kinds_min = 2 if first < index and lines[first].startswith(_SIGNS) else 3
    if quote_lines.is_header_block(_following(lines, index, quote_lines.HEADER_LINES), kinds_min):
        return first
    return _notes_start(lines, index) if quote_lines.may_be_notes(lines[index]) else None


def _announced(lines: Sequence[str], header: int) -> int:
    """The line above a header that announces it; the header's first line if there is none."""
    before = next((number for number in range(header - 1, max(header - 4, -1), -1) if lines[number]), header)
    return before if quote_lines.announces_header(lines[before]) else header


def _notes_start(lines: Sequence[str], index: int) -> int | None:
    """First line of the header of Lotus Notes in which the line names the recipients."""
    reach = range(max(0, index - 3 * quote_lines.NOTES_ABOVE), index)
    above = [number for number in reach if lines[number]]
    below = [line for line in lines[index + 1 : index + 2 * quote_lines.HEADER_LINES] if line]
    back = quote_lines.notes_header_start([lines[number] for number in above], lines[index], below)
    return None if back is None else _announced(lines, above[-back])


def _following(lines: Sequence[str], start: int, count: int) -> list[str]:
    """The next lines that aren't blank; two blank ones end them, save at the very start."""
    found: list[str] = []
    blanks = 0
    for line in lines[start : start + 2 * count + 1]:
        if line:
            found.append(line)
            blanks = 0
        else:
            blanks += 1
            if found and blanks > 1:
                break
        if len(found) == count:
            break
    return found


def _attributed(lines: Sequence[str], last: int, last_quoted: int) -> Quote | None:
    """The quote that the attribution ending with line `last` introduces."""
    first = quote_lines.attribution_start(lines, last)
    if first is None:
        return None
    near = min(last + _GAP_MAX, len(lines))
    after = next((index for index in range(last + 1, near) if lines[index]), None)
    if after is not None and quote_lines.is_quoted(lines[after]):
        return Quote(first, False, after)
    if after is not None and lines[after].startswith("|"):
        return Quote(first, True, after)
    if after is None and near < len(lines):
        return None
    # What it introduces isn't marked, or was deleted.
    text = " ".join(lines[first : last + 1])
    if not quote_lines.is_whole_attribution(text) or (last_quoted > last and not quote_lines.is_dated(text)):
        return None
    return Quote(first, True, last + 1)


def _is_answered_below(lines: Sequence[str], quote: Quote, stop: int) -> bool:
    """Whether the reply stands between or under the `>` lines rather than above them."""
    above = sum(map(len, lines[: quote.first]))
    between, below = _written(lines[quote.body : stop])
    if above == 0:
        return between + below > 0
    return between > 0 or below > above


def _written(lines: Sequence[str]) -> tuple[int, int]:
    """Characters written between quoted lines, and under the last one (without what programs add)."""
    between = 0
    run: list[int] = []
    for index, line in enumerate(lines):
        if quote_lines.is_quoted(line):
            if run and not _is_wrapped(lines, run) and not _introduces(lines, run):
                between += sum(len(lines[entry]) for entry in run)
            run = []
        elif line:
            run.append(index)
    below = 0
    for entry in run:
        if quote_lines.is_footer(lines[entry]):
            break
        below += len(lines[entry])
    return between, below


def _is_wrapped(lines: Sequence[str], run: Sequence[int]) -> bool:
    """One short line glued between quoted ones: the end of a quoted line that some program broke."""
    at = run[0]
    if len(run) > 1 or len(lines[at]) > _WRAPPED_MAX or at == 0 or at + 1 >= len(lines):
        return False
    return lines[at + 1].startswith(">") and lines[at - 1].startswith(">") and len(lines[at - 1]) > _WRAPPED_MAX // 2


def _introduces(lines: Sequence[str], run: Sequence[int]) -> bool:
    return len(run) <= 3 and quote_lines.is_attribution(" ".join(lines[entry] for entry in run))
