"""A message from a monitored mailbox, read once: what filters, correlation and rules ask about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from mta.message.addresses import Mailbox
from mta.message.classify import Classification
from mta.message.parse import Message
from mta.message.tracking_copy import TrackingCopy


class Automatic(Enum):
    """What a message is that no person wrote."""

    NO = "no"
    BOUNCE = "bounce"
    """A delivery report in any form."""
    RECEIPT = "receipt"
    """Read, displayed, deleted (MDN), or a report that a message is late."""
    OUT_OF_OFFICE = "out-of-office"
    REPLY = "automatic-reply"
    BULK = "bulk"
    """Lists, newsletters, whatever says so."""
    GENERATED = "generated"
    """By a program, and no reply."""
    MEETING = "meeting"
    """A request or an answer; no work by itself."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """`data` is the message itself: of a copy that the relay made (`copy`), the one inside."""

    organisation: str
    mailbox: str
    """Name of the monitored mailbox."""
    key: str
    """Of the entry: `id:<Message-ID>`, without one `hash:SHA-256`; see `Entry.key`."""
    data: bytes = field(repr=False)
    parsed: Message = field(repr=False)
    classification: Classification
    copy: TrackingCopy | None
    """What the relay says of it, where it comes as a copy with our proof: transaction, direction, envelope."""
    message_id: str
    """With its angle brackets; "" for none."""
    content_hash: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    """As in the header, oldest first; both with brackets, each once."""
    author: Mailbox | None
    """The one in From; None where it is missing or can't be read."""
    sender: Mailbox | None
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    """Decoded, on one line."""
    date: datetime | None
    text: str
    """What a reader sees, as plain text with LF line ends; the whole."""
    newest: str
    """Of `text` what this message's author wrote: without what is quoted, and without the signature block."""
    thread_index: bytes
    """Decoded Thread-Index; b"" for none or one that can't be read."""
    automatic: Automatic
    is_forward: bool
    """By structure, not by the subject's prefix: what is quoted was addressed to others than the author of this."""
    is_sent: bool
    """Ours wrote it: a copy of what went out."""
    is_authenticated: bool | None
    """False: DMARC failed, or the listener says that From is not to be believed; None: nobody says anything."""
    said_by: str = ""
    """Who or what says so, in a few words without content; "" for nobody."""
    is_from_outside: bool = False
    """By the word of the Exchange in whose mailbox it lies."""

    @property
    def author_key(self) -> str:
        """Address key; "" for none."""
        return self.author.address.key if self.author is not None else ""

    @property
    def counted_as(self) -> str:
        """For the cap of a day: whoever writes in somebody's name doesn't use up what that person may send."""
        if self.author is None:
            return ""
        how = {True: "vouched for", None: "unproven", False: "forged"}[self.is_authenticated]
        return f"{self.author_key} ({how})"
