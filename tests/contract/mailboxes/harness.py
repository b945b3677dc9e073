"""What the contract of mailbox servers needs of each kind: a server, mailboxes, a user's hands and eyes, and faults.

A new kind of adapter gets a class that fulfils `Harness`, and a line in `kinds`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol

from mta.model.mailbox_item import Marks
from mta.ports.mailbox import SentItems

Place = Literal["sent", "deleted", "recoverable"]
FilingPlace = Literal["inbox", "below", "sent", "deleted"]
"""`below`: in a folder of the user's own below Inbox."""


_NO_MARKS = Marks()


class Fault(Enum):
    """What can be made to go wrong for one mailbox or server, and is what to expect of every call there."""

    DENIED = "denied"
    """Signed in, but not for this mailbox. AccessDeniedError."""
    FULL = "full"
    """`create` only. QuotaError."""
    REFUSED = "refused"
    """`create` only. RefusedError."""
    BUSY = "busy"
    """For 7 seconds, which the server tells. EndpointBusyError."""
    SIGN_IN = "sign-in"
    """Wrong password or token. SignInError."""
    UNTRUSTED = "untrusted"
    """A certificate of an unknown authority. TlsFailedError."""
    OTHER_NAME = "other-name"
    """A certificate of another server. TlsFailedError."""
    UNAVAILABLE = "unavailable"
    """The mailbox is away for a while. MailboxUnavailableError."""
    OVERLOADED = "overloaded"
    """Too many connections. EndpointOverloadedError."""
    DOWN = "down"
    """Nobody answers. EndpointDownError."""
    NONSENSE = "nonsense"
    """It answers what is no answer. EndpointDownError."""
    LOST_ANSWER = "lost-answer"
    """`create` is carried out, and the connection breaks before the answer. OutcomeUnknownError."""
    SLOW_ANSWER = "slow-answer"
    """`create` is carried out, and nothing is answered in time. OutcomeUnknownError."""


class Kept(Enum):
    """Properties of an item that not every kind of server has."""

    CATEGORIES = "categories"
    KEYWORDS = "keywords"
    FOLLOW_UP_DATES = "follow-up-dates"
    REMINDER = "reminder"
    CONVERSATION = "conversation"
    REPLY_MARKER = "reply-marker"
    RECOVERABLE = "recoverable"
    """A place from which removed items can be had again, beside that for deleted ones."""
    ABSENCE = "absence"
    """That there is no such mailbox is told; else it may look as one that is closed to us."""
    CHANGE_KEYS = "change-keys"
    """Stale ones are refused."""


@dataclass(frozen=True, slots=True)
class Original:
    """An item as its user's own program put it into Sent Items."""

    mime: bytes
    stored_at: datetime
    marks: Marks = _NO_MARKS
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as its user sees it, by other eyes than our adapter's."""

    message_id: str
    is_draft: bool
    is_read: bool
    is_flagged: bool
    bcc: tuple[str, ...]
    words: str
    """Of the body: each word once separated by a space; of HTML without tags."""
    files: tuple[tuple[str, bytes], ...]
    """Names and octets of attachments and pictures, sorted; of attached messages only the name, which servers choose,
    as "" and b""."""


class Harness(Protocol):
    """One server, used by many tests: each takes a mailbox of its own."""

    keeps: frozenset[Kept]
    faults: frozenset[Fault]

    def open(self) -> SentItems:
        """The adapter, by `open_server` from settings."""
        ...

    def add_mailbox(self) -> str:
        """A new, empty mailbox; its address."""
        ...

    def absent_mailbox(self) -> str:
        """An address that has none."""
        ...

    def put(self, mailbox: str, original: Original) -> None:
        """The user's program stores what it has sent."""
        ...

    def put_in(self, mailbox: str, original: Original, place: FilingPlace) -> None:
        """It lies there: received, sorted away by its user, or deleted."""
        ...

    def categories(self, mailbox: str) -> list[tuple[FilingPlace, str, frozenset[str]]]:
        """Where each item lies, its Message-ID, and its categories (or keywords), sorted."""
        ...

    def shown(self, mailbox: str, place: Place = "sent") -> list[Shown]:
        """All that lies there, oldest first."""
        ...

    def mark(self, mailbox: str, message_id: str, *, is_read: bool, is_flagged: bool) -> None:
        """The user marks an item of Sent Items."""
        ...

    def delete(self, mailbox: str, message_id: str) -> None:
        """The user deletes it, and tidies up."""
        ...

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[SentItems]:
        """The adapter, while this is wrong."""
        ...

    def close(self) -> None:
        """End the server."""
        ...
