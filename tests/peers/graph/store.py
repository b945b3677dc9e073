"""Mailboxes, folders and items: one item is its MAPI properties, its body, whom it names and what is attached."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Literal
from uuid import uuid4

from tests.peers.graph.answers import GraphError, not_found
from tests.peers.graph.bodies import text_of_html
from tests.peers.graph.properties import (
    DELIVERY_TIME,
    INDEX,
    ITEM_CLASS,
    MESSAGE_FLAGS,
    MESSAGE_ID,
    MESSAGE_SIZE,
    READ,
    READ_RECEIPT,
    SUBJECT,
    SUBMIT_TIME,
    TOPIC,
    UNSENT,
    Value,
)

WELL_KNOWN = (
    "msgfolderroot", "inbox", "drafts", "sentitems", "deleteditems", "outbox", "junkemail", "archive",
    "recoverableitemsdeletions",
)  # fmt: skip
"""learn.microsoft.com/graph/api/resources/mailfolder"""
_SHOWN = {
    "msgfolderroot": "Top of Information Store", "inbox": "Inbox", "drafts": "Drafts", "sentitems": "Sent Items",
    "deleteditems": "Deleted Items", "outbox": "Outbox", "junkemail": "Junk Email", "archive": "Archive",
}  # fmt: skip
PURGES = "recoverableitemspurges"
"""Where permanentDelete puts things; no request can name it."""
_versions = count(1)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    address: str


@dataclass(slots=True)
class Attachment:
    id: str
    kind: Literal["file", "item"]
    name: str
    content_type: str
    data: bytes
    """Of an item its MIME."""
    content_id: str = ""
    is_inline: bool = False
    changed_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def size(self) -> int:
        """The content and some properties, as Exchange counts."""
        return len(self.data) + 180


@dataclass(frozen=True, slots=True)
class SentMail:
    """What sendMail took."""

    mailbox: str
    sender: str
    """Address of From."""
    recipients: tuple[str, ...]
    """Of To, Cc and Bcc, in this order."""
    mime: bytes = field(repr=False)
    """As it was given, or made of JSON."""
    is_saved: bool
    """In Sent Items."""


@dataclass(slots=True)
class Folder:
    id: str
    name: str
    """Well-known; or the path of its owner's own below the top: `inbox/Tickets`."""
    shown: str
    """Display name, in the mailbox's language."""
    parent: str
    """Its name; "" of the top."""
    is_hidden: bool = False


@dataclass(slots=True)
class Item:
    mailbox: Mailbox
    folder: Folder
    key: str = field(default_factory=lambda: uuid4().hex)
    """The immutable id's."""
    place: str = field(default_factory=lambda: uuid4().hex)
    """The ordinary id's: another one after each move."""
    properties: dict[str, Value] = field(default_factory=dict)
    body_type: Literal["html", "text"] = "html"
    body: str = ""
    author: Person | None = None
    sender: Person | None = None
    to: list[Person] = field(default_factory=list)
    cc: list[Person] = field(default_factory=list)
    bcc: list[Person] = field(default_factory=list)
    reply_to: list[Person] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    inference: str = "focused"
    attachments: list[Attachment] = field(default_factory=list)
    version: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    listed_from: float = 0.0
    """Monotonic; lists and filters show it from then on."""
    exact_mime: bytes = b""
    """Of reports, meetings, and signed or encrypted mail, which isn't made anew."""
    is_receipt_sent: bool = False

    @property
    def id(self) -> str:
        return _written_id("AAMkA", self.mailbox, self.place)

    @property
    def immutable_id(self) -> str:
        return _written_id("AAkAL", self.mailbox, self.key)

    @property
    def change_key(self) -> str:
        return base64.b64encode(b"\x09\x00\x00\x00\x16" + self.version.to_bytes(11, "big")).decode()

    @property
    def flags(self) -> int:
        return int(self.properties.get(MESSAGE_FLAGS, 0))  # type: ignore[arg-type]

    @property
    def is_draft(self) -> bool:
        return bool(self.flags & UNSENT)

    @property
    def is_read(self) -> bool:
        return bool(self.flags & READ)

    @property
    def text(self) -> str:
        """The body as plain text."""
        return self.body if self.body_type == "text" else text_of_html(self.body)

    @property
    def size(self) -> int:
        return 1000 + len(self.body.encode()) + sum(attachment.size for attachment in self.attachments)

    def set_read(self, is_read: bool) -> None:
        self.properties[MESSAGE_FLAGS] = (self.flags & ~READ) | (READ if is_read else 0)

    @property
    def wants_receipt(self) -> bool:
        return bool(self.properties.get(READ_RECEIPT)) and not self.is_draft and not self.is_receipt_sent

    def deleted(self) -> None:
        """Exchange answers a request for a read receipt when the message is deleted unread, too."""
        if self.wants_receipt and not self.is_read:
            self.tell_sender("not-read")

    def tell_sender(self, what: str) -> None:
        self.is_receipt_sent = True
        self.mailbox.receipts.append((str(self.properties[MESSAGE_ID]), what))

    def touch(self) -> None:
        """It is another version now."""
        self.version = next(_versions)
        self.modified_at = datetime.now(UTC).replace(microsecond=0)
        self.properties[MESSAGE_SIZE] = self.size


def _written_id(kind: str, mailbox: Mailbox, key: str) -> str:
    return kind + base64.urlsafe_b64encode(f"{mailbox.id}:{key}".encode()).decode()


