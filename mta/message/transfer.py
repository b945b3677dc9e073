"""Content-Transfer-Encoding of bodies: decoding, and octet splices carried over into encoded text."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mta.message import quoted_printable
from mta.message.edit import CannotEditError, Edit, joined
from mta.message.fields import has_delimiter
from mta.message.quoted_printable import SpliceError

BASE64_LINE = 76
LINE_MAX = 998
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]*+(?:=\s*+){0,3}\Z")
_NOT_LETTER = re.compile(rb"[^A-Za-z0-9+/]+")
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_EIGHT_BIT = frozenset({"8bit", "binary"})
_NOT_ASCII = bytes(range(128, 256))
_LINES_OF = {length: re.compile(rb".{1,%d}" % length) for length in range(4, BASE64_LINE + 1, 4)}


class Decoded(NamedTuple):
    """`octets` without their transfer encoding; `is_sound` is false where the declared encoding can't be true."""

    octets: bytes
    is_sound: bool


class Encoded(NamedTuple):
    """Edits in the raw body, and the transfer encoding that it then needs ("" for the one it has)."""

    edits: list[Edit]
    encoding: str


def decode(raw: bytes, encoding: str) -> Decoded:
    """Take the transfer encoding off; an unknown one is taken for none, as mail readers do."""
    if encoding == "quoted-printable":
        return Decoded(quoted_printable.decode(raw), True)
    if encoding == "base64":
        return _decode_base64(raw)
    return Decoded(raw, encoding != "x-uuencode")


def _decode_base64(raw: bytes) -> Decoded:
    if _BASE64.match(raw) is None:
        return Decoded(raw, False)
    try:
        return Decoded(binascii.a2b_base64(raw), True)
    except binascii.Error:
        letters = _NOT_LETTER.sub(b"", raw)
    if len(letters) % 4 == 1:
        return Decoded(raw, False)
    return Decoded(binascii.a2b_base64(letters + b"=="), True)


def encode_base64(octets: bytes, line: int = BASE64_LINE) -> bytes:
    """Base64 in lines of `line` characters, joined by CRLF, without one at the end."""
    return b"\r\n".join(_LINES_OF[line].findall(binascii.b2a_base64(octets, newline=False)))


def splice(
    raw: bytes, encoding: str, octets: bytes, splices: Sequence[Edit], boundaries: Collection[bytes] = ()
) -> Encoded:
    """Carry `splices` of the decoded `octets` over into `raw`; the rest of it stays as it is where that can be.

    No line becomes a delimiter of `boundaries`. Raises CannotEditError.
    """
    if encoding == "x-uuencode":
        raise CannotEditError("the text is uuencoded")
    try:
        if encoding == "quoted-printable":
            return Encoded(_splice_quoted_printable(raw, len(octets), splices, boundaries), "")
        if encoding == "base64":
            return Encoded(_splice_base64(raw, octets, splices), "")
        return Encoded(_splice_identity(raw, encoding, splices, boundaries), "")
    except SpliceError:
        return replace(raw, encoding, joined(octets, splices), boundaries)


def replace(raw: bytes, encoding: str, octets: bytes, boundaries: Collection[bytes] = ()) -> Encoded:
    """Replace the whole body by `octets`, in the encoding that it has if that can hold them."""
    if encoding == "x-uuencode":
        raise CannotEditError("the text is uuencoded")
    needed = encoding
    if encoding not in ("quoted-printable", "base64") and not _fits_identity(octets, encoding, boundaries):
        needed = "quoted-printable"
    if needed == "quoted-printable" and (_BARE_LINE_END.search(octets) or _is_mostly_not_ascii(octets)):
        needed = "base64"
    if needed == "base64":
        content = encode_base64(octets)
        if raw.endswith(b"\r\n"):
            content += b"\r\n"
    else:
        content = quoted_printable.encode(octets, boundaries) if needed == "quoted-printable" else octets
    return Encoded([Edit(0, len(raw), content)], "" if needed == encoding else needed)


def _fits_identity(octets: bytes, encoding: str, boundaries: Collection[bytes]) -> bool:
    return (
        (encoding in _EIGHT_BIT or octets.isascii())
        and _longest_line(octets) <= LINE_MAX
        and not _BARE_LINE_END.search(octets)
        and not has_delimiter(octets, boundaries)
    )


def _is_mostly_not_ascii(octets: bytes) -> bool:
    """Whether quoted-printable would take much more room than base64, and nobody could read it either."""
    return (len(octets) - len(octets.translate(None, _NOT_ASCII))) * 3 > len(octets)


def _longest_line(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))


def _splice_quoted_printable(
    raw: bytes, length: int, splices: Sequence[Edit], boundaries: Collection[bytes]
) -> list[Edit]:
    edits = quoted_printable.splices(raw, length, splices, boundaries)
    if len(edits) > 1:
        try:
            changed = joined(raw, edits)
        except ValueError as error:  # two splices moved the same unit
            raise SpliceError from error
        if _longest_line(changed) > max(quoted_printable.LINE_MAX, _longest_line(raw)):
            raise SpliceError
    return edits


def _splice_identity(raw: bytes, encoding: str, splices: Sequence[Edit], boundaries: Collection[bytes]) -> list[Edit]:
    """7bit stays 7bit (unless it lied already), 8bit stays 8bit, and no line becomes longer than 998 octets."""
    if encoding not in _EIGHT_BIT and not all(piece.replacement.isascii() for piece in splices) and raw.isascii():
        raise SpliceError
    changed = joined(raw, splices)
    if has_delimiter(changed, boundaries):
        raise SpliceError
    longest = _longest_line(changed)
    if longest > LINE_MAX and longest > _longest_line(raw):
        raise SpliceError
    return list(splices)


def _splice_base64(raw: bytes, octets: bytes, splices: Sequence[Edit]) -> list[Edit]:
    """Encode anew from the first changed line to the end; the lines before it stay.

    Keeping the lines behind the place too would need an insertion of a multiple of three octets, that is characters
    which nobody asked for. Their text stays the same either way.
    """
    first = splices[0].start
    line = raw.find(b"\r\n")
    content_end = len(raw.rstrip())
    kept = 0
    if line in _LINES_OF:
        width = line + 2
        kept = min(first // 3 * 4 // line, content_end // width)
        head = raw[: kept * width]
        is_regular = head[line::width] == b"\r" * kept and head[line + 1 :: width] == b"\n" * kept
        if not is_regular or len(_NOT_LETTER.findall(head)) != kept:
            kept = 0
    else:
        line = BASE64_LINE
    octet = kept * line // 4 * 3
    moved = [Edit(piece.start - octet, piece.end - octet, piece.replacement) for piece in splices]
    content = encode_base64(joined(octets[octet:], moved), line)
    return [Edit(kept * (line + 2), content_end, content)]
