"""Body files: `bodies/<folder>/<name>.<slot>:<instance>`, each named by one row of `message`, or an orphan.

Crash safety: a file and its folder are synced before the commit that names the file, and unlinked only after the
commit that removes the name. So every committed name has its whole file; what a crash leaves behind is a file without
a name, which `orphans` finds. The row is what makes a file part of the queue: renaming it into place would add
nothing, so a spilled body stays at the path it was received at, and who holds that path can go on using it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

_FOLDERS = 64
_FOLDER_FOR_S = 60
"""Files of one minute share a folder, so that syncing it once serves many."""
ORPHAN_AFTER_S = 3600.0
"""A file without a row is left alone for this long while its process lives: its body may still be arriving."""


def make_folders(folder: Path) -> None:
    """Make the body folders, synced."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(_FOLDERS):
        (folder / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Bodies:
    """The body files that one process writes.

    `owner` ("slot:instance") marks its files, so that the slot's next instance knows its predecessor's.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self._owner = owner
        self._slot_mark = "." + owner.partition(":")[0] + ":"

    def fresh(self) -> Path:
        """A path that nobody has used."""
        number = int(time.time()) // _FOLDER_FOR_S % _FOLDERS
        return self.folder / f"{number:02x}" / f"{token_hex(12)}.{self._owner}"

    def name(self, path: Path) -> str:
        """The path as the database has it. Raises ValueError if it is not one that `fresh` gave."""
        if path.parent.parent != self.folder:
            raise ValueError(f"a spilled body has to lie where spill_path() said, not at {path}")
        return f"{path.parent.name}/{path.name}"

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and make it durable. Raises OSError; then no file is left."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(path.parent)
        except OSError:
            self.remove([path])
            raise

    def keep(self, path: Path, size_octets: int) -> None:
        """Make a file that was received into `path` durable. Raises OSError; then the file is gone.

        After a failed fsync the kernel may call the pages clean that it could not write, and the next fsync succeeds:
        such a file is not tried again (fsync(2), EIO).
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fchmod(descriptor, 0o600)
                if os.fstat(descriptor).st_size != size_octets:
                    raise OSError(f"{path} does not have the size that was received")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(path.parent)
        except OSError:
            self.remove([path])
            raise

    def link(self, path: Path, source: Path) -> None:
        """Give a file that is durable already a second name, of a message of its own. Raises OSError."""
        path.hardlink_to(source)
        sync_folder(path.parent)

    def remove(self, paths: Collection[Path]) -> None:
        """Unlink files that no row names (any more). Not synced: after a crash the sweep finds them again."""
        for path in paths:
            with suppress(OSError):
                path.unlink()

    def candidates(self, now: float) -> Iterator[Sequence[str]]:
        """Names that may be orphans, folder by folder: files of this slot's earlier instances, and old ones.

        Whether a row names them is the caller's to find out.
        """
        for folder in sorted(self.folder.iterdir()):
            with os.scandir(folder) as entries:
                yield [f"{folder.name}/{entry.name}" for entry in entries if self._may_be_orphan(entry, now)]

    def _may_be_orphan(self, entry: os.DirEntry[str], now: float) -> bool:
        if self._slot_mark in entry.name and not entry.name.endswith(self._owner):
            return True
        try:
            return now - entry.stat().st_mtime > ORPHAN_AFTER_S
        except FileNotFoundError:
            return False  # delivered and removed meanwhile
