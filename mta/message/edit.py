"""Edits: what to replace in a buffer. Everything that no edit covers stays byte-identical."""

from __future__ import annotations

import mmap
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Buffer = bytes | mmap.mmap


class Edit(NamedTuple):
    """Replace the octets from `start` up to `end` by `replacement`; an insertion has start == end."""

    start: int
    end: int
    replacement: bytes


class CannotEditError(Exception):
    """The part cannot be changed without damage; the text says why, and the message goes on as it is."""


def combine(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits in the order of their positions; insertions at one position keep the order in which they came.

    An insertion at the start of a replaced span goes before it. The same replacement of the same span counts once, so
    that several changes may each remove a field that would lie about them all. Raises ValueError if two edits overlap
    otherwise, or a span is not one.
    """
    ordered: list[Edit] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < edit.end and ordered and ordered[-1] == edit:
            continue
        if edit.start < done or edit.end < edit.start:
            raise ValueError(f"edits overlap at octet {edit.start}")
        done = edit.end
        ordered.append(edit)
    return tuple(ordered)


def apply(data: Buffer, edits: Iterable[Edit]) -> list[bytes | memoryview]:
    """The edited message as segments, in order; what is unchanged is a view of `data`, not a copy.

    A mapped file can't be closed while these views are alive. Raises ValueError if edits overlap or reach beyond
    `data`.
    """
    segments: list[bytes | memoryview] = []
    view = memoryview(data)
    done = 0
    for start, end, replacement in combine(edits):
        if end > len(view):
            raise ValueError(f"edit ends at octet {end}, behind the end of the message")
        if start > done:
            segments.append(view[done:start])
        if replacement:
            segments.append(replacement)
        done = end
    if done < len(view):
        segments.append(view[done:])
    return segments


def joined(data: Buffer, edits: Iterable[Edit]) -> bytes:
    """The edited message as one bytes object. Raises ValueError as `apply` does."""
    return b"".join(apply(data, edits))


class _Piece(NamedTuple):
    """A span of the first buffer (`put` is None), or octets that an edit put in."""

    start: int
    end: int
    put: bytes | None = None

    def split(self, length: int) -> tuple[_Piece, _Piece]:
        if self.put is None:
            return _Piece(self.start, self.start + length), _Piece(self.start + length, self.end)
        return _Piece(0, length, self.put[:length]), _Piece(0, self.end - length, self.put[length:])


def composed(first: Iterable[Edit], then: Iterable[Edit]) -> tuple[Edit, ...]:
    """One set of edits that does what `then` does to the result of `first`; edits of both that touch become one.

    Raises ValueError as `combine` does.
    """
    waiting = deque(_pieces(combine(first)))
    result: list[_Piece] = []
    done = 0

    def take(until: int) -> list[_Piece]:
        nonlocal done
        taken = []
        while done < until:
            piece = waiting.popleft()
            if piece.end - piece.start > until - done:
                piece, rest = piece.split(until - done)
                waiting.appendleft(rest)
            taken.append(piece)
            done += piece.end - piece.start
        return taken

    for edit in combine(then):
        result += take(edit.start)
        result.append(_Piece(0, len(edit.replacement), edit.replacement))
        take(edit.end)
    return _edits([*result, *waiting])


def _pieces(edits: Iterable[Edit]) -> Iterator[_Piece]:
    """The result of sorted edits; the last piece has no end that matters."""
    done = 0
    for start, end, replacement in edits:
        if start > done:
            yield _Piece(done, start)
        if replacement:
            yield _Piece(0, len(replacement), replacement)
        done = end
    yield _Piece(done, sys.maxsize)


def _edits(pieces: Iterable[_Piece]) -> tuple[Edit, ...]:
    """The reverse."""
    edits = []
    done = 0
    put = b""
    for piece in pieces:
        if piece.put is not None:
            put += piece.put
            continue
        if put or piece.start > done:
            edits.append(Edit(done, piece.start, put))
        done, put = piece.end, b""
    return tuple(edits)
