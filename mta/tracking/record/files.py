"""A message's files, as a note keeps them; those that are left out, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mta.message.contents import Contents, File
from mta.message.parse import Message
from mta.model.printable import in_a_line
from mta.model.record import NewAttachment
from mta.tracking.filter.attachments import restricted_because

FILES_MAX = 200
"""Of one note."""
_NAME_MAX = 200
_TOLD_MAX = 20


@dataclass(frozen=True, slots=True)
class LeftOut:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoteFiles:
    kept: tuple[NewAttachment, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def told(self) -> str:
        """What a note says of the files left out; "" where there are none."""
        lines = [f"- {each.name}: {each.reason}" for each in self.left_out[:_TOLD_MAX]]
        if len(self.left_out) > _TOLD_MAX:
            lines.append(f"- and {len(self.left_out) - _TOLD_MAX} more")
        return "\n".join(["Attachments left out:", *lines]) if lines else ""


def note_files(
    message: Message, restricted: Sequence[str], *, with_pictures: bool, known: Collection[str] = ()
) -> NoteFiles:
    """The files of a message. `restricted` are endings and media types, `known` the hashes of what the record has:
    a picture of the text that is there already, as the logo of each mail's signature, is not kept again."""
    kept: list[NewAttachment] = []
    left_out: list[LeftOut] = []
    seen: set[tuple[str, str]] = set()
    for file in Contents(message).files:
        name = _name(file)
        why = restricted_because(file, restricted)
        if why or len(kept) >= FILES_MAX:
            left_out.append(LeftOut(name, f"{why} is restricted" if why else "there are too many"))
            continue
        if file.is_inline and not with_pictures:
            continue
        data = file.octets
        digest = hashlib.sha256(data).hexdigest()
        if (digest, name) in seen or (file.is_inline and digest in known):
            continue
        seen.add((digest, name))
        kept.append(NewAttachment(name, file.content_type[:100], data))
    return NoteFiles(tuple(kept), tuple(left_out))


def has_pictures(message: Message) -> bool:
    """Whether there are any in its text."""
    return any(file.is_inline for file in Contents(message).files)


def _name(file: File) -> str:
    """One that may be shown and saved: no folders, no control characters."""
    return in_a_line(file.name.replace("\\", "/").rpartition("/")[2], _NAME_MAX).strip(". ") or "attachment"
