"""Sent Items on an IMAP server, as the port `mta.ports.mailbox.SentItems`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from mta.adapters.mailbox.imap.client import Client, Selected, quoted
from mta.adapters.mailbox.imap.connections import KEPT_S, Connections
from mta.adapters.mailbox.imap.sign_in import SignIn
from mta.adapters.mailbox.mime_item import (
    LARGEST_OCTETS,
    STAMP_FIELD,
    Kept,
    as_crlf,
    flags_of,
    found_item,
    sent_item,
    stamped,
    stored_at,
)
from mta.config.mailbox_schema import ImapMailboxes
from mta.message.parse import LimitExceededError, parse
from mta.model.address import AddressError, parse_address
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem, stamped_job
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    NO_FOLDER_YET,
    AccessDeniedError,
    ConflictError,
    ItemGoneError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    RefusedError,
)

T = TypeVar("T")

_FOUND_MAX = 100
"""So many of those that a server finds are looked at, the newest; there are one or two."""
_FOLDERS_MAX = 500
"""So many folders are looked through for a filed message."""
_SIMILAR_MAX = 1000
"""Of those of the same day."""
_FIELDS = f"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE SUBJECT {STAMP_FIELD.upper()})]"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DELETED = "\\Deleted"


class ImapSentItems:
    """Fulfils `mta.ports.mailbox.SentItems`. Raises OSError or KeyError when made, if a file can't be read."""

    can_rewrite = False

    def __init__(self, settings: ImapMailboxes) -> None:
        self._settings = settings
        self._sign_in = SignIn(settings)
        self._connections = Connections(settings.connections, self._sign_in.open)
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="imap")
        self._tidying: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def close(self) -> None:
        self._is_closed = True
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connections.close()
        self._sign_in.close()

    # --- the port -----------------------------------------------------------------------------------------------------

    async def sign_in(self, mailbox: str) -> str:
        return await self._run(mailbox, self._greeting)

    async def primary_address(self, mailbox: str) -> str:
        """IMAP has no word for it."""
        await self._run(mailbox, self._greeting)
        return mailbox

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        return await self._run(mailbox, lambda client: self._find(client, message_id, job))

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        return await self._run(mailbox, lambda client: self._find_similar(client, subject, sent_at, within))

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        return await self._run(mailbox, lambda client: self._read(client, ref))

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        return await self._run(mailbox, lambda client: self._create(client, item))

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        raise RefusedError("read-only", "messages in IMAP never change")

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        return await self._run(mailbox, lambda client: self._set_marks(client, ref, marks))

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        await self._run(mailbox, lambda client: self._remove(client, ref, how))

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        return await self._run(mailbox, lambda client: self._find_filed(client, message_id))

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        return await self._run(mailbox, lambda client: self._put_mark(client, ref, mark))

    # --- connections --------------------------------------------------------------------------------------------------

    async def _run(self, mailbox: str, work: Callable[[Client], T]) -> T:
        try:
            parse_address(mailbox)
        except AddressError as exc:
            raise NoMailboxError("no-address", str(exc)) from exc

        def run() -> T:
            with self._connections.to(mailbox) as client:
                return work(client)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, run)
        finally:
            if self._tidying is None and not self._is_closed:
                self._tidying = loop.call_later(KEPT_S, self._tidy, loop)

    def _tidy(self, loop: asyncio.AbstractEventLoop) -> None:
        is_left = self._connections.drop_idle()
        self._tidying = loop.call_later(KEPT_S, self._tidy, loop) if is_left else None

    # --- in a thread --------------------------------------------------------------------------------------------------

    def _greeting(self, client: Client) -> str:
        where = f"{client.greeting()} at {self._sign_in.place}"
        try:
            return f"{where}, folder {self._selected(client).name}"
        except ItemGoneError:
            return f"{where}, {NO_FOLDER_YET}"

    def _folder_name(self, client: Client) -> str:
        """ "" where the mailbox has none."""
        return self._settings.sent_folder or client.sent_folder() or ""

    def _selected(self, client: Client, *, anew: bool = False) -> Selected:
        name = self._folder_name(client)
        if not name:
            raise ItemGoneError("no-folder", "the mailbox has no folder for sent items")
        return client.select(name, anew=anew)

    def _find(self, client: Client, message_id: str, job: str) -> list[FoundItem]:
        words = quoted(message_id) if message_id else None
        criteria = b'HEADER %b "%b"' % (STAMP_FIELD.encode(), job.encode("ascii"))
        if words is not None:
            criteria = b"OR HEADER Message-ID %b %b" % (words, criteria)
        return [
            item
            for item, _ in self._looked_up(client, criteria, _FOUND_MAX)
            if item.message_id == message_id or stamped_job(item.stamp) == job
        ]

    def _find_similar(self, client: Client, subject: str, sent_at: datetime, within: timedelta) -> list[FoundItem]:
        """By day, as servers differ in what they take for a Date's time and a subject's text."""
        first, last = (sent_at - within - timedelta(days=1)), (sent_at + within + timedelta(days=2))
        criteria = f"SENTSINCE {_day(first)} SENTBEFORE {_day(last)}".encode()
        return [
            item
            for item, found_subject in self._looked_up(client, criteria, _SIMILAR_MAX)
            if found_subject == subject and item.sent_at is not None and abs(item.sent_at - sent_at) <= within
        ]

    def _looked_up(self, client: Client, criteria: bytes, most: int) -> list[tuple[FoundItem, str]]:
        """What the server finds, and its subjects. What it takes for a match is compared by us again."""
        try:
            folder = self._selected(client, anew=True)
        except ItemGoneError:
            return []
        uids = client.search(b"UNDELETED " + criteria)[:most]
        found = []
        for uid, told in client.fetch(uids, [_FIELDS, *_versions(client)]).items():
            header = next((value for key, value in told.items() if key.startswith(b"BODY[")), b"")
            ref = _ref(folder, uid, _State.of(told))
            if isinstance(header, bytes) and (item := found_item(ref, header)) is not None:
                found.append((item, _subject(header)))
        return found

    def _read(self, client: Client, ref: ItemRef) -> SentItem:
        folder, uid = self._place_of(client, ref)
        state = _state(client, uid)
        if state.size_octets > LARGEST_OCTETS:
            raise RefusedError("too-large", f"an item of {state.size_octets} octets")
        data = client.fetch([uid], ["BODY.PEEK[]"]).get(uid, {}).get(b"BODY[]")
        if not isinstance(data, bytes):
            raise ItemGoneError("gone", "the message is not there")
        return sent_item(as_crlf(data), Kept(_ref(folder, uid, state), state.flags, state.stored_at))

    def _create(self, client: Client, item: NewItem) -> ItemRef:
        data = stamped(item)
        try:
            folder = self._selected(client)
        except ItemGoneError:
            folder = client.select(client.make_sent_folder(self._settings.sent_folder))
        uid = client.append(folder.name, data, folder.takes(flags_of(item.marks)), stored_at(item))
        if uid is not None:
            return ItemRef(f"{uid[0]}.{uid[1]}")
        for found in self._find(client, "", stamped_job(item.stamp)):
            if found.stamp == item.stamp:
                return found.ref
        raise OutcomeUnknownError("not-seen", "the server took the message, and doesn't show it yet")

    def _set_marks(self, client: Client, ref: ItemRef, marks: Marks) -> ItemRef:
        folder, uid = self._place_of(client, ref)
        state = _unchanged(client, uid, ref)
        flags = {*folder.takes(flags_of(marks)), *(state.flags & {"\\Draft"})}
        if flags != state.flags - {"\\Recent"}:
            if not client.store(uid, "", sorted(flags), state.modseq):
                raise _changed()
            state = _state(client, uid)
        return _ref(folder, uid, state)

    def _remove(self, client: Client, ref: ItemRef, how: Removal) -> None:
        try:
            folder, uid = self._place_of(client, ref)
            state = _unchanged(client, uid, ref)
        except ItemGoneError:
            return
        trash = None if how is Removal.FOR_GOOD else client.trash()
        if trash is not None and trash != folder.name:
            if client.has("MOVE"):
                client.move([uid], trash)
                return
            client.copy([uid], trash)
        # From here on we and its user's programs take it for deleted. Where a server can't expunge one message alone
        # (RFC 4315), it stays so until its user tidies up: a plain EXPUNGE would take others' messages with it.
        if not client.store(uid, "+", [_DELETED], state.modseq):
            raise _changed()
        if client.has("UIDPLUS"):
            client.expunge(uid)

    def _find_filed(self, client: Client, message_id: str) -> list[FiledItem]:
        words = quoted(message_id)
        if words is None:
            return []
        found = []
        for name in client.filing_folders(self._folder_name(client), _FOLDERS_MAX):
            try:
                folder = client.select(name, anew=True)
            except ItemGoneError:
                continue
            except AccessDeniedError:  # others' folders may lie below; the mailbox itself is open to us or not
                if name.upper() == "INBOX":
                    raise
                continue
            uids = client.search(b"UNDELETED HEADER Message-ID " + words)[:_FOUND_MAX]
            for uid, told in (client.fetch(uids, [_FIELDS, *_versions(client)]) if uids else {}).items():
                header = next((value for key, value in told.items() if key.startswith(b"BODY[")), b"")
                item = found_item(_ref(folder, uid, _State.of(told)), header) if isinstance(header, bytes) else None
                if item is not None and item.message_id == message_id:
                    found.append(FiledItem(ItemRef(f"{item.ref.id}/{name}", item.ref.change_key), name))
        return found

    def _put_mark(self, client: Client, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """A category becomes a keyword; a link has no place in a message that never changes."""
        numbers, _, name = ref.id.partition("/")
        validity, _, uid = numbers.partition(".")
        folder = client.select(name)
        if validity != str(folder.uid_validity) or not uid.isdecimal():
            raise ItemGoneError("uid-validity", "the folder was made anew")
        _state(client, int(uid))
        keywords = folder.takes(flags_of(Marks(is_read=False, categories=(mark.category,))))
        if keywords:
            client.store(int(uid), "+", keywords, "")
        return ItemRef(ref.id, _state(client, int(uid)).version)

    def _place_of(self, client: Client, ref: ItemRef) -> tuple[Selected, int]:
        """Raises ItemGoneError where the folder was made anew: then UIDs mean nothing any more (RFC 3501 §2.3.1.1)."""
        folder = self._selected(client)
        validity, _, uid = ref.id.partition(".")
        if validity != str(folder.uid_validity) or not uid.isdecimal():
            raise ItemGoneError("uid-validity", "the folder was made anew")
        return folder, int(uid)


@dataclass(frozen=True, slots=True)
class _State:
    """Of one message now."""

    flags: frozenset[str]
    modseq: str
    """Another one after each change (RFC 7162); "" where the server has no such thing."""
    size_octets: int = 0
    stored_at: datetime | None = None

    @classmethod
    def of(cls, told: object) -> _State:
        """From an answer to FETCH. Raises MailboxUnavailableError where that is nonsense."""
        try:
            assert isinstance(told, dict)
            moment = told.get(b"INTERNALDATE")
            return cls(
                frozenset(flag.decode("ascii", "replace") for flag in told.get(b"FLAGS", ())),
                str(int(told[b"MODSEQ"][0])) if b"MODSEQ" in told else "",
                int(told.get(b"RFC822.SIZE", 0)),
                moment.astimezone(UTC) if isinstance(moment, datetime) else None,
            )
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError, OverflowError) as exc:
            raise MailboxUnavailableError("nonsense", "the server answers what is no IMAP") from exc

    @property
    def version(self) -> str:
        return self.modseq or " ".join(sorted(self.flags - {"\\Recent"})) or "-"


