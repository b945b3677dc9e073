"""A monitored folder on an IMAP server, as the port `mta.ports.mailbox_reader`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from mta.adapters.mailbox.access import Access
from mta.adapters.mailbox.imap.client import Client
from mta.adapters.mailbox.imap.folder_names import Namespace
from mta.adapters.mailbox.mime_item import as_crlf
from mta.adapters.mailbox.session import Session
from mta.adapters.mailbox.stream import Stream
from mta.adapters.mailbox.unreadable import Unreadable
from mta.config.tracking_schema import ImapMailbox
from mta.ports.mailbox import (
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
)
from mta.ports.mailbox_reader import WaitingMessage

_PORTS = (993, 143)
_ANSWER_MAX = 2_000_000
"""Octets of what is no message."""
_PAGE = 20_000
"""So many messages are searched at a time, so that no answer is long, however many lie in the folder."""
_FETCHED = 500
"""So many are asked about in one command: its line has to stay below what servers take."""
_UID = re.compile(r"[0-9]{1,10}\Z")
_DELETED = "\\Deleted"


class ImapReader:
    """Fulfils `mta.ports.mailbox_reader.MailboxReader` and `PutsAwayTogether`. A message's `ref` is UIDVALIDITY.UID."""

    def __init__(self, settings: ImapMailbox) -> None:
        """Raises OSError or KeyError if a secret or a file can't be read."""
        self._settings = settings
        self._access = Access(settings, ports=_PORTS)
        self._session = Session(self._connected, name="imap")
        self._unreadable = Unreadable()

    async def close(self) -> None:
        self._session.close()
        self._access.close()

    # --- the port -----------------------------------------------------------------------------------------------------

    async def sign_in(self) -> str:
        return await self._session.run(self._greeting)

    async def folders(self) -> Sequence[str]:
        return await self._session.run(lambda folder: folder.names())

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        unread = self._settings.after.do == "mark-read"
        return await self._session.run(lambda folder: folder.waiting(limit, is_unread_only=unread))

    async def fetch(self, ref: str, largest: int) -> bytes:
        return await self._session.run(lambda folder: self._fetch(folder, ref, largest))

    async def mark_read(self, ref: str) -> None:
        await self._put_one_away(ref, "mark-read")

    async def delete(self, ref: str) -> None:
        await self._put_one_away(ref, "delete")

    async def move(self, ref: str, folder: str) -> None:
        await self._put_one_away(ref, "move", folder)

    async def put_away(self, refs: Sequence[str], do: str, folder: str) -> None:
        await self._session.run(lambda own: own.put_away(refs, do, folder))

    async def end_session(self, *, purge: bool) -> None:
        await self._session.end(lambda folder: folder.leave(purge=purge))

    async def _put_one_away(self, ref: str, do: str, folder: str = "") -> None:
        with suppress(ItemGoneError):
            await self._session.run(lambda own: own.put_away([ref], do, folder))

    # --- in a thread --------------------------------------------------------------------------------------------------

    def _greeting(self, folder: MonitoredFolder) -> str:
        return f"{folder.client.greeting()} at {self._access.place}, folder {self._settings.folder}"

    def _fetch(self, folder: MonitoredFolder, ref: str, largest: int) -> bytes:
        with self._unreadable.reading(ref):
            return folder.fetch(ref, largest)

    def _connected(self, opened: Callable[[Stream], None]) -> MonitoredFolder:
        access = self._access
        client = Client(
            access.host, access.port, name=access.name, implicit=access.implicit, context=access.context,
            timeout_s=access.timeout_s, room=_ANSWER_MAX, opened=opened,
        )  # fmt: skip
        try:
            access.sign_in(client.sign_in_by_password, client.sign_in_by_token)
            return MonitoredFolder(client, self._settings.folder)
        except BaseException:
            client.close()
            raise


