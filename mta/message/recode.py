"""Changes of a body's text carried over into its octets, in its charset."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import NamedTuple

from mta.message.charsets import Decoded
from mta.message.edit import CannotEditError, Edit

_FEW = 8
"""Places from which on all are counted in one go instead of each by itself."""
_JIS_LINE_MAX = 10_000
_TO_ASCII = b"\x1b(B"
_DESIGNATION = re.compile(rb"\x1b(?:\$[@AB]|\$\([CDOPQ]|\([IJ])")


class TextChange(NamedTuple):
    """Replace the characters from `start` up to `end` by `text`, whose lines end as the body's do."""

    start: int
    end: int
    text: str


class Recoded(NamedTuple):
    """Splices of the octets, or all of them anew; `charset` is the label that the part then needs ("": as it was)."""

    splices: tuple[Edit, ...]
    octets: bytes | None
    charset: str


def recode(
    decoded: Decoded, octets: bytes, changes: Sequence[TextChange], *, is_html: bool, is_seven_bit: bool
) -> Recoded:
    """Encode `changes` (sorted, not overlapping) back.

    HTML keeps its charset: what that can't hold becomes a character reference. Plain text moves to UTF-8 only if it
    must, and only if nothing is lost. Raises CannotEditError.
    """
    is_costly = decoded.codec.family == "iso-2022-jp" and len(changes) > _FEW
    if decoded.codec.family == "stateful" or is_costly:
        return _encode_all(decoded, changes, is_html=is_html)
    charset = ""
    if is_html:
        added = [_encode_html(decoded, change.text, is_seven_bit=is_seven_bit) for change in changes]
    else:
        try:
            added, charset = _encode_plain(decoded, changes)
        except UnicodeEncodeError:
            return _move_to_utf_8(decoded, changes)
    return Recoded(tuple(_splices(decoded, octets, changes, added)), None, charset)


def _encode_html(decoded: Decoded, text: str, *, is_seven_bit: bool) -> bytes:
    codec = decoded.codec
    is_sure = decoded.is_declared and decoded.is_faithful
    if codec.family == "wide":
        return text.encode(codec.encoding, "xmlcharrefreplace")
    if is_seven_bit or not is_sure or codec.family == "iso-2022-jp":
        return text.encode("ascii", "xmlcharrefreplace")
    return text.encode(codec.encoding, "xmlcharrefreplace")


def _encode_plain(decoded: Decoded, changes: Sequence[TextChange]) -> tuple[list[bytes], str]:
    """The added texts, and a new charset label if they need one. Raises UnicodeEncodeError."""
    family = decoded.codec.family
    if family != "wide" and all(change.text.isascii() for change in changes):
        return [change.text.encode("ascii") for change in changes], ""
    if family == "ascii" or (family == "utf-8" and not decoded.is_declared):
        return [change.text.encode("utf_8", "replace") for change in changes], "utf-8"
    if family == "utf-8":
        return [change.text.encode("utf_8", "replace") for change in changes], ""
    return [change.text.encode(decoded.codec.encoding) for change in changes], ""


def _move_to_utf_8(decoded: Decoded, changes: Sequence[TextChange]) -> Recoded:
    if not decoded.is_faithful:
        raise CannotEditError("the text's charset is unknown or wrong, and can't hold what would be added")
    return Recoded((), _changed(decoded.text, changes).encode("utf_8", "replace"), "utf-8")


def _encode_all(decoded: Decoded, changes: Sequence[TextChange], *, is_html: bool) -> Recoded:
    """UTF-7, HZ and ISO-2022-KR shift between states: no place inside is safe, so all text is encoded anew."""
    if not decoded.is_faithful:
        raise CannotEditError(f"the text is broken {decoded.codec.encoding}")
    text = _changed(decoded.text, changes)
    try:
        octets = text.encode(decoded.codec.encoding, "xmlcharrefreplace" if is_html else "strict")
    except UnicodeEncodeError:
        return _move_to_utf_8(decoded, changes)
    if not is_html and octets.decode(decoded.codec.decoding) != text:
        return _move_to_utf_8(decoded, changes)
    return Recoded((), octets, "")


def _changed(text: str, changes: Sequence[TextChange]) -> str:
    pieces = []
    done = 0
    for start, end, replacement in changes:
        pieces += [text[done:start], replacement]
        done = end
    return "".join([*pieces, text[done:]])


