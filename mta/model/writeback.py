"""What is written on the copies of a filed message, in the mailboxes of those concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from mta.model.mailbox_item import ItemRef

ColumnValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FiledMark:
    """What goes onto an item."""

    category: str = "Transferred"
    """"" for none."""
    link: str = ""
    """URL of the record: named property `StamplineLink` in PublicStrings; in IMAP and Maildir it has no place."""
    link_text: str = ""
    """Where not empty, the link is also put on top of the item's body, under this text."""
    columns: Mapping[str, ColumnValue] = field(default_factory=dict)
    """Named properties in PublicStrings, by which folders can show columns of their own."""
    record: str = ""
    """Which record it is about: `ticket-123`."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "category": self.category,
            "link": self.link,
            "link_text": self.link_text,
            "columns": dict(self.columns),
            "record": self.record,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FiledMark:
        """The reverse. Raises KeyError, TypeError."""
        return cls(data["category"], data["link"], data["link_text"], dict(data["columns"]), data["record"])


@dataclass(frozen=True, slots=True)
class NewMark:
    """The order to mark one message's copies in one mailbox; a later one for the same record takes its place."""

    mailbox: str
    """Address key."""
    organisation: str
    message_id: str
    """With its angle brackets."""
    mark: FiledMark
    at: datetime
    due_at: datetime

    @property
    def id(self) -> str:
        """The name of its job: the same wherever it is made again."""
        named = "\0".join(("mark", self.mailbox, self.message_id, self.organisation, self.mark.record))
        return sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class FiledItem:
    """A copy that was found."""

    ref: ItemRef
    folder: str
    """Its folder's name."""
    is_protected: bool = False
    """Signed, encrypted or rights-protected: its body is left as it is."""
