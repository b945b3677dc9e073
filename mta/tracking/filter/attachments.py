"""Attachments that are not kept: by name, by what they are called, and by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

from mta.message.attachments.attachment import octets_of
from mta.message.attachments.extensions import extension
from mta.message.attachments.families import canonical
from mta.message.attachments.signatures import by_signature
from mta.message.contents import File
from mta.message.parameters import file_names

_PROGRAMS = frozenset({"exe", "com", "scr", "pif", "cpl", "dll", "sys"})
"""Endings under which Windows runs a program, which it knows by its beginning and not by its name."""
_HEAD_OCTETS = 4096


class _Restricted(NamedTuple):
    endings: frozenset[str]
    media_types: frozenset[str]
    programs: bool
    """Programs under any name."""


@lru_cache(maxsize=32)
def _restricted(written: tuple[str, ...]) -> _Restricted:
    endings = frozenset(text.lower().lstrip("*.").strip() for text in written if "/" not in text)
    media_types = frozenset(canonical(text.lower().strip()) for text in written if "/" in text)
    return _Restricted(endings, media_types, not endings.isdisjoint(_PROGRAMS))


def restricted_because(file: File, restricted: Sequence[str]) -> str:
    """Why a file is left out, for the note: `.exe`, `application/x-msdownload`, `program`; "" where it may be kept.

    Every name that a reader might show counts, with dots and spaces at its end taken off and without the name of a
    stream (`x.exe::$DATA`), as Windows does, and without what nobody sees. What is inside of archives isn't looked at.
    """
    if not restricted:
        return ""
    rules = _restricted(tuple(restricted))
    for name in (file.name, *_names(file)):
        seen = "".join(character for character in name if category(character) != "Cf")
        for written in (seen, seen.partition(":")[0]):
            ending = extension(written.rstrip(". \t"))
            if ending in rules.endings:
                return f".{ending}"
    if canonical(file.content_type) in rules.media_types:
        return file.content_type
    if not rules.programs and not rules.media_types:
        return ""
    head = _head(file)
    if rules.programs and head.startswith(b"MZ"):
        return "program"
    found = canonical(by_signature(head))
    return found if found in rules.media_types else ""


def _names(file: File) -> Sequence[str]:
    part = file.part
    return [
        name for field in (b"content-disposition", b"content-type") for name in file_names(part.value(field)) if name
    ]


def _head(file: File) -> bytes:
    return octets_of(file.part)[:_HEAD_OCTETS]