def _splices(decoded: Decoded, octets: bytes, changes: Sequence[TextChange], added: Sequence[bytes]) -> list[Edit]:
    if len(decoded.text) == len(octets):  # one octet a character
        return [Edit(change.start, change.end, new) for change, new in zip(changes, added, strict=True)]
    if decoded.codec.family == "iso-2022-jp":
        return _jis_splices(decoded, octets, list(zip(changes, added, strict=True)))
    offsets = _offsets(decoded, octets, sorted({place for change in changes for place in change[:2]}))
    return [Edit(offsets[change.start], offsets[change.end], new) for change, new in zip(changes, added, strict=True)]


def _offsets(decoded: Decoded, octets: bytes, positions: Sequence[int]) -> dict[int, int]:
    """Octet offsets of rising character positions."""
    text, codec = decoded.text, decoded.codec
    if codec.family == "utf-8" and len(positions) <= _FEW:
        return {position: _utf_8_offset(text, octets, position) for position in positions}
    offsets = {}
    done = offset = 0
    errors = "surrogatepass" if codec.family == "wide" else "surrogateescape"
    for position in positions:
        try:
            offset += len(text[done:position].encode(codec.decoding, errors))
        except UnicodeEncodeError as error:
            raise CannotEditError(f"the text is broken {codec.encoding}") from error
        done = position
        offsets[position] = offset
    if codec.family == "multi" and octets[:offset].decode(codec.decoding, "surrogateescape") != text[:done]:
        # A code that Python decodes but encodes in another length.
        raise CannotEditError(f"the text is irregular {codec.encoding}")
    return offsets


def _utf_8_offset(text: str, octets: bytes, position: int) -> int:
    """Counted from the nearer end; whatever stands there, what was decoded has as many octets again."""
    if position > len(text) // 2:
        return len(octets) - len(text[position:].encode("utf_8", "surrogateescape"))
    return len(text[:position].encode("utf_8", "surrogateescape"))


def _jis_splices(decoded: Decoded, octets: bytes, added: Sequence[tuple[TextChange, bytes]]) -> list[Edit]:
    """ISO-2022-JP (RFC 1468) returns to ASCII at each line's end, so a place is found by counting lines, then octets.

    Where the place is inside a run of Kanji, what is added stands between a return to ASCII and the run's escape.
    """
    splices = []
    for change, replacement in added:
        start, before = _jis_offset(decoded, octets, change.start)
        end, behind = _jis_offset(decoded, octets, change.end)
        splices.append(Edit(start, end, (_TO_ASCII if before else b"") + replacement + behind))
    return splices


def _jis_offset(decoded: Decoded, octets: bytes, position: int) -> tuple[int, bytes]:
    """The octet offset of a character, and the escape sequence that is in force there (b"" for ASCII)."""
    line_start = decoded.text.rfind("\n", 0, position) + 1
    start = 0
    for _ in range(decoded.text.count("\n", 0, line_start)):
        start = octets.index(b"\n", start) + 1
    end = octets.find(b"\n", start)
    line = octets[start : len(octets) if end < 0 else end]
    decoder = codecs.getincrementaldecoder(decoded.codec.decoding)("strict")
    if len(line) > _JIS_LINE_MAX:
        raise CannotEditError("the text has an ISO-2022-JP line that is too long")
    try:
        found = _find_column(line, decoder, position - line_start)
    except (UnicodeDecodeError, ValueError) as error:
        raise CannotEditError("the text is broken ISO-2022-JP") from error
    return start + found[0], found[1]


def _find_column(line: bytes, decoder: codecs.IncrementalDecoder, column: int) -> tuple[int, bytes]:
    """The last place before that character where ASCII is in force, else the last place with its escape sequence.

    Raises ValueError if there is none.
    """
    ascii_state = decoder.getstate()
    count = 0
    found: tuple[int, bytes] | None = None
    for index in range(len(line) + 1):
        state = decoder.getstate()
        if count == column and not state[0]:
            escape = b"" if state == ascii_state else _escape_before(line, index)
            if found is None or found[1] or not escape:
                found = (index, escape)
        count += len(decoder.decode(line[index : index + 1]))
    if found is None:
        raise ValueError
    return found


def _escape_before(line: bytes, index: int) -> bytes:
    """The sequence that designates the character set in force at `index`. Raises ValueError for other sequences."""
    start = line.rindex(b"\x1b", 0, index)
    match = _DESIGNATION.match(line, start)
    if match is None:
        raise ValueError
    return match[0]
