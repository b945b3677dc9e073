"""Portraits: what may be one."""

from __future__ import annotations

from pathlib import Path

from mta.message.attachments.signatures import by_signature

PHOTO_OCTETS_MAX = 200_000
"""A picture goes out with every message, so it has to be small."""
PHOTOS_OCTETS_MAX = 100_000_000
"""Of one file's people together: every worker holds them in memory."""
_TYPES = frozenset(("image/png", "image/jpeg"))


def is_photo(data: bytes) -> bool:
    """Whether it is a PNG or JPEG picture of a size that can go out with mail."""
    return len(data) <= PHOTO_OCTETS_MAX and by_signature(data) in _TYPES


class PhotoError(ValueError):
    """A file that is no portrait; `mend` says what would be one."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


def read_photo(folder: Path, name: str) -> bytes:
    """The picture in the file of that name, which has to lie in the folder or below. Raises PhotoError."""
    path = folder / name
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        is_special = path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, RuntimeError, ValueError) as exc:  # links in a circle, a name that no file can have
        raise PhotoError(f"{name!r} can be no file", "correct the path") from exc
    if not is_inside:
        raise PhotoError(f"{name!r} is not in {folder}", "copy the picture there, and write its path from there")
    if is_special:  # reading a pipe would wait without end
        raise PhotoError(f"{path.name} is neither PNG nor JPEG", "save the picture as PNG or JPEG")
    try:
        with path.open("rb") as file:
            data = file.read(PHOTO_OCTETS_MAX + 1)
    except OSError as exc:
        raise PhotoError(f"cannot read {path}: {exc.strerror}", "correct the path, or let the service read it") from exc
    if len(data) > PHOTO_OCTETS_MAX:
        mend = "make it smaller: 96 to 200 pixels wide is plenty"
        raise PhotoError(f"{path.name} is larger than {PHOTO_OCTETS_MAX // 1000} kB", mend)
    if by_signature(data) not in _TYPES:
        raise PhotoError(f"{path.name} is neither PNG nor JPEG", "save the picture as PNG or JPEG")
    return data
