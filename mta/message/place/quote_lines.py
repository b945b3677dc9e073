"""Tests of single visible lines: does quoted text begin here? Used for plain text and for the lines that HTML shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mta.message.place import separators as words
from mta.message.place.quote_marks import LINE_MAX

EDGES = " \t\r\n\f\u00a0\u200b\u200c\u200d\ufeff"
"""What readers don't see at the ends of a line."""
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_NO_DIRECTIONS = dict.fromkeys(map(ord, _DIRECTIONS))
_NO_LABEL: frozenset[str] = frozenset()
HEADER_LINES = 14
_SPACE = r"[\s\u00a0\u200b-\u200d\u202f\ufeff]"
_COLONS = (":", "\uff1a", ":*", ":_", "\ufe55")


def _any(*lists: Sequence[str]) -> str:
    every = sorted({word for entry in lists for word in entry}, key=len, reverse=True)
    return "|".join(re.escape(word) for word in every)


_KINDS = {"from": words.FROM, "date": words.DATE, "to": words.TO, "subject": words.SUBJECT}
_LABEL_KINDS = {
    word: frozenset(kind for kind, listed in _KINDS.items() if word in listed)
    for listed in _KINDS.values()
    for word in listed
}
_COLON = r"[:\uff1a\ufe55]"
_LABEL = re.compile(
    rf"{_SPACE}*[>|*_]{{0,3}}{_SPACE}*({_any(*_KINDS.values())}){_SPACE}*[*_]{{0,2}}{_SPACE}*{_COLON}[*_]{{0,2}}"
)
_DASH = r"[-_=*–—]"
_RULED = re.compile(rf"{_DASH}{{2,}}{_SPACE}*(?:{_any(words.ORIGINAL)})\b[^\n]{{0,80}}?{_DASH}{{2,}}\Z")
_UNRULED = re.compile(rf"{_DASH}*{_SPACE}*(?:{_any(words.ORIGINAL)}){_SPACE}*{_DASH}*{_SPACE}*{_COLON}?\Z")
_RULED_WORDS = re.compile(rf"{_DASH}{{3,}}{_SPACE}*[^\s\d_][^\n]{{2,60}}?{_DASH}{{3,}}\Z")
_FORWARDED = re.compile(rf"(?:{_any(words.FORWARDED)}){_SPACE}*{_COLON}\Z")
_PROCESSED = re.compile(rf"(?:{_any(words.PROCESSED)})\b")
_GROUPWISE = re.compile(r">>> ?[^\s>][^\n]{2,150}\d[^\n]{0,40}>>>\Z")
_WROTE = re.compile(rf"(?:{_any(words.WROTE)})")
_CUT_ATTRIBUTION = re.compile(rf">{_SPACE}*(?:{_any(words.WROTE)})?(?:\(а\)|\(a\))?{_SPACE}*{_COLON}\Z")
_CLOCK = re.compile(r"\d{1,2}[:.h]\d\d")
_TIMED = re.compile(rf"{_COLON}[*_\s]*\d")
_DATED = re.compile(r"\d{1,2}[:.h]\d\d|\b(?:19|20)\d\d(?!\d)|\d[./-]\d\d?[./-]\d|[年년]")
# As above, but not in the numbers of networks and versions.
_DAY = re.compile(r"\b(?:19|20)\d\d(?![\d.]\d)|(?<![\d.])\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?![.\d])|[年년]")
_TIME = re.compile(r"(?<![\d.])\d{1,2}[:.h]\d\d(?!\d|\.\d)")
_MAILBOX = re.compile(r"[<(\[]{0,4}(?:mailto:)?[^\s<>()\[\]@]+@[^\s<>()\[\]]+[>)\]]")
_ENDS_IN_MAILBOX = re.compile(rf"[<(\[][^\s<>()\[\]@]+@[^\s<>()\[\]]+[>)\]]+{_SPACE}*{_COLON}\Z")
_IN_BRACKETS = re.compile(r"<[^\s<>@]+@[^\s<>]+>")
_SAID_AT_END = re.compile(rf"\b(?:{_any(words.SAID)}){_SPACE}*{_COLON}\Z")
_WHO_WROTE = re.compile(
    rf"[^\n<>:]{{1,80}}<[^\s<>@]+@[^\s<>]+>{_SPACE}*(?:{_any(words.WROTE)})(?:\(а\)|\(a\))?{_SPACE}*{_COLON}\Z"
)
_BEGINS_WITH_DATE = re.compile(rf"[-*\s]*(?:(?:{_any(words.ON)}).{{0,30}}\d|\d)")
_FIRST_PERSON = re.compile(rf"\b(?:{_any(words.FIRST_PERSON)})\b")
_OLD_GMAIL = re.compile(
    rf"\d{{4}}[-/]\d\d?[-/]\d\d?\b[^\n]{{0,200}}<[^<>@]+@[^<>]+>{_COLON}?\Z"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d gmt[+-]\d\d:\d\d [^\n]{1,100}\Z"
)
_ZOHO = re.compile(rf"-{{2,}}{_SPACE}*[^\n]{{10,300}}?-{{2,}}\Z")
_NO_COLON = re.compile(rf"(?:{_any(words.WROTE)})\Z")
_FOOTER = re.compile(rf"(?:{_any(words.FOOTER)})")
RULE = re.compile(r"(?:_{5,}|-{5,}|={5,}|\*{5,}|—{3,}|─{3,}|━+)\Z")
_NOTES_SUMMARY = re.compile(r"[^\n]{1,80}?---\d[^\n]{6,30}?---")
_NOTES_TO = re.compile(rf"(?:{_any(words.NOTES_TO)}){_SPACE}*(?:{_COLON}|\t|\Z)")
_NOTES_SUBJECT = re.compile(rf"(?:{_any(words.NOTES_SUBJECT)}){_SPACE}*(?:{_COLON}|\t|\Z)")
NOTES_ABOVE = 4
"""Lines of a Notes header above the one that names the recipients."""
_NOTES_BELOW = 7


