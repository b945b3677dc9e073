"""All mailboxes of the server: folders, items, ids, change keys, and what becomes of deleted items."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import Literal

from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import mailbox_of_id, new_id
from tests.peers.ews.items import Item

DISTINGUISHED = {  # by distinguished id: display name, and the folder above
    "root": ("", ""),
    "msgfolderroot": ("Top of Information Store", "root"),
    "inbox": ("Inbox", "msgfolderroot"),
    "drafts": ("Drafts", "msgfolderroot"),
    "outbox": ("Outbox", "msgfolderroot"),
    "sentitems": ("Sent Items", "msgfolderroot"),
    "deleteditems": ("Deleted Items", "msgfolderroot"),
    "junkemail": ("Junk Email", "msgfolderroot"),
    "calendar": ("Calendar", "msgfolderroot"),
    "contacts": ("Contacts", "msgfolderroot"),
    "notes": ("Notes", "msgfolderroot"),
    "tasks": ("Tasks", "msgfolderroot"),
    "recoverableitemsroot": ("Recoverable Items", "root"),
    "recoverableitemsdeletions": ("Deletions", "recoverableitemsroot"),
    "recoverableitemsversions": ("Versions", "recoverableitemsroot"),
    "recoverableitemspurges": ("Purges", "recoverableitemsroot"),
}
_FOLDER_CLASSES = {"calendar": "IPF.Appointment", "contacts": "IPF.Contact", "tasks": "IPF.Task"}
Disposal = Literal["HardDelete", "SoftDelete", "MoveToDeletedItems"]


@dataclass(slots=True)
class Folder:
    id: str
    name: str
    parent: str
    distinguished: str = ""
    folder_class: str = "IPF.Note"
    change: int = 1
    items: dict[str, Item] = field(default_factory=dict)


@dataclass(slots=True)
class Mailbox:
    address: str
    """Primary address, in lower case."""
    name: str
    aliases: tuple[str, ...] = ()
    quota_octets: int | None = None
    keeps_deleted: bool = True
    """Single item recovery: what is purged or overwritten is kept ("Recoverable Items folder in Exchange Server")."""
    on_hold: bool = False
    find_delay_s: float = 0
    unavailable: str = ""
    """A response code that each access is answered with."""
    folder_names: dict[str, str] = field(default_factory=dict)
    """Display names of distinguished folders that aren't English: `inbox` to `Posteingang`."""
    receipts: list[tuple[str, str]] = field(default_factory=list)
    """Read receipts that Exchange has sent, as Message-ID and `read` or `not-read`."""
    folders: dict[str, Folder] = field(default_factory=dict)
    by_distinguished: dict[str, Folder] = field(default_factory=dict)
    used: int = 0
    """Octets of all items outside Recoverable Items, which have a quota of their own."""

    def __post_init__(self) -> None:
        for distinguished, (name, parent) in DISTINGUISHED.items():
            above = self.by_distinguished[parent].id if parent else ""
            shown = self.folder_names.get(distinguished, name)
            folder = self.add_folder(shown, above, _FOLDER_CLASSES.get(distinguished, "IPF.Note"))
            folder.distinguished = distinguished
            self.by_distinguished[distinguished] = folder

    def add_folder(self, name: str, parent: str, folder_class: str = "IPF.Note") -> Folder:
        folder = Folder(new_id("folder", self.address), name, parent, folder_class=folder_class)
        self.folders[folder.id] = folder
        return folder

    def folder_named(self, name: str) -> Folder | None:
        """By distinguished id, else by what `path_of` gives."""
        found = self.by_distinguished.get(name)
        return found or next((folder for folder in self.folders.values() if self.path_of(folder) == name), None)

    def path_of(self, folder: Folder) -> str:
        """Its distinguished id, or its name, behind those of the folders above it: `inbox/Tickets`."""
        if folder.distinguished:
            return folder.distinguished
        above = self.path_of(self.folders[folder.parent])
        return folder.name if above == "msgfolderroot" else f"{above}/{folder.name}"

    def make_folder(self, path: str) -> Folder:
        """The folder of this path, made where it isn't there, those above it too."""
        above, _, last = path.rpartition("/")
        return self.folder_named(path) or self.add_folder(last, self.make_folder(above or "msgfolderroot").id)

    def is_recoverable(self, folder: Folder) -> bool:
        return folder.distinguished.startswith("recoverableitems")

    def item(self, item_id: str) -> Item | None:
        for folder in self.folders.values():
            if item_id in folder.items:
                return folder.items[item_id]
        return None

    def check_room(self, more: int) -> None:
        """Raises EwsError: a full mailbox takes no more (ProhibitSendReceiveQuota)."""
        if self.quota_octets is not None and self.used + more > self.quota_octets:
            raise EwsError("ErrorQuotaExceeded")

    def put(self, item: Item) -> None:
        folder = self.folders[item.folder]
        folder.items[item.id] = item
        if not self.is_recoverable(folder):
            self.used += item.size

    def take(self, item: Item) -> None:
        folder = self.folders[item.folder]
        del folder.items[item.id]
        if not self.is_recoverable(folder):
            self.used -= item.size


