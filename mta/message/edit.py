"""Edits: what to replace in a buffer. Everything that no edit covers stays byte-identical."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
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
