"""Sent Items: whose copies are replaced by what was really sent, where, and how."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mta.config.mailbox_schema import MailboxServer
from mta.config.types import Duration, Size, Strict


class Senders(Strict):
    """Some senders: addresses (`*` stands for anything) and groups, members of their groups included."""

    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Scope(Strict):
    """Whose Sent Items: everybody's, only these senders', or everybody's but these senders'."""

    only: Senders | None = None
    all_but: Senders | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.only is not None and self.all_but is not None:
            raise ValueError("only and all_but exclude each other | keep one of the two; none means everybody")
        return self


class SentItemsSettings(Strict):
    servers: Annotated[tuple[MailboxServer, ...], Field(min_length=1)]
    """Where the mailboxes are; hybrid organisations have several."""
    senders: Scope = Scope()
    copies: Literal["external", "first", "last", "all"] = "external"
    """Of a message that was split: the first copy that went outside (else the first), the first, the last, or each."""
    keep_original: bool = False
    """The sender's own item stays beside the new one."""
    category: str = ""
    """Put on the new item, where the server knows categories."""
    subject_mark: str = ""
    """Put before the new item's subject."""
    method: Literal["replace", "in-place"] = "replace"
    """replace: a new item is made, verified, and the original removed. in-place: the original's content is changed."""
    remove: Literal["recoverable", "deleted-items", "for-good"] = "recoverable"
    """Where the original goes."""
    wait: Duration = timedelta(seconds=60)
    """After the first copy has gone out, so that others gather."""
    search_for: Duration = timedelta(days=1)
    """How long an item that isn't in Sent Items yet is looked for."""
    largest: Size = 35_000_000
    """Larger messages are left as they are."""
    keep: Duration = timedelta(days=7)
    """How long it is remembered what became of a message's copy; as long, one that was given up can be tried again."""

    @property
    def named_groups(self) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
        """Each list of groups with its place."""
        for key, senders in (("only", self.senders.only), ("all_but", self.senders.all_but)):
            if senders is not None:
                yield ("senders", key, "groups"), senders.groups
        for index, server in enumerate(self.servers):
            yield ("servers", index, "serves", "groups"), server.serves.groups
