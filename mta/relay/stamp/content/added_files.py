"""The files that rules attach: the organisation's own, and people's vCards."""

from __future__ import annotations

import errno
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mta.message.file_part import file_part
from mta.model.actions import AddAttachment
from mta.relay.stamp.context import StampContext
from mta.relay.stamp.templates.filters.vcards import vcard_file
from mta.relay.stamp.templates.values import one_line

FILE_MAX = 10_000_000
"""Octets of a file that a rule attaches."""


_KEPT_MAX = 4
"""Files whose content stays in memory; most organisations attach one or two."""


class AddedFile(NamedTuple):
    """`filename` as the reader sees it."""

    filename: str
    data: bytes


def read_file(action: AddAttachment) -> AddedFile:
    """The file as it is now. Raises OSError where it can't be read or is too large."""
    path = Path(action.file)
    status = path.stat()
    if status.st_size > FILE_MAX:
        raise OSError(errno.EFBIG, f"it is larger than {FILE_MAX} octets")
    return AddedFile(action.filename, _content(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=_KEPT_MAX)
def _content(path: Path, changed_at_ns: int, size: int) -> bytes:
    """Read again when the file has changed."""
    return path.read_bytes()


def sender_card(action: AddAttachment, context: StampContext) -> AddedFile | None:
    """The sender's vCard; None where the directory doesn't know them."""
    person = context.people.get(context.sender)
    if person is None:
        return None

    def look_up(name: str) -> str:
        return one_line(person.attributes.get(name, "") or (person.address if name == "mail" else ""))

    return AddedFile(action.filename, vcard_file(look_up))


@lru_cache(maxsize=_KEPT_MAX)
def part_of(file: AddedFile) -> bytes:
    """Header and body of the part that the file becomes."""
    return file_part(file.filename, file.data)
