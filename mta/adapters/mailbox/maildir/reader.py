"""A monitored Maildir (https://cr.yp.to/proto/maildir.html, Maildir++), as the port `mta.ports.mailbox_reader`."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from mta.adapters.mailbox.maildir.directories import Directory
from mta.adapters.mailbox.maildir.failures import failure
from mta.adapters.mailbox.maildir.folder import Folder, Message
from mta.adapters.mailbox.maildir.folder_names import INBOX, directory_names, written_name
from mta.adapters.mailbox.maildir.names import Name, new_unique
from mta.adapters.mailbox.maildir.quota import Quota
from mta.adapters.mailbox.mime_item import as_crlf
from mta.adapters.mailbox.unreadable import Unreadable
from mta.config.tracking_schema import MaildirMailbox
from mta.ports.mailbox import ConflictError, ItemGoneError, NoMailboxError, RefusedError
from mta.ports.mailbox_reader import WaitingMessage

T = TypeVar("T")

_NAME_MAX = 255
"""Octets of a file's name."""
_TRIES = 3
"""So often a message is looked for that others rename meanwhile."""


class MaildirReader:
    """Fulfils `mta.ports.mailbox_reader.MailboxReader`.

    A message's `ref` is its unique name, in printable ASCII whatever its octets are.
    """

    def __init__(self, settings: MaildirMailbox) -> None:
        self._settings = settings
        self._seen: dict[str, Name] = {}
        """Where the messages of this session were last seen: a look there is cheaper than one at the whole folder."""
        self._unreadable = Unreadable()
        self._deleted: list[Name] = []
        """By us, in this session."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maildir")

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- the port -----------------------------------------------------------------------------------------------------

    async def sign_in(self) -> str:
        return await self._run(self._sign_in)

    async def folders(self) -> Sequence[str]:
        return await self._run(self._folders)

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        return await self._run(lambda: self._waiting(limit))

    async def fetch(self, ref: str, largest: int) -> bytes:
        return await self._run(lambda: self._fetch(ref, largest))

    async def mark_read(self, ref: str) -> None:
        await self._run(lambda: self._flag(ref, "S"))

    async def delete(self, ref: str) -> None:
        await self._run(lambda: self._delete(ref))

    async def move(self, ref: str, folder: str) -> None:
        await self._run(lambda: self._move(ref, folder))

    async def end_session(self, *, purge: bool) -> None:
        await self._run(lambda: self._end_session(purge=purge))

    # --- in a thread --------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        def run() -> T:
            try:
                return work()
            except OSError as exc:
                raise failure(exc) from exc

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _sign_in(self) -> str:
        with self._folder():
            return f"Maildir {self._settings.path}, folder {self._settings.folder or INBOX}"

    def _folders(self) -> list[str]:
        with self._root() as root:
            names = [file for file in root.names() if file.startswith(".") and len(file) > 1]
            found = {written_name(name) for name in names if _is_maildir(root, name)}
        return [INBOX, *sorted(found - {INBOX, ""})]

    def _waiting(self, limit: int) -> list[WaitingMessage]:
        """Of a folder of any size no more than `limit` names stand in memory, beside the list of its files."""
        is_unread_only = self._settings.after.do == "mark-read"
        with self._folder() as folder:
            names = (name for name in folder.plain_files() if not (is_unread_only and "S" in name.letters))
            oldest = heapq.nsmallest(limit, names, key=folder.age)
            found = {_ref(name): name for name in oldest}  # one that was renamed meanwhile may be there twice
            self._seen = found
            return [_waiting(folder, ref, name) for ref, name in found.items()]

    def _fetch(self, ref: str, largest: int) -> bytes:
        with self._folder() as folder, self._unreadable.reading(ref):
            for _ in range(_TRIES):
                message = self._look(folder, ref)
                if message is None:
                    raise ItemGoneError("gone", "the file is not there")
                if message.state.st_size > largest:
                    raise RefusedError("too-large", f"a message of {message.state.st_size} octets")
                try:
                    data = folder.read(message)
                except PermissionError as exc:  # of this file alone
                    raise RefusedError("EACCES", "the file can't be read by this account") from exc
                except OSError as exc:
                    raise failure(exc) from exc
                if data is not None:
                    return as_crlf(data)
        raise ConflictError("renamed", "it is being renamed again and again")

    def _flag(self, ref: str, letter: str) -> Name | None:
        """Its name then; None where it is gone."""
        with self._folder() as folder:
            for _ in range(_TRIES):
                message = self._look(folder, ref)
                if message is None:
                    return None
                if letter in message.name.letters and message.name.folder == "cur":
                    return message.name
                flagged = message.name.with_letters({*message.name.letters, letter})
                if len(os.fsencode(flagged.file)) > _NAME_MAX:
                    flagged = flagged._replace(unique=new_unique(message.state.st_size))
                renamed = folder.rename(message, flagged)
                if renamed is not None:
                    self._seen[ref] = renamed.name
                    return renamed.name
        raise ConflictError("renamed", "it is being renamed again and again")

    def _delete(self, ref: str) -> None:
        name = self._flag(ref, "T")
        if name is not None:
            self._deleted.append(name)

    def _move(self, ref: str, folder_name: str) -> None:
        """Under a name that nobody has had, so that nothing there is written over; one rename, so it is in one place
        whenever we die."""
        with self._root() as root, self._folder() as folder, ExitStack() as stack:
            message = self._look(folder, ref)
            if message is None:
                return
            target = stack.enter_context(_opened(root, folder_name, make=True))
            for _ in range(_TRIES):
                if folder.move(message, target, unique=new_unique(message.state.st_size)):
                    return
                message = self._look(folder, ref)
                if message is None:
                    return
        raise ConflictError("renamed", "it is being renamed again and again")

    def _end_session(self, *, purge: bool) -> None:
        deleted, self._deleted = self._deleted, []
        self._seen = {}
        if not purge or not deleted:
            return
        with self._root() as root, self._folder() as folder:
            quota = Quota.of(root)
            for name in deleted:
                message = folder.at(name)
                if message is not None and folder.remove(message, sync=False):
                    quota.note(-message.state.st_size, -1)
            folder.sync()

    def _look(self, folder: Folder, ref: str) -> Message | None:
        name = self._seen.get(ref)
        message = folder.look(_unique(ref), f"{name.folder}/{name.info}/" if name is not None else "new//")
        if message is not None:
            self._seen[ref] = message.name
        return message

    # --- where --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _root(self) -> Iterator[Directory]:
        try:
            directory = Directory.at(self._settings.path, ())
        except FileNotFoundError as exc:
            raise NoMailboxError("no-maildir", f"there is no folder {self._settings.path}") from exc
        with directory:
            yield directory

    @contextmanager
    def _folder(self) -> Iterator[Folder]:
        with self._root() as root, ExitStack() as stack:
            try:
                folder = stack.enter_context(_opened(root, self._settings.folder))
            except FileNotFoundError as exc:
                where = f"{self._settings.folder or INBOX} of {self._settings.path}"
                raise NoMailboxError("no-folder", f"{where} is no Maildir folder: it has no cur") from exc
            yield folder


@contextmanager
def _opened(root: Directory, name: str, *, make: bool = False) -> Iterator[Folder]:
    """A folder by the name that the configuration has for it. Raises FileNotFoundError where it isn't there."""
    names = directory_names(name)
    with ExitStack() as stack:
        directory = root
        if names:
            there = next((each for each in names if _is_maildir(root, each)), names[0])
            directory = stack.enter_context(root.folder(there, make=make))
        yield stack.enter_context(Folder(directory, make=make))


def _is_maildir(root: Directory, name: str) -> bool:
    try:
        with root.folder(name) as directory, directory.folder("cur"):
            return True
    except OSError:
        return False


def _waiting(folder: Folder, ref: str, name: Name) -> WaitingMessage:
    message = folder.at(name)
    if message is None:  # renamed meanwhile, or gone, which is seen when it is fetched
        return WaitingMessage(ref)
    return WaitingMessage(ref, message.state.st_size, _moment(name, message.state))


def _moment(name: Name, state: os.stat_result) -> datetime | None:
    try:
        return datetime.fromtimestamp(state.st_mtime if name.moment is None else name.moment, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _ref(name: Name) -> str:
    return quote(os.fsencode(name.unique), safe=",=+:@~!")


def _unique(ref: str) -> str:
    return os.fsdecode(unquote_to_bytes(ref))
