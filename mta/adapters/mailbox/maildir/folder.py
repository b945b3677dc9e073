"""One Maildir folder: which messages are in it, and what becomes of them. All of it raises OSError."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from mta.adapters.mailbox.maildir.directories import Directory
from mta.adapters.mailbox.maildir.names import Flags, Name, name_of, new_unique

_PLACES = ("tmp", "new", "cur")
_CHUNK = 8192
_TRIES = 3
"""So often a header is read that a reader renames meanwhile."""
_LOOKS = 50
_BETWEEN_LOOKS = 0.005
"""Seconds. With `_LOOKS`, a reader that renames without a pause is borne for a quarter of a second."""
_SETTLED_NS = 20_000_000
"""File systems stamp changes in steps of up to 10 ms: after a change younger than this another one may not be seen."""
_HEADER_MAX = 100_000
"""Octets; a longer header is read to there."""


class Message(NamedTuple):
    """One message as it lies there now. Its bytes never change; name and place do."""

    name: Name
    state: os.stat_result

    @property
    def version(self) -> str:
        """Another one after each change; says where to look first."""
        return f"{self.name.folder}/{self.name.info}/{self.state.st_ino}.{self.state.st_mtime_ns}.{self.state.st_size}"


class Folder:
    """Open while it is used as a context. Only `cur` has to be there, others come with the first message."""

    def __init__(self, directory: Directory, *, make: bool = False) -> None:
        self._directory = directory
        self._places: dict[str, Directory] = {}
        self._make = make

    def __enter__(self) -> Folder:
        try:
            for place in _PLACES:
                try:
                    self._places[place] = self._directory.folder(place, make=self._make)
                except FileNotFoundError:
                    if place == "cur":
                        raise
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._places.values():
            os.close(place.descriptor)

    def flags(self) -> Flags:
        return Flags.of(self._directory)

    def messages(self) -> Iterator[Name]:
        """Each once, those that their user has deleted left out.

        `new` is listed first: what a reader moves to `cur` meanwhile is seen there.
        """
        found: dict[str, Name] = {}
        for place in ("new", "cur"):
            for file in self._places[place].names() if place in self._places else ():
                if (name := name_of(place, file)) is not None:
                    found[name.unique] = name
        return (name for name in found.values() if not name.is_deleted)

    def plain_files(self) -> Iterator[Name]:
        """As `messages`, one by one without keeping them: of those renamed meanwhile some come twice. No links."""
        for place in ("new", "cur"):
            if place in self._places:
                with os.scandir(self._places[place].descriptor) as entries:
                    for entry in entries:
                        name = name_of(place, entry.name)
                        if name is not None and not name.is_deleted and entry.is_file(follow_symlinks=False):
                            yield name

    def age(self, name: Name) -> tuple[int, int, int, str]:
        """To sort by when they came into the folder, oldest first."""
        moment, microseconds, number = name.order
        return (self._moment(name) if moment is None else moment, microseconds, number, name.unique)

    def newest(self, most: int) -> list[Name]:
        """Of the messages, by when they came into the folder."""
        return sorted(self.messages(), key=self._moment, reverse=True)[:most]

    def _moment(self, name: Name) -> int:
        if name.moment is not None:
            return name.moment
        try:
            return int(self._places[name.folder].state(name.file).st_mtime)
        except FileNotFoundError:
            return 0

    def header(self, name: Name, wanted: Iterable[bytes]) -> bytes | None:
        """The header of a message, as it stands, if one of these octet strings is in it; None for one that has gone."""
        for _ in range(_TRIES):
            try:
                descriptor = self._places[name.folder].open(name.file)
            except FileNotFoundError:
                moved = self.look(name.unique)
                if moved is None or moved.name == name:
                    return None
                name = moved.name
                continue
            data = _read_header(descriptor)
            return data if any(word in data for word in wanted) else None
        return None

    def look(self, unique: str, version: str = "") -> Message | None:
        """The message of that name; None where it is gone, or its user has deleted it.

        A listing may miss what is renamed while it is made (POSIX, readdir), so an absence is believed only where
        nothing in the folder changed meanwhile. Raises BlockingIOError where its reader doesn't pause.
        """
        place, _, rest = version.partition("/")
        guess = Name(place, unique, rest.rpartition("/")[0])
        if (
            guess.folder in self._places
            and guess.folder != "tmp"
            and "/" not in guess.file
            and (found := self.at(guess)) is not None
        ):
            return None if guess.is_deleted else found
        for _ in range(_LOOKS):
            began, changed = time.time_ns(), self._changed()
            name = next((name for name in self.messages() if name.unique == unique), None)
            if name is not None and (found := self.at(name)) is not None:
                return found
            is_settled = all(abs(began - moment) > _SETTLED_NS for moment in changed)
            if is_settled and self._changed() == changed:  # not there, or no plain file
                return None
            time.sleep(_BETWEEN_LOOKS)
        raise BlockingIOError(errno.EAGAIN, "its reader renames messages again and again")

    def _changed(self) -> list[int]:
        """When messages last came, went or got other names, in nanoseconds."""
        return [
            os.fstat(self._places[place].descriptor).st_mtime_ns for place in ("new", "cur") if place in self._places
        ]

    def at(self, name: Name) -> Message | None:
        """The message, if that is still its name."""
        try:
            return Message(name, self._places[name.folder].state(name.file))
        except FileNotFoundError:
            return None

    def read(self, message: Message) -> bytes | None:
        """Its octets, no more than it had when it was looked at; None where it has gone meanwhile."""
        try:
            descriptor = self._places[message.name.folder].open(message.name.file)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            return file.read(message.state.st_size)

    def add(self, data: bytes, letters: Iterable[str], modified_ns: int | None) -> Message:
        """A new message, on disk when this returns; where that fails, it is not there."""
        name = Name("cur", new_unique(len(data)), "").with_letters(letters)
        tmp, cur = self._places["tmp"], self._places["cur"]
        state = tmp.write(name.unique, (data,), modified_ns)
        tmp.rename(name.unique, cur, name.file)
        try:
            cur.sync()
        except BaseException:
            with suppress(FileNotFoundError):  # or a reader has renamed it already: then it stays, with its stamp
                cur.unlink(name.file)
            raise
        return Message(name, state)

    def rename(self, message: Message, name: Name) -> Message | None:
        """With other flags; None where it is no longer as it was."""
        try:
            self._places[message.name.folder].rename(message.name.file, self._places[name.folder], name.file)
        except FileNotFoundError:
            return None
        for place in {message.name.folder, name.folder}:
            self._places[place].sync()
        return self.at(name)

    def move(self, message: Message, target: Folder, *, unique: str = "") -> bool:
        """Into another folder of the same file system, under another name if one is given; whether it was still as it
        was."""
        name = message.name
        there = Name("cur", unique or name.unique, "").with_letters(name.letters)
        try:
            self._places[name.folder].rename(name.file, target._places["cur"], there.file)
        except FileNotFoundError:
            return False
        target._places["cur"].sync()
        self._places[name.folder].sync()
        return True

    def remove(self, message: Message, *, sync: bool = True) -> bool:
        """For good; whether it was still as it was. Of several, one `sync` at the end will do."""
        place = self._places[message.name.folder]
        try:
            place.unlink(message.name.file)
        except FileNotFoundError:
            return False
        if sync:
            place.sync()
        return True

    def sync(self) -> None:
        for place in self._places.values():
            place.sync()


def _read_header(descriptor: int) -> bytes:
    with open(descriptor, "rb", buffering=0) as file:
        data = _header(file.read(_CHUNK) or b"")
        while len(data) < _HEADER_MAX and not _is_whole(data) and (more := file.read(_CHUNK)):
            data = _header(data + more)
    return data


def _header(data: bytes) -> bytes:
    """Up to the empty line, if it is there."""
    ends = [end + 2 if data[end : end + 2] == b"\n\n" else end + 3 for end in _blank_lines(data)]
    return data[: min(ends)] if ends else data


def _blank_lines(data: bytes) -> list[int]:
    return [at for at in (data.find(b"\n\n"), data.find(b"\n\r\n")) if at >= 0]


def _is_whole(data: bytes) -> bool:
    return data.endswith((b"\n\n", b"\n\r\n"))