@dataclass(slots=True)
class Mailbox:
    address: str
    """Its user principal name."""
    name: str
    aliases: tuple[str, ...] = ()
    quota_octets: int | None = None
    find_delay_s: float = 0.0
    unavailable: str = ""
    """A code that each access gives: MailboxNotEnabledForRESTAPI, ErrorMailboxMoveInProgress, …"""
    folder_names: dict[str, str] = field(default_factory=dict)
    """Display names of well-known folders that aren't English: `inbox` to `Posteingang`."""
    send_as: tuple[str, ...] = ()
    """Addresses besides its own that mail from it may say."""
    receipts: list[tuple[str, str]] = field(default_factory=list)
    """Read receipts that Exchange has sent, as Message-ID and `read` or `not-read`."""
    sent: list[SentMail] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid4()))
    folders: dict[str, Folder] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    """By their immutable key, in the order in which they were made."""

    def __post_init__(self) -> None:
        for name in (*WELL_KNOWN, PURGES):
            shown = self.folder_names.get(name) or _SHOWN.get(name, name)
            self._add_folder(name, shown, "" if name == "msgfolderroot" else "msgfolderroot")

    def _add_folder(self, name: str, shown: str, parent: str) -> Folder:
        key = uuid4().hex
        folder = Folder(f"AAMkF{base64.urlsafe_b64encode(f'{self.id}:{key}'.encode()).decode()}", name, shown, parent)
        self.folders[name] = folder
        return folder

    def add_folder(self, path: str) -> Folder:
        """The folder of this name, made where it isn't there, those above it too."""
        if path in self.folders:
            return self.folders[path]
        above, _, last = path.rpartition("/")
        return self.make_folder(last, self.add_folder(above) if above else self.folders["msgfolderroot"])

    def make_folder(self, shown: str, parent: Folder) -> Folder:
        """Raises GraphError: names of siblings differ, whatever their case."""
        if any(one.shown.casefold() == shown.casefold() for one in self.children(parent)):
            raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
        name = shown if parent.name == "msgfolderroot" else f"{parent.name}/{shown}"
        return self._add_folder(name, shown, parent.name)

    def children(self, parent: Folder) -> list[Folder]:
        return [
            one for one in self.folders.values() if one.parent == parent.name and not one.name.startswith("recoverable")
        ]

    def folder(self, text: str) -> Folder:
        """By well-known name or id. Raises GraphError."""
        if text.lower() in WELL_KNOWN:
            return self.folders[text.lower()]
        for folder in self.folders.values():
            if folder.id == text and folder.name != PURGES:
                return folder
        if text.startswith("AAMkF"):
            raise not_found()
        raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")

    def item(self, text: str) -> Item:
        """By id of either kind. Raises GraphError."""
        for item in self.items.values():
            if text in (item.id, item.immutable_id) and item.folder.name != PURGES:
                return item
        if text.startswith(("AAMkA", "AAkAL")) and _is_id(text[5:]):
            raise not_found()
        raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")

    def listed(self, folder: Folder | None) -> Iterator[Item]:
        """What lists show of a folder, or of all that users see."""
        now = time.monotonic()
        for item in self.items.values():
            shown = item.folder is folder if folder else not item.folder.name.startswith("recoverable")
            if shown and item.listed_from <= now:
                yield item

    def add(self, item: Item) -> Item:
        """Complete a new item and keep it. Raises GraphError when the mailbox is full."""
        self.complete(item)
        self.check_room(item.size)
        item.touch()
        item.listed_from = time.monotonic() + self.find_delay_s
        self.items[item.key] = item
        return item

    @staticmethod
    def complete(item: Item) -> None:
        """Give it what every item has."""
        now = datetime.now(UTC).replace(microsecond=0)
        for key, value in (
            (SUBJECT, ""), (ITEM_CLASS, "IPM.Note"), (SUBMIT_TIME, now), (DELIVERY_TIME, now),
            (MESSAGE_ID, f"<{uuid4().hex}@peer.prod.outlook.com>"), (TOPIC, item.properties.get(SUBJECT, "")),
            (INDEX, b"\x01" + uuid4().bytes + b"\x00" * 5), (MESSAGE_FLAGS, UNSENT | READ),
        ):  # fmt: skip
            item.properties.setdefault(key, value)

    def check_room(self, octets: int) -> None:
        """Raises GraphError (learn.microsoft.com/graph/errors: 507)."""
        if self.quota_octets is None:
            return
        if sum(item.size for item in self.items.values()) + octets > self.quota_octets:
            raise GraphError(507, "ErrorQuotaExceeded", "The mailbox has reached its storage quota.")

    def move(self, item: Item, folder: Folder) -> Item:
        """learn.microsoft.com/graph/api/message-move: its ordinary id is another one then; the immutable one stays."""
        item.folder, item.place = folder, uuid4().hex
        item.touch()
        return item

    def copy(self, item: Item, folder: Folder) -> Item:
        return self.add(self.twin(item, folder))

    def twin(self, item: Item, folder: Folder) -> Item:
        """A copy that isn't kept yet, of which nothing is shared."""
        return replace(
            item,
            mailbox=self,
            folder=folder,
            key=uuid4().hex,
            place=uuid4().hex,
            properties=dict(item.properties),
            categories=list(item.categories),
            headers=list(item.headers),
            attachments=[replace(one, id=f"{uuid4().hex}=") for one in item.attachments],
        )


def _is_id(text: str) -> bool:
    try:
        return b":" in base64.urlsafe_b64decode(text)
    except ValueError:
        return False