def without_directions(text: str) -> str:
    """The text without marks of direction, which clients put around names, numbers and addresses."""
    if text.isascii() or not any(mark in text for mark in _DIRECTIONS):
        return text
    return text.translate(_NO_DIRECTIONS)


@lru_cache(maxsize=64)  # a block is looked for at each of its lines, so that each line is asked for again and again
def label(line: str) -> frozenset[str]:
    """The kinds of header label ("from", "date", "to", "subject") that a line in lower case may begin with."""
    if ":" not in line and "\uff1a" not in line:
        return _NO_LABEL
    match = _LABEL.match(line)
    return _LABEL_KINDS[match[1]] if match else _NO_LABEL


def is_header_block(lines: Sequence[str], kinds_min: int = 3) -> bool:
    """Whether these lines (lower case, without blank ones between) begin with the header of a quoted message."""
    seen: set[str] = set()
    whose = timed = addressed = False
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
        timed = timed or ("date" in kinds and _TIME.search(line) is not None)
        addressed = addressed or _MAILBOX.search(line) is not None
    # "From: Vienna, To: Rome, Date: 5 May" is a journey.
    told = addressed or ("to" in seen and (timed or len(seen) == len(_KINDS)))
    return whose and told and len(seen) >= kinds_min


def header_above(lines: Sequence[str], end: int) -> int | None:
    """Index of the first line of the header that ends before line `end`; None if there is none.

    Right above lines that are marked as quoted, sender and date are enough.
    """
    first = None
    kinds: set[str] = set()
    for index in range(end - 1, max(end - 1 - HEADER_LINES, -1), -1):
        found = label(lines[index][:LINE_MAX])
        if found:
            first = index
            kinds |= found
        elif lines[index] or first is not None:
            break
    return first if "from" in kinds and len(kinds) > 1 else None


def notes_header_start(above: Sequence[str], line: str, below: Sequence[str]) -> int | None:
    """How many of the lines above belong to the header of Lotus Notes that `line` is in; None if it is in none.

    Notes writes name, date, "To", names, "Subject" and no label before the first two, or no colons at all. `line` is
    the one with "To"; `above` are the lines before it that are next to each other, `below` those behind it.
    """
    if not _NOTES_TO.match(line) or not any(_NOTES_SUBJECT.match(entry) for entry in below[:_NOTES_BELOW]):
        return None
    nearest = above[-NOTES_ABOVE:]
    for back in range(1, len(nearest) + 1):
        dated = nearest[-back]
        if len(dated) > 120 or not _DATED.search(dated) or not _CLOCK.search(dated):
            continue
        if _MAILBOX.search(dated) or label(dated) or back == len(nearest) or len(nearest[-back - 1]) > 120:
            return back
        return back + 1
    return None


def may_be_notes(line: str) -> bool:
    """A quick test for the line with "To"."""
    return len(line) <= LINE_MAX and _NOTES_TO.match(line) is not None


def is_quoted(line: str) -> bool:
    """A `>` line; not the end of `<jane@example.com> wrote:` that was wrapped before the bracket."""
    return line.startswith(">") and not (line.endswith((":", "\uff1a")) and _CUT_ATTRIBUTION.match(line))


