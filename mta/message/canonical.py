"""The canonicalisations of RFC 6376 §3.4, by operations on whole byte strings."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from hashlib import sha256

CHUNK_OCTETS = 1 << 20
"""Large bodies are canonicalised in pieces of this size, so that a copy never stands whole in memory."""

_SUPERFLUOUS = re.compile(rb"  *(?= |\r\n)")
_LARGE_OCTETS = 32_768
_SAMPLE_OCTETS = 4096
_BLANK_LINES = b"\r\n" * 4096


def relaxed_whitespace(data: bytes) -> bytes:
    """Every run of spaces and tabs as one space, none before CRLF (§3.4.4 a)."""
    if b"\t" in data:
        data = data.replace(b"\t", b" ")
    if len(data) > _LARGE_OCTETS and _has_few_spaces(data):
        return _SUPERFLUOUS.sub(b"", data)
    # Most texts have nothing to replace, and CPython searches backwards in half the time.
    while data.rfind(b"  ") >= 0:
        data = data.replace(b"  ", b" ")
    return data.replace(b" \r\n", b"\r\n") if data.rfind(b" \r\n") >= 0 else data


def _has_few_spaces(data: bytes) -> bool:
    """Whether the middle looks like base64: going from space to space is faster there than searching for pairs."""
    middle = len(data) // 2
    return data.count(b" ", middle, middle + _SAMPLE_OCTETS) * 64 < _SAMPLE_OCTETS


def relaxed_fields(header: bytes, wanted: Container[bytes] | None = None) -> list[tuple[bytes, bytes]]:
    """Each field of a header block as (lower-case name, `name:value` without a line end), from top to bottom (§3.4.2).

    `header` is CRLF-ended lines without the empty line after them. Lines that are no field are left out, and so are
    fields with other names than those `wanted`.
    """
    fields = []
    unfolded = header.replace(b"\t", b" ").replace(b"\r\n ", b" ")
    for line in relaxed_whitespace(unfolded).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            name = name.rstrip(b" ").lower()
            if wanted is None or name in wanted:
                fields.append((name, name + b":" + value.strip(b" ")))
    return fields


def relaxed_field(field: bytes) -> bytes:
    """One whole field in relaxed canonical form, without a line end; b"" for a line that is no field (§3.4.2)."""
    found = relaxed_fields(field.removesuffix(b"\r\n"))
    return found[0][1] if found else b""


class RelaxedBodyHash:
    """SHA-256 of a body in relaxed canonical form, fed piece by piece."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._carry = b""
        """What ended the last piece and may go on in the next: " ", "\r", " \r" or nothing."""
        self._blank_lines = 0
        """CRLFs held back, for those that end a body don't count."""
        self._is_empty = True
        self._ends_line = True
        self.octets = 0
        """Of the canonical form; all of it after `digest`."""

    def update(self, piece: bytes) -> None:
        """Take the next piece; it may begin and end anywhere."""
        data = self._carry + piece
        kept = data.removesuffix(b"\r")
        solid = kept.rstrip(b"\t ")
        self._carry = (b" " if len(solid) < len(kept) else b"") + data[len(kept) :]
        self._take(relaxed_whitespace(solid))

    def digest(self) -> bytes:
        """The hash of the whole body; a last line without CRLF gets one, an empty body stays empty."""
        if self._carry.endswith(b"\r"):
            self._take(self._carry)
        self._carry = b""
        if not self._is_empty and (self._blank_lines or not self._ends_line):
            self._hash.update(b"\r\n")
            self.octets += 2
        return self._hash.digest()

    def _take(self, data: bytes) -> None:
        end = _end_without_blank_lines(data)
        if end:
            self._flush_blank_lines()
            self._hash.update(memoryview(data)[:end])
            self.octets += end
            self._is_empty = False
            self._ends_line = False
        self._blank_lines += (len(data) - end) // 2

    def _flush_blank_lines(self) -> None:
        while self._blank_lines:
            count = min(self._blank_lines, len(_BLANK_LINES) // 2)
            self._hash.update(_BLANK_LINES[: 2 * count])
            self.octets += 2 * count
            self._blank_lines -= count


def _end_without_blank_lines(data: bytes) -> int:
    """Where the CRLFs that end `data` begin, without a loop over them: a body of nothing else may be large."""
    if not data.endswith(b"\r\n"):
        return len(data)
    start = len(data.rstrip(b"\r\n"))
    # From the last doubled character on, CR and LF alternate; pairs begin at the first CR of that run.
    start = max(start, data.rfind(b"\r\r", start) + 1, data.rfind(b"\n\n", start) + 1)
    return start + (data[start] == 0x0A)


def simple_body_end(body: bytes | memoryview) -> int:
    """Where a body in simple canonical form ends but for its last CRLF (§3.4.3): the empty lines behind are left out.

    A body of nothing but empty lines is one CRLF, so it ends at 0.
    """
    end = len(body)
    while end >= 2 and body[end - 2 : end] == b"\r\n":
        step = min(end, len(_BLANK_LINES))
        if bytes(body[end - step : end]) == _BLANK_LINES[:step] and step % 2 == 0:
            end -= step
        else:
            end -= 2
    return end


def chunks(segments: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Segments as pieces of at most CHUNK_OCTETS; small neighbours are joined."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for segment in segments:
        if size + len(segment) > CHUNK_OCTETS:
            yield b"".join(waiting)
            waiting, size = [], 0
        if len(segment) > CHUNK_OCTETS:
            yield from (bytes(segment[i : i + CHUNK_OCTETS]) for i in range(0, len(segment), CHUNK_OCTETS))
        else:
            waiting.append(segment)
            size += len(segment)
    yield b"".join(waiting)