class Store:
    """Every mailbox, under one lock: operations hold it while they look or change."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.mailboxes: dict[str, Mailbox] = {}
        self.addresses: dict[str, Mailbox] = {}
        """Primary addresses and aliases, in lower case."""
        self.groups: dict[str, str] = {}
        self._change = 0

    def add(self, mailbox: Mailbox) -> None:
        self.mailboxes[mailbox.address] = mailbox
        for address in (mailbox.address, *mailbox.aliases):
            self.addresses[address.lower()] = mailbox

    def remove(self, mailbox: Mailbox) -> None:
        del self.mailboxes[mailbox.address]
        self.addresses = {address: box for address, box in self.addresses.items() if box is not mailbox}

    def next_change(self) -> int:
        self._change += 1
        return self._change

    # --- items ---

    def item(self, item_id: str) -> tuple[Mailbox, Item]:
        """Raises EwsError: ErrorInvalidIdMalformed, ErrorCannotUseFolderIdForItemId, ErrorItemNotFound."""
        kind, address = mailbox_of_id(item_id)
        if kind == "folder":
            raise EwsError("ErrorCannotUseFolderIdForItemId", "Id used in this request is a folder id.")
        mailbox = self.mailboxes.get(address)
        item = mailbox.item(item_id) if mailbox else None
        if mailbox is None or item is None:
            raise EwsError("ErrorItemNotFound")
        return mailbox, item

    def new_item(self, mailbox: Mailbox, folder: Folder) -> Item:
        """Not yet in its folder."""
        item = Item(new_id("item", mailbox.address), mailbox.address, folder.id, self.next_change())
        delay = mailbox.find_delay_s
        item.visible_at = math.inf if math.isinf(delay) else time.monotonic() + delay if delay else 0
        return item

    def changed(self, mailbox: Mailbox, item: Item, names: Iterable[str]) -> None:
        item.touch(self.next_change(), datetime.now(UTC), names)
        mailbox.folders[item.folder].change = item.change

    def move(self, mailbox: Mailbox, item: Item, target: Mailbox, folder: Folder) -> Item:
        """Into another folder: the id is another one afterwards ("EWS identifiers in Exchange")."""
        mailbox.take(item)
        return self._place(item, target, folder)

    def copy(self, item: Item, target: Mailbox, folder: Folder) -> Item:
        target.check_room(item.size)
        return self._place(item, target, folder)

    def _place(self, item: Item, target: Mailbox, folder: Folder) -> Item:
        twin = item.duplicate(new_id("item", target.address), folder.id, self.next_change())
        twin.mailbox = target.address
        target.put(twin)
        return twin

    def keep_version(self, mailbox: Mailbox, item: Item) -> None:
        """Copy on write: before content changes, the old content goes to Versions, under hold or single item recovery.

        "Recoverable Items folder in Exchange Server", Copy-on-write page protection.
        """
        if mailbox.on_hold or mailbox.keeps_deleted:
            self._place(item, mailbox, mailbox.by_distinguished["recoverableitemsversions"])

    def delete(self, mailbox: Mailbox, item: Item, how: Disposal) -> Item | None:
        """What is left of it, if anything ("Deleting items by using EWS in Exchange")."""
        folders = mailbox.by_distinguished
        source = mailbox.folders[item.folder]
        if how == "MoveToDeletedItems":
            return self.move(mailbox, item, mailbox, folders["deleteditems"])
        if how == "SoftDelete" and not mailbox.is_recoverable(source):
            return self.move(mailbox, item, mailbox, folders["recoverableitemsdeletions"])
        if (mailbox.keeps_deleted or mailbox.on_hold) and source.distinguished != "recoverableitemspurges":
            return self.move(mailbox, item, mailbox, folders["recoverableitemspurges"])
        mailbox.take(item)
        return None
