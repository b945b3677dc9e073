"""Sent Items in Maildirs, as the port `mta.ports.mailbox.SentItems`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mta.adapters.mailbox.maildir.directories import Directory
from mta.adapters.mailbox.maildir.failures import failure
from mta.adapters.mailbox.maildir.folder import Folder, Message
from mta.adapters.mailbox.maildir.names import Flags, Name
from mta.adapters.mailbox.maildir.quota import Quota
from mta.adapters.mailbox.mime_item import (
    LARGEST_OCTETS,
    Kept,
    as_crlf,
    flags_of,
    found_item,
    sent_item,
    stamped,
    stored_at,
)
from mta.adapters.transport.maildir import folder_name
from mta.config.mailbox_schema import MaildirMailboxes
from mta.message.parse import parse
from mta.model.address import AddressError, parse_address
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem, stamped_job
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    NO_FOLDER_YET,
    AccessDeniedError,
    ConflictError,
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    RefusedError,
)

T = TypeVar("T")

_NEWEST = 5000
"""So many messages are looked through for one; what was just sent is among the newest."""
_TRASH = ".Trash"
_UNFILED = (".Trash", ".Drafts", ".Junk")
_FOLDERS_MAX = 1000
_PLACEHOLDER = re.compile(r"\{(?:domain|local)\}")
_STORED_NEAR = timedelta(days=1)


class MaildirSentItems:
    """Fulfils `mta.ports.mailbox.SentItems`."""

    can_rewrite = False

    def __init__(self, settings: MaildirMailboxes) -> None:
        self._template = settings.folder
        self._sent = PurePosixPath(settings.sent_folder).parts
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="maildir")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- the port -----------------------------------------------------------------------------------------------------

    async def sign_in(self, mailbox: str) -> str:
        return await self._run(self._sign_in, mailbox)

    async def primary_address(self, mailbox: str) -> str:
        await self._run(self._sign_in, mailbox)
        return mailbox

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        words = (message_id.encode("utf-8", "replace"), job.encode())

        def is_meant(item: FoundItem) -> bool:
            return item.message_id == message_id or stamped_job(item.stamp) == job

        return await self._run(self._find, mailbox, words, is_meant)

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        return await self._run(self._find_similar, mailbox, subject, sent_at, within)

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        return await self._run(self._read, mailbox, ref)

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        return await self._run(self._create, mailbox, item)

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        raise RefusedError("read-only", "messages in a Maildir never change")

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        return await self._run(self._set_marks, mailbox, ref, marks)

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        await self._run(self._remove, mailbox, ref, how)

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        return await self._run(self._find_filed, mailbox, message_id)

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        return await self._run(self._put_mark, mailbox, ref, mark)

    # --- in a thread --------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], mailbox: str, *arguments: object) -> T:
        def run() -> T:
            try:
                return work(mailbox, *arguments)
            except OSError as exc:
                raise failure(exc) from exc

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def _sign_in(self, mailbox: str) -> str:
        with self._mailbox(mailbox), suppress(ItemGoneError), self._folder(mailbox):
            return f"Maildir {self._path(mailbox)}"
        return f"Maildir {self._path(mailbox)}, {NO_FOLDER_YET}"

    def _find(self, mailbox: str, words: Sequence[bytes], is_meant: Callable[[FoundItem], bool]) -> list[FoundItem]:
        with suppress(ItemGoneError), self._folder(mailbox) as folder:
            return [
                item
                for name in folder.newest(_NEWEST)
                if (header := folder.header(name, words)) is not None
                and (item := _found(folder, name, header)) is not None
                and is_meant(item)
            ]
        return []

    def _find_similar(self, mailbox: str, subject: str, sent_at: datetime, within: timedelta) -> list[FoundItem]:
        with suppress(ItemGoneError), self._folder(mailbox) as folder:
            return [
                item
                for name in folder.newest(_NEWEST)
                if _may_be_of(name, sent_at)
                and (header := folder.header(name, (b"",))) is not None
                and (item := _found(folder, name, header)) is not None
                and item.sent_at is not None
                and abs(item.sent_at - sent_at) <= within
                and parse(as_crlf(header)).subject == subject
            ]
        return []

    def _read(self, mailbox: str, ref: ItemRef) -> SentItem:
        with self._folder(mailbox) as folder:
            for _ in range(3):  # its reader may rename it meanwhile
                message = _present(folder, ref)
                if message.state.st_size > LARGEST_OCTETS:
                    raise RefusedError("too-large", f"an item of {message.state.st_size} octets")
                if (data := folder.read(message)) is not None:
                    flags = folder.flags().of_letters(message.name.letters)
                    modified = datetime.fromtimestamp(message.state.st_mtime, UTC)
                    return sent_item(as_crlf(data), Kept(_ref(message), flags, modified))
        raise ConflictError("renamed", "it is being renamed again and again")

    def _find_filed(self, mailbox: str, message_id: str) -> list[FiledItem]:
        word = message_id.encode("utf-8", "replace")
        found: list[FiledItem] = []
        with self._mailbox(mailbox) as root:
            for place in self._filing_places(root):
                try:
                    with self._filing_folder(root, place) as folder:
                        found += _copies(folder, place, word, message_id)
                except FileNotFoundError:
                    continue
                except OSError as exc:  # a link to others' folders; where the user keeps his own, it is told of
                    if place in ("", *self._sent[:1]) or not isinstance(failure(exc), AccessDeniedError):
                        raise
        return found

    def _put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """A category becomes a keyword; a link has no place in a message that never changes."""
        place, _, unique = ref.id.rpartition("/")
        with self._mailbox(mailbox) as root, self._filing_folder(root, place) as folder:
            message = _present(folder, ItemRef(unique, ref.change_key))
            keywords = flags_of(Marks(is_read=False, categories=(mark.category,)))
            name = message.name.with_letters({*message.name.letters, *folder.flags().letters(keywords)})
            renamed = message if name == message.name else folder.rename(message, name)
            if renamed is None:
                raise _changed()
            return ItemRef(ref.id, renamed.version)

    def _filing_places(self, root: Directory) -> list[str]:
        """The mailbox itself, and its folders; not those of what was deleted or is a draft."""
        names = sorted(name for name in root.names() if name.startswith(".") and not name.startswith(_UNFILED))
        return ["", *names[:_FOLDERS_MAX]]

    @contextmanager
    def _filing_folder(self, root: Directory, place: str) -> Iterator[Folder]:
        with ExitStack() as stack:
            directory = stack.enter_context(root.folder(place, make=False)) if place else root
            yield stack.enter_context(Folder(directory))

    def _create(self, mailbox: str, item: NewItem) -> ItemRef:
        data = stamped(item).replace(b"\r\n", b"\n")
        moment = stored_at(item)
        modified_ns = None if moment is None else int(moment.timestamp() * 10**6) * 1000
        with self._mailbox(mailbox) as root, self._folder(mailbox, make=True) as folder:
            quota = Quota.of(root)
            quota.need(len(data))
            letters = _letters(folder.flags(), item.marks, "")
            message = folder.add(data, letters, modified_ns)
            quota.note(len(data), 1)
            return _ref(message)

    def _set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        with self._folder(mailbox) as folder:
            message = _unchanged(folder, ref)
            name = message.name.with_letters(_letters(folder.flags(), marks, message.name.letters))
            if name == message.name:
                return _ref(message)
            renamed = folder.rename(message, name)
            if renamed is None:
                raise _changed()
            return _ref(renamed)

    def _remove(self, mailbox: str, ref: ItemRef, how: Removal) -> None:
        with self._mailbox(mailbox) as root, suppress(ItemGoneError), self._folder(mailbox) as folder:
            message = _unchanged(folder, ref)
            is_done = _destroy(root, folder, message) if how is Removal.FOR_GOOD else _discard(root, folder, message)
            if not is_done and folder.look(ref.id) is not None:  # renamed between our look and our hand
                raise _changed()

    # --- where ----------------------------------------------------------------------------------------------------

    def _path(self, mailbox: str) -> Path:
        try:
            address = parse_address(mailbox)
        except AddressError as exc:
            raise NoMailboxError("no-address", str(exc)) from exc
        local, _, _ = address.key.rpartition("@")
        values = {"{domain}": folder_name(address.domain_key), "{local}": folder_name(local)}
        parts = (_PLACEHOLDER.sub(lambda match: values[match[0]], part) for part in self._template.parts)
        return Path(*parts)

    @contextmanager
    def _mailbox(self, mailbox: str) -> Iterator[Directory]:
        parts = self._path(mailbox).parts
        own = next((n for n, part in enumerate(self._template.parts) if _PLACEHOLDER.search(part)), len(parts))
        try:
            directory = Directory.at(Path(*parts[:own]), parts[own:])
        except FileNotFoundError as exc:
            raise NoMailboxError("no-maildir", f"there is no folder {self._path(mailbox)}") from exc
        with directory:
            yield directory

    @contextmanager
    def _folder(self, mailbox: str, *, make: bool = False) -> Iterator[Folder]:
        """The Sent folder. Raises ItemGoneError where the mailbox has none yet."""
        with ExitStack() as stack:
            directory = stack.enter_context(self._mailbox(mailbox))
            try:
                for part in self._sent:
                    directory = stack.enter_context(directory.folder(part, make=make))
                folder = stack.enter_context(Folder(directory, make=make))
            except FileNotFoundError as exc:
                raise ItemGoneError("no-folder", "the mailbox has no folder for sent items") from exc
            yield folder


def _copies(folder: Folder, place: str, word: bytes, message_id: str) -> Iterator[FiledItem]:
    for name in folder.newest(_NEWEST):
        header = folder.header(name, (word,))
        item = None if header is None else _found(folder, name, header)
        if item is not None and item.message_id == message_id:
            yield FiledItem(ItemRef(f"{place}/{item.ref.id}", item.ref.change_key), place or "INBOX")


def _destroy(root: Directory, folder: Folder, message: Message) -> bool:
    quota = Quota.of(root)
    is_done = folder.remove(message)
    if is_done:
        quota.note(-message.state.st_size, -1)
    return is_done


def _discard(root: Directory, folder: Folder, message: Message) -> bool:
    with root.folder(_TRASH, make=True) as directory, Folder(directory, make=True) as trash:
        return folder.move(message, trash)


def _found(folder: Folder, name: Name, header: bytes) -> FoundItem | None:
    message = folder.look(name.unique, f"{name.folder}/{name.info}/")
    return None if message is None else found_item(_ref(message), as_crlf(header))


def _ref(message: Message) -> ItemRef:
    return ItemRef(message.name.unique, message.version)


def _present(folder: Folder, ref: ItemRef) -> Message:
    message = folder.look(ref.id, ref.change_key)
    if message is None:
        raise ItemGoneError("gone", "the file is not there")
    return message


def _unchanged(folder: Folder, ref: ItemRef) -> Message:
    message = _present(folder, ref)
    if ref.change_key and message.version != ref.change_key:
        raise _changed()
    return message


def _changed() -> MailboxError:
    return ConflictError("renamed", "its flags were changed meanwhile")


def _letters(flags: Flags, marks: Marks, present: str) -> set[str]:
    """Those of the marks, and of those that are there what marks don't tell of: a draft stays one."""
    return flags.letters(flags_of(marks)) | (set(present) & {"D"})


def _may_be_of(name: Name, sent_at: datetime) -> bool:
    return name.moment is None or abs(name.moment - sent_at.timestamp()) <= _STORED_NEAR.total_seconds()