def is_original(line: str) -> bool:
    """`-----Original Message-----` and its like, or the line with which a forwarded message is announced."""
    if len(line) > LINE_MAX:
        return False
    return bool(_RULED.match(line) or _FORWARDED.match(line) or _GROUPWISE.match(line) or _PROCESSED.match(line))


def announces_header(line: str) -> bool:
    """A rule, words between rules, or words for "original message": they count where a header block follows."""
    if len(line) > 80:
        return bool(RULE.match(line) or _NOTES_SUMMARY.match(line))
    tests = (RULE, _UNRULED, _RULED_WORDS, _NOTES_SUMMARY)
    return any(test.match(line) for test in tests)


def ends_attribution(line: str) -> bool:
    """A quick test: whether an attribution may end with this line."""
    if line.endswith(_COLONS):
        return True
    if line.endswith("--"):
        return line.startswith("--") and _ZOHO.match(line) is not None and _WROTE.search(line) is not None
    if line[:1].isdecimal():
        return len(line) <= LINE_MAX and _OLD_GMAIL.match(line) is not None
    return line.startswith(words.ON) and len(line) <= LINE_MAX and _NO_COLON.search(line) is not None


def begins_attribution(line: str) -> bool:
    """Whether a line above the one that says "wrote" belongs to it."""
    if len(line) > LINE_MAX:
        return False
    if line.startswith(words.ON) and any(map(str.isdigit, line)):
        return True
    return _DATED.search(line) is not None or (_MAILBOX.search(line) is not None and _WROTE.search(line) is not None)


def is_attribution(text: str) -> bool:
    """Whether the text (lower case; one to three lines joined) says who wrote, and ends so that a quote may follow."""
    if len(text) > LINE_MAX or not ends_attribution(text):
        return False
    if text[:1].isdecimal() and _OLD_GMAIL.match(text):
        return True
    wrote = _WROTE.search(text) is not None
    if text.endswith(_COLONS) and (wrote or text.startswith(words.QUOTING) or _SAID_AT_END.search(text)):
        return True
    return _DATED.search(text) is not None and (wrote or _MAILBOX.search(text) is not None)


def is_whole_attribution(text: str) -> bool:
    """Whether it is one even if nothing marks the text below as quoted: it tells who, when, and "wrote"."""
    if not is_attribution(text):
        return False
    if _WHO_WROTE.match(text) or (_OLD_GMAIL.match(text) and (text.endswith(_COLONS) or "gmt" in text)):
        return True
    if _DATED.search(text) is None:
        return False
    mailbox = _MAILBOX.search(text) is not None
    if _WROTE.search(text) is not None:
        return mailbox or (_BEGINS_WITH_DATE.match(text) is not None and _FIRST_PERSON.search(text) is None)
    # In languages whose word for "wrote" we don't know.
    if _DAY.search(text) is None or _TIME.search(text) is None:
        return False
    return _ENDS_IN_MAILBOX.search(text) is not None or _IN_BRACKETS.search(text) is not None


def is_dated(text: str) -> bool:
    """Whether the text tells a date or a time of day."""
    return _DATED.search(text) is not None


def may_introduce(lines: Sequence[str]) -> bool:
    """Whether the lines right before a quote, in an element made for attributions, are one: in any language."""
    if len(lines) > 3 or not lines or len(lines[-1]) > LINE_MAX:
        return not lines
    if len(lines) > 1:
        return attribution_start(lines, len(lines) - 1) == 0
    return lines[0].endswith(_COLONS) or is_original(lines[0]) or _DATED.search(lines[0]) is not None


def attribution_start(lines: Sequence[str], last: int) -> int | None:
    """Index of the first line of the attribution that ends with line `last`; None if there is none.

    An attribution has up to three lines; those above the last count only if they look like its beginning.
    """
    if not ends_attribution(lines[last]):
        return None
    first = last
    whole = _DAY.search(lines[last]) is not None and is_attribution(lines[last])
    for above in range(last - 1, max(last - 3, -1), -1):
        line = lines[above]
        if not line or is_quoted(line) or (whole and lines[first].startswith(words.ON)):
            break
        if begins_attribution(line) and not (whole and _is_sentence(line)):
            first = above
    return first if is_attribution(" ".join(lines[first : last + 1])) else None


def _is_sentence(line: str) -> bool:
    """Whether a line with a time of day is the end of the reply rather than the beginning of an attribution."""
    return line.endswith((".", "!", "?", "\u3002")) or _BEGINS_WITH_DATE.match(line) is None


def is_footer(line: str) -> bool:
    """Whether what stands below a quote is added by programs: signatures of devices, lists, disclaimers."""
    return bool(_FOOTER.match(line))