def _versions(client: Client) -> list[str]:
    return ["FLAGS", "MODSEQ"] if client.has("CONDSTORE") else ["FLAGS"]


def _state(client: Client, uid: int) -> _State:
    told = client.fetch([uid], ["RFC822.SIZE", "INTERNALDATE", *_versions(client)]).get(uid)
    if told is None:
        raise ItemGoneError("gone", "the message is not there")
    state = _State.of(told)
    if _DELETED in state.flags:
        raise ItemGoneError("deleted", "its user has deleted it")
    return state


def _unchanged(client: Client, uid: int, ref: ItemRef) -> _State:
    state = _state(client, uid)
    if ref.change_key and ref.change_key != state.version:
        raise _changed()
    return state


def _changed() -> ConflictError:
    return ConflictError("changed", "its flags were changed meanwhile")


def _ref(folder: Selected, uid: int, state: _State) -> ItemRef:
    return ItemRef(f"{folder.uid_validity}.{uid}", state.version)


def _day(moment: datetime) -> str:
    """As SEARCH has it, in English whatever the locale."""
    return f"{moment.day}-{_MONTHS[moment.month - 1]}-{moment.year}"


def _subject(header: bytes) -> str:
    try:
        return parse(header).subject
    except LimitExceededError:
        return ""
