"""Mailboxes on a mailbox server: finding, reading and writing items of Sent Items, and marking filed messages.

Each adapter is one endpoint (server and sign-in) that serves many mailboxes. `mailbox` is an SMTP address of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem
from mta.model.writeback import FiledItem, FiledMark

NO_FOLDER_YET = "without a folder for sent items yet"
"""So `sign_in` ends where the mailbox has none."""


class MailboxError(Exception):
    """What a mailbox server did not do. `code` is its own word, e.g. `ErrorServerBusy` or `429`.

    `detail` goes into logs: one line, nothing of a message's content, no secret.
    """

    def __init__(self, code: str, detail: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        """The server's own hint, where it gave one."""
        self.placed = ""
        """Keys of the copies that the attempt may have put there before it broke off, separated by spaces."""


class EndpointBusyError(MailboxError):
    """The whole endpoint wants to be left alone for a while: ErrorServerBusy, 429, 503."""


class EndpointOverloadedError(MailboxError):
    """We hold too many connections or objects there: fewer at a time."""


class EndpointDownError(MailboxError):
    """It can't be reached, or answers what is no answer; nothing was changed."""


class TlsFailedError(MailboxError):
    """Its certificate isn't trusted, or TLS fails otherwise. Trying again would not help."""


class SignInError(MailboxError):
    """401, 403, a wrong password, no token: going on would lock the account."""

    tries = 1
    """How often we were refused for it."""


class AccessDeniedError(MailboxError):
    """Signed in, but not for this mailbox: no impersonation, out of the management scope."""


class NoMailboxError(MailboxError):
    """There is no such mailbox here."""


class MailboxUnavailableError(MailboxError):
    """This mailbox can't be used for a while: being moved, its store is away, or it is throttled by itself."""


class ConflictError(MailboxError):
    """The item was changed since it was read."""


class ItemGoneError(MailboxError):
    """The item is not there (any more)."""


class QuotaError(MailboxError):
    """The mailbox is full."""


class RefusedError(MailboxError):
    """The server won't ever take this item: too large, MIME that it can't read, a restriction, a virus."""


class OutcomeUnknownError(MailboxError):
    """The connection broke or time ran out after the request was sent: it may or may not have been carried out."""


class SentItems(Protocol):
    """The mailboxes of one endpoint: their Sent Items folders, and the copies of filed messages in them.

    Every call may raise any MailboxError but those that name an item, which come from calls that do. Bounded in time.
    Calls for different mailboxes may run at the same time, as many as the endpoint's `connections`.
    """

    @property
    def can_rewrite(self) -> bool:
        """Whether `rewrite` is there."""
        ...

    async def sign_in(self, mailbox: str) -> str:
        """Connect, sign in and open the mailbox; gives what answered, in a few words for an administrator."""
        ...

    async def primary_address(self, mailbox: str) -> str:
        """The mailbox's primary address; the given one where the server can't tell. Raises NoMailboxError."""
        ...

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        """Items of Sent Items with this Message-ID (with its brackets), or with a stamp of this job; each once.

        What a server shows late may be missing.
        """
        ...

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        """Items with this very subject, sent within so much of `sent_at`: the Message-ID may be younger."""
        ...

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        """The whole item. Raises ItemGoneError."""
        ...

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        """Make an item in Sent Items: sent, not a draft, with all properties of `item.original` and the stamp.

        Whole or not at all: where it takes several steps, it shows the stamp only with the last of them, or what failed
        is taken away again. Raises OutcomeUnknownError, QuotaError, RefusedError.
        """
        ...

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        """Put the content into the item itself, which stays what it is. Raises ConflictError, ItemGoneError."""
        ...

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        """Read, categories and flag as given. Raises ConflictError, ItemGoneError."""
        ...

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        """Remove an item; one that is gone already is no error. Raises ConflictError if it was changed since `ref`.

        `is_fresh`: `ref` was looked up just now, so that servers that don't compare versions need not be asked again.
        """
        ...

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        """Copies of a message (Message-ID with its brackets) in Inbox, Sent Items and the folders below, each once."""
        ...

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """Put category, link and columns on an item, and leave all else; putting it on twice is putting it on once.

        Where it has a link of ours on top of its body, that is replaced. Raises ConflictError, ItemGoneError.
        """
        ...

    async def close(self) -> None:
        """End connections and threads."""
        ...
