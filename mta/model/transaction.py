"""Tracked conversations: how one is named, and what the relay notes of a message that belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Transaction:
    """A tracked conversation. Its name is that of the record it is about."""

    organisation: str
    module: str
    """What kind of record: `ticket`, `case`. Lower case letters, digits and hyphens, at most 32, a letter first."""
    number: int
    """Of the record, from 1 upwards in each organisation's module."""
    nonce: str
    """8 random characters (a-z, 2-7): a number that is given again after a loss of data is another transaction."""

    def __str__(self) -> str:
        return f"{self.module}-{self.number}"


@dataclass(frozen=True, slots=True)
class Opening:
    """A message that opens a transaction, or goes on with one; noted once for each Message-ID of an organisation."""

    organisation: str
    module: str
    message_id: str
    """With its angle brackets. Messages that are handed over in several parts share it, and so the transaction."""
    at: datetime
    continues: Transaction | None = None
    """The transaction whose signed reference it carries, or whose token a sender of ours wrote; None opens one."""
    participants: tuple[str, ...] = ()
    """Address keys: who takes part from now on."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """That a message belongs to a conversation, and whether the processing mailbox gets a copy; committed with the
    decision."""

    transaction: Transaction | None
    """None: a rule wants the copy, and correlation decides."""
    rule: str
    by: str
    """`opened`, or how it was known: `in-reply-to`, `references`, `header`, `body`, `message-id`, `subject`; ""
    where it wasn't. `copy`: it is the processing mailbox's copy itself."""
    key: str = ""
    """Names the original: its parts, attempts and copies share it."""
    copy_to: str = ""
    """The processing mailbox; "" for no copy."""
    next_hop: str = ""
    """By which the copy goes."""
    is_authenticated: bool | None = None
    """What was found out about From; None where nobody looked."""
