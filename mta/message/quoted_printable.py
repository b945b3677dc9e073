"""Quoted-printable (RFC 2045 §6.7): splicing encoded text into encoded text."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from mta.message.edit import Edit
from mta.message.fields import has_delimiter

LINE_MAX = 76
# What binascii.a2b_qp takes as one unit: an escaped octet, a doubled "=", a soft line break, a stray "=".
_EQUALS = re.compile(rb"=(?:[0-9A-Fa-f]{2}|=|\n|\r[^\n]*+(?:\n|\Z)|\Z)?")
_SOFT_BREAK_AT_END = re.compile(rb"=\Z")
_DASHES = re.compile(rb"^(--+)(?=([^\r\n]?))", re.MULTILINE)
_DASHES_A_LINE = 25
_TOO_LONG = re.compile(rb"^([^\r\n]{74,75})(=20|=09)(?=\r\n|\Z)", re.MULTILINE)
_FEW = 4
_WORK_MAX = 5_000_000  # octets looked at
_HARD_LINE_END = re.compile(rb"(?<!=)\r\n|(?<![=\r])\n")
_REACH = 100  # octets that are rather walked through than halved
_KEPT_OCTETS_MAX = 20_000
_LAST_UNIT = re.compile(rb"(?:=[0-9A-Fa-f]{2}|[^=\r\n])\Z")


class SpliceError(Exception):
    """The encoded text is too broken to be spliced; encode the whole part anew."""


def decode(raw: bytes) -> bytes:
    """Tolerant: what is no escape stays as it stands."""
    return binascii.a2b_qp(raw)


def encode(octets: bytes, boundaries: Collection[bytes] = ()) -> bytes:
    """Text with CRLF line ends, in lines of at most 76 characters, none of which is a delimiter of `boundaries`."""
    # The leading CRLF makes b2a_qp write its soft line breaks as CRLF too.
    encoded = binascii.b2a_qp(b"\r\n" + octets, istext=True)[2:]
    # It forgets to count the two characters that white space before a line end grows by.
    if b"=20" in encoded or b"=09" in encoded:
        encoded = _TOO_LONG.sub(rb"\1=\r\n\2", encoded)
    return _DASHES.sub(_escape_dashes, encoded) if has_delimiter(encoded, boundaries) else encoded


def _encode_stamp(octets: bytes) -> bytes:
    """As `encode`, line by line; what follows the first line, the only one that names the message, is kept."""
    end = octets.find(b"\r\n") + 2
    if end < 2 or len(octets) > _KEPT_OCTETS_MAX:
        return encode(octets)
    return encode(octets[:end]) + _encode_kept(octets[end:])


_encode_kept = lru_cache(maxsize=256)(encode)


def _escape_dashes(match: re.Match[bytes]) -> bytes:
    """Dashes that begin a line, on lines of their own."""
    dashes = len(match[1])
    lines = [b"=2D" * min(_DASHES_A_LINE, dashes - done) for done in range(0, dashes, _DASHES_A_LINE)]
    return b"=\r\n".join(lines) + (b"=\r\n" if match[2] else b"")


def encoded_offset(raw: bytes, position: int, length: int) -> int:
    """Where in `raw` its decoded octet number `position` begins; behind soft line breaks before it.

    `length` is that of all of `raw` decoded. Looks from the nearer end in growing steps, then halves the lines, for
    most places are near an end: each decoding starts afresh behind a line feed.
    """
    if position == length:
        return len(raw)
    low, before, high = 0, 0, len(raw)
    is_late = position > length // 2
    reach = _REACH
    while reach < len(raw):
        line = raw.rfind(b"\n", 0, len(raw) - reach if is_late else reach) + 1
        decoded = length - len(binascii.a2b_qp(raw[line:])) if is_late else len(binascii.a2b_qp(raw[:line]))
        is_behind = decoded <= position
        if is_behind:
            low, before = line, decoded
        else:
            high = line
        if is_behind == is_late:
            break
        reach *= 4
    while high - low > _REACH:
        middle = raw.rfind(b"\n", low, (low + high) // 2) + 1
        if middle <= low:
            break
        decoded = before + len(binascii.a2b_qp(raw[low:middle]))
        if decoded <= position:
            low, before = middle, decoded
        else:
            high = middle
    return _walk(raw, low, position - before)


def _walk(raw: bytes, start: int, position: int) -> int:
    """The same from `start` on, one unit at a time."""
    while True:
        match = _EQUALS.search(raw, start)
        if match is None or match.start() - start > position:
            return min(start + position, len(raw))
        position -= match.start() - start
        unit = match[0]
        is_soft_break = len(unit) > 1 and unit[1] in b"\r\n"
        is_dropped = is_soft_break or (unit == b"=" and match.end() == len(raw))
        if position == 0 and not is_dropped:
            return match.start()
        position -= 0 if is_dropped else 1
        start = match.end()


def splice(raw: bytes, length: int, change: Edit, boundaries: Collection[bytes] = ()) -> Edit:
    """Carry a change of the decoded octets, `length` in all, over into `raw`.

    What stands before and behind stays as it is; soft line breaks keep the lines within 76 characters. Raises
    SpliceError if broken escapes beside the place would change their meaning, or a line would become a delimiter.
    """
    start, end, octets = change
    first = encoded_offset(raw, start, length)
    last = first if end == start else max(first, encoded_offset(raw, end, length))
    line_end = raw.find(b"\r\n", last)
    prefix = raw[raw.rfind(b"\n", 0, first) + 1 : first]
    suffix = raw[last : len(raw) if line_end < 0 else line_end]
    added = _encode_stamp(octets) if octets else b""
    moved, lead = _lead(prefix, added, suffix, is_at_end=first == len(raw))
    added = lead + added
    if suffix:
        added = _trail(b"" if b"\n" in added else prefix, added, suffix)
    kept = prefix[: len(prefix) - moved]
    lines = kept + added + suffix
    if decode(lines) != decode(prefix) + octets + decode(suffix) or has_delimiter(lines, boundaries):
        raise SpliceError
    return Edit(first - moved, last, added)


def splices(raw: bytes, length: int, changes: Sequence[Edit], boundaries: Collection[bytes] = ()) -> list[Edit]:
    """Several changes, sorted. Many are carried over line by line, each hard line end being a new beginning.

    Raises SpliceError as `splice` does, and where the lines are so long that this would take quadratic time.
    """
    if len(changes) <= _FEW:
        return [splice(raw, length, change, boundaries) for change in changes]
    ends = [match.end() for match in _HARD_LINE_END.finditer(raw)]
    ends += [len(raw)] if not ends or ends[-1] < len(raw) else []
    edits = []
    line = work = 0
    start, before, behind = 0, 0, len(decode(raw[: ends[0]]))
    for change in changes:
        while behind <= change.start and line + 1 < len(ends):
            line += 1
            start, before = ends[line - 1], behind
            behind += len(decode(raw[start : ends[line]]))
        while behind < change.end and line + 1 < len(ends):
            line += 1
            behind += len(decode(raw[ends[line - 1] : ends[line]]))
        window = raw[start : ends[line]]
        work += len(window)
        if work > _WORK_MAX + len(raw):
            raise SpliceError
        inside = Edit(change.start - before, change.end - before, change.replacement)
        edit = splice(window, behind - before, inside, boundaries)
        edits.append(Edit(edit.start + start, edit.end + start, edit.replacement))
    return edits


def _lead(prefix: bytes, added: bytes, suffix: bytes, *, is_at_end: bool) -> tuple[int, bytes]:
    """What must stand between the line's beginning and the added text, and how much of `prefix` moves behind it."""
    if not prefix:
        return 0, b""
    if is_at_end and _SOFT_BREAK_AT_END.search(prefix):
        return 0, b"\r\n"  # its line end was the delimiter's
    if added.startswith(b"\r\n") or not (added or suffix):
        # White space at a line's end would be dropped by readers: hide it behind a soft line break.
        return 0, b"=\r\n" if prefix[-1:] in (b" ", b"\t") else b""
    if b"\n" not in added and len(prefix) + len(added) + len(suffix) <= LINE_MAX:
        return 0, b""
    unit = _LAST_UNIT.search(prefix) if len(prefix) >= LINE_MAX else None
    return (len(unit[0]), b"=\r\n" + unit[0]) if unit else (0, b"=\r\n")


def _trail(prefix: bytes, added: bytes, suffix: bytes) -> bytes:
    """`added` with a soft line break at its end, or before its last unit, where the rest of the line has no room."""
    column = len(prefix) + len(added) - added.rfind(b"\n") - 1
    if column + len(suffix) <= LINE_MAX or not column:
        return added
    unit = _LAST_UNIT.search(added) if column >= LINE_MAX else None
    if unit is None:
        return added + b"=\r\n"
    return added[: unit.start()] + b"=\r\n" + unit[0] + (b"=\r\n" if len(unit[0]) + len(suffix) > LINE_MAX else b"")
