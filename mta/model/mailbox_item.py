"""Items of a mailbox as every kind of mailbox server shows and takes them, and our stamp on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

Importance = Literal["low", "normal", "high"]
Sensitivity = Literal["normal", "personal", "private", "confidential"]


@dataclass(frozen=True, slots=True)
class ItemRef:
    """How a server names an item, and which version of it."""

    id: str
    change_key: str = ""
    """Another one after each change; "" where the server has no such thing."""


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item that may be the one looked for."""

    ref: ItemRef
    message_id: str
    stamp: str = ""
    """Our own property, `JOB COPY TEXT CAME`, see `stamp_of`; "" on what we didn't make."""
    sent_at: datetime | None = None


def stamp_of(job: str, copy: str, text: str = "", came: str = "") -> str:
    """What our named property holds on an item: which copy of which job it is, digests of its text and of what came.

    By the text's it is known whether the item's owner has edited it since; by that of what came to us, whether a copy
    that comes later is of the same message at all, or somebody else's under the same Message-ID.
    """
    return f"{job} {copy} {text} {came}".rstrip()


def stamped_job(stamp: str) -> str:
    """The job that made an item."""
    return stamp.partition(" ")[0]


def stamped_copy(stamp: str) -> str:
    """Which of its job's copies an item is."""
    return "".join(stamp.split(" ")[1:2])


def stamped_text(stamp: str) -> str:
    """The digest of the text with which an item was made."""
    return "".join(stamp.split(" ")[2:3])


def stamped_came(stamp: str) -> str:
    """The digest of the message of which an item was made."""
    return "".join(stamp.split(" ")[3:4])


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody whom an item names."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A flag (MS-OXOFLAG); `status` "none" is no flag."""

    status: Literal["none", "flagged", "complete"] = "none"
    start_at: datetime | None = None
    due_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """What users change on an item without touching its content."""

    is_read: bool = True
    categories: tuple[str, ...] = ()
    follow_up: FollowUp = FollowUp()
    keywords: tuple[str, ...] = ()
    """Of IMAP and Maildir, as the server has them: `\\Answered`, `$Forwarded`; `\\Seen` and `\\Flagged` are above."""


@dataclass(frozen=True, slots=True)
class Reminder:
    is_set: bool = False
    due_at: datetime | None = None
    minutes_before: int = 0


@dataclass(frozen=True, slots=True)
class ReplyMarker:
    """That it was answered or forwarded: PidTagIconIndex 0x1080, LastVerbExecuted 0x1081, …ExecutionTime 0x1082."""

    icon: int | None = None
    verb: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """What an item says of one attachment, without its content."""

    name: str
    content_type: str = ""
    size_octets: int = 0
    content_id: str = ""
    """Without angle brackets."""
    is_inline: bool = False
    is_item: bool = False
    """Another item (message/rfc822)."""
    sha256: str = ""
    """Of its octets, hexadecimal, where there is no MIME to tell these; "" where nobody has looked."""


@dataclass(frozen=True, slots=True)
class SentItem:
    """An item of Sent Items, wholly read. What a server doesn't have or doesn't tell is empty."""

    ref: ItemRef
    message_id: str
    subject: str
    item_class: str = "IPM.Note"
    is_draft: bool = False
    size_octets: int = 0
    sent_at: datetime | None = None
    """PidTagClientSubmitTime 0x0039."""
    delivered_at: datetime | None = None
    """PidTagMessageDeliveryTime 0x0E06."""
    author: Participant | None = None
    """From: on whose behalf."""
    sender: Participant | None = None
    to: tuple[Participant, ...] = ()
    cc: tuple[Participant, ...] = ()
    bcc: tuple[Participant, ...] = ()
    reply_to: tuple[Participant, ...] = ()
    html: str | None = None
    text: str | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    mime: bytes = b""
    """CRLF line ends; made anew by Exchange at each read, so never compared by bytes. b"" where the server has none."""
    stamp: str = ""
    marks: Marks = Marks()
    importance: Importance = "normal"
    sensitivity: Sensitivity = "normal"
    wants_read_receipt: bool = False
    wants_delivery_receipt: bool = False
    reminder: Reminder = Reminder()
    conversation_topic: str = ""
    """PidTagConversationTopic 0x0070."""
    conversation_index: bytes = b""
    """PidTagConversationIndex 0x0071."""
    reply_marker: ReplyMarker = ReplyMarker()
    in_reply_to: str = ""
    references: str = ""
    has_votes: bool = False
    is_protected: bool = False
    """Rights-protected, as far as the server tells."""


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """An attachment of an item to be made, for servers that take fields."""

    name: str
    content_type: str
    data: bytes = field(repr=False)
    """Decoded; of message/rfc822 the message."""
    content_id: str = ""
    """Without angle brackets."""
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class NewItem:
    """What is to stand in Sent Items instead of `original`: its properties, and the content that was sent."""

    stamp: str
    original: SentItem
    mime: bytes = field(repr=False)
    """CRLF line ends: the sent content below the original's header fields, with Bcc."""
    message_id: str
    subject: str
    html: str | None = None
    text: str | None = None
    """Of the sent content: one of the two, or both."""
    attachments: tuple[NewAttachment, ...] = ()
    in_reply_to: str = ""
    references: str = ""
    marks: Marks = Marks()
    """The original's, with our category added."""


class Removal(Enum):
    """How the original goes."""

    RECOVERABLE = "recoverable"
    """Into Recoverable Items (SoftDelete); for servers without it as DELETED_ITEMS, or else for good."""
    DELETED_ITEMS = "deleted-items"
    """Into the folder of deleted items."""
    FOR_GOOD = "for-good"
    """HardDelete; a hold keeps it all the same."""
