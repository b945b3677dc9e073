"""Marking messages in mailboxes as filed. Errors are those of `mta.ports.mailbox`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledItem, FiledMark


class ItemStamper(Protocol):
    """The mailboxes of one endpoint; `mailbox` is an SMTP address of one. Calls for several may run at a time."""

    async def sign_in(self, mailbox: str) -> str:
        """As `SentItems.sign_in`."""
        ...

    async def find(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        """Copies of the message in Inbox, Sent Items and the folders below these, each once."""
        ...

    async def mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """Put category, link and columns on the item; what is there else stays. Doing it twice is doing it once.

        Raises ConflictError, ItemGoneError.
        """
        ...

    async def close(self) -> None: ...