class MonitoredFolder:
    """The folder, selected on a signed-in connection. All of it raises MailboxError."""

    def __init__(self, client: Client, written: str) -> None:
        self.client = client
        self._namespace: Namespace = client.namespace()
        self._name = self._namespace.on_server(written)
        self._made: set[str] = set()
        """Folders known to be there."""
        self._deleted: set[int] = set()
        """UIDs that we marked so."""
        try:
            self._validity = client.select(self._name).uid_validity
        except ItemGoneError as exc:
            raise NoMailboxError("no-folder", f"the account has no folder {written}") from exc

    @property
    def is_broken(self) -> bool:
        return self.client.is_broken

    def close(self) -> None:
        self.client.close()

    def names(self) -> list[str]:
        written = map(self._namespace.written, self.client.folder_names())
        return sorted({name for name in written if name and name.isprintable()})

    def waiting(self, limit: int, *, is_unread_only: bool) -> list[WaitingMessage]:
        """Lower UIDs came earlier (RFC 3501 §2.3.1.1). Of those not asked for no list is ever made."""
        selected = self.client.select(self._name, anew=True)
        self._validity = selected.uid_validity
        uids = list(islice(self._searched(selected.messages, is_unread_only=is_unread_only), limit))
        found: list[WaitingMessage] = []
        for page in _pages(uids):
            told = self.client.fetch(page, ["RFC822.SIZE", "INTERNALDATE"])
            found.extend(self._waiting(uid, told[uid]) for uid in page if uid in told)
        return found

    def fetch(self, ref: str, largest: int) -> bytes:
        uid = self._uid_now(ref)
        if not uid:
            raise ItemGoneError("uid-validity", "the folder was made anew")
        told = self.client.fetch([uid], ["RFC822.SIZE", "FLAGS"]).get(uid)
        if told is None or _DELETED in map(_text, told.get(b"FLAGS", ())):
            raise ItemGoneError("gone", "the message is not there, or somebody has deleted it")
        if (size := _size(told)) > largest:
            raise RefusedError("too-large", f"a message of {size} octets")
        data = self.client.body(uid, largest)
        if data is None:
            raise ItemGoneError("gone", "the message is not there")
        return as_crlf(data)

    def put_away(self, refs: Sequence[str], do: str, written: str = "") -> None:
        """Raises ItemGoneError where a server says so of one of them."""
        uids = [uid for ref in refs if (uid := self._uid_now(ref))]
        if not uids:
            return
        match do:
            case "mark-read":
                self.client.flag(uids, "\\Seen")
            case "delete":
                self.client.flag(uids, _DELETED)
                self._deleted.update(uids)
            case _:
                self._move(uids, self._namespace.on_server(written))

    def _move(self, uids: Sequence[int], target: str) -> None:
        """By MOVE (RFC 6851) whole or not at all. Without it: copied, then deleted, so that a message may be there
        twice if we break off between the two, and is never lost."""
        if target not in self._made:
            self.client.make_folder(target)
            self._made.add(target)
        try:
            if self.client.has("MOVE"):
                self.client.move(uids, target)
                return
            self.client.copy(uids, target)
        except (OutcomeUnknownError, QuotaError):
            raise
        except MailboxError:
            if len(uids) == 1:
                self._need(uids[0])  # there are servers that refuse to move what is gone
            raise
        self.client.flag(uids, _DELETED)
        if self.client.has("UIDPLUS"):
            self.client.expunge(*uids)

    def leave(self, *, purge: bool) -> None:
        """Without UIDPLUS (RFC 4315) what we deleted stays marked so: a plain EXPUNGE takes what others marked, too."""
        try:
            if purge and self._deleted and self.client.has("UIDPLUS"):
                for page in _pages(sorted(self._deleted)):
                    self.client.expunge(*page)
        finally:
            self._deleted.clear()
        with suppress(MailboxError):  # all is done
            self.client.log_out()

    def _searched(self, messages: int, *, is_unread_only: bool) -> Iterator[int]:
        what = b"UNDELETED UNSEEN" if is_unread_only else b"UNDELETED"
        for first in range(1, messages + 1, _PAGE):
            last = min(first + _PAGE - 1, messages)
            yield from reversed(self.client.search(b"%d:%d %b" % (first, last, what)))

    def _waiting(self, uid: int, told: object) -> WaitingMessage:
        moment = told.get(b"INTERNALDATE") if isinstance(told, dict) else None
        at = moment.astimezone(UTC) if isinstance(moment, datetime) and moment.tzinfo is not None else None
        return WaitingMessage(f"{self._validity}.{uid}", _size(told), at)

    def _uid_now(self, ref: str) -> int:
        """0 where the folder was made anew: then UIDs mean nothing any more (RFC 3501 §2.3.1.1)."""
        validity, _, uid = ref.partition(".")
        return int(uid) if validity == str(self._validity) and _UID.match(uid) is not None else 0

    def _need(self, uid: int) -> None:
        if uid not in self.client.fetch([uid], ["FLAGS"]):
            raise ItemGoneError("gone", "the message is not there")


def _pages(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), _FETCHED):
        yield uids[start : start + _FETCHED]


def _size(told: object) -> int:
    """0 where the server says none."""
    size = told.get(b"RFC822.SIZE") if isinstance(told, dict) else None
    return size if isinstance(size, int) and size > 0 else 0


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
