"""Folders and files below a mailbox, through descriptors: no symbolic link of its user leads us anywhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would wait for its writer
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Directory:
    """An open folder. All of it raises OSError."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def at(cls, trusted: Path, parts: Sequence[str]) -> Directory:
        """`trusted` is the administrator's, links in it are followed; the parts below it are opened one by one."""
        here = cls(os.open(trusted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for part in parts:
            with here:
                here = here.folder(part)
        return here

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

    def folder(self, name: str, *, make: bool = False) -> Directory:
        """A folder in this one; `make` makes it where it is missing, owned and accessible as this one."""
        try:
            return Directory(os.open(name, _FOLDER, dir_fd=self.descriptor))
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(name, 0o700, dir_fd=self.descriptor)
        except FileExistsError:
            return self.folder(name)
        made = self.folder(name)
        self.give(made.descriptor, os.fstat(self.descriptor).st_mode & 0o777)
        self.sync()
        return made

    def give(self, descriptor: int, mode: int) -> None:
        """What we made gets this folder's owner and that mode."""
        here = os.fstat(self.descriptor)
        if os.geteuid() == 0:
            os.fchown(descriptor, here.st_uid, here.st_gid)
        os.fchmod(descriptor, mode)

    def names(self) -> list[str]:
        """Of all entries. Names that are no UTF-8 come with surrogates, and open as what they are."""
        return os.listdir(self.descriptor)  # noqa: PTH208 (a descriptor)

    def open(self, name: str) -> int:
        """A descriptor of a plain file, to read. Raises FileNotFoundError for what is none: links, pipes, folders."""
        with _no_such_file():
            descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(f"no plain file: {name!r}")
        return descriptor

    def state(self, name: str) -> os.stat_result:
        """Of a plain file. Raises FileNotFoundError for what is none."""
        with _no_such_file():
            state = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode):
            raise FileNotFoundError(f"no plain file: {name!r}")
        return state

    def write(self, name: str, pieces: Iterable[bytes], modified_ns: int | None) -> os.stat_result:
        """A new file, on disk when this returns; none is left where that fails."""
        mode = (os.fstat(self.descriptor).st_mode & 0o060) | 0o600
        descriptor = os.open(name, _NEW, 0o600, dir_fd=self.descriptor)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
                self.give(descriptor, mode)
                file.writelines(pieces)
                file.flush()
                if modified_ns is not None:
                    os.utime(descriptor, ns=(modified_ns, modified_ns))
                os.fsync(descriptor)
                return os.fstat(descriptor)
        except BaseException:
            self.unlink(name)
            raise

    def rename(self, name: str, target: Directory, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        os.fsync(self.descriptor)


@contextmanager
def _no_such_file() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _NO_FILE:
            raise FileNotFoundError(exc.errno, "no such plain file") from exc
        raise
    except ValueError as exc:  # a NUL in the name
        raise FileNotFoundError("no such plain file") from exc
