"""What is written on the copies of a filed message, in the mailboxes of those concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mta.model.mailbox_item import ItemRef


@dataclass(frozen=True, slots=True)
class FiledMark:
    """What goes onto an item."""

    category: str = "Transferred"
    """"" for none."""
    link: str = ""
    """URL of the record: named property `StamplineLink` in PublicStrings; in IMAP and Maildir it has no place."""
    link_text: str = ""
    """Where not empty, the link is also put on top of the item's body, under this text."""
    columns: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Named properties in PublicStrings, by which folders can show columns of their own."""


@dataclass(frozen=True, slots=True)
class FiledItem:
    """A copy that was found."""

    ref: ItemRef
    folder: str
    """Its folder's name, for logs."""
    is_marked: bool = False
    """It has our link already."""
    is_protected: bool = False
    """Signed, encrypted or rights-protected: its body is left as it is."""
