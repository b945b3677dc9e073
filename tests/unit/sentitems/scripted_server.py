"""A mailbox server that does as tests say, and counts how it is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mta.config.sentitems_schema import SentItemsSettings
from mta.model.mailbox_item import FoundItem, ItemRef
from mta.model.sentitem import JobState, SentItemJob
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import MailboxError, NoMailboxError, SentItems
from mta.sentitems.verdict import Verdict
from mta.sentitems.watched_server import WatchedServer


@dataclass
class ScriptedServer:
    """Every mailbox is here unless `residents` says which."""

    name: str = "local"
    residents: frozenset[str] | None = None
    trouble: MailboxError | Exception | None = None
    """What each call fails with."""
    troubles: dict[str, MailboxError] = field(default_factory=dict)
    """What calls for a mailbox fail with."""
    primaries: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Calls to `find` wait for it."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: Counter[str] = field(default_factory=Counter)
    """Calls to `find` that wait, by mailbox."""
    most: int = 0
    """The most of them at a time."""
    most_of_one: int = 0
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    async def sign_in(self, mailbox: str) -> str:
        self.asked.append(("sign-in", mailbox))
        self._fail(mailbox)
        return "scripted"

    async def primary_address(self, mailbox: str) -> str:
        self.asked.append(("primary", mailbox))
        self._fail(mailbox)
        return self.primaries.get(mailbox, mailbox)

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        self.asked.append(("find", mailbox))
        self.now[mailbox] += 1
        self.most = max(self.most, self.now.total())
        self.most_of_one = max(self.most_of_one, self.now[mailbox])
        try:
            await self.gate.wait()
            self._fail(mailbox)
        finally:
            self.now[mailbox] -= 1
        return []

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        self.asked.append(("find_filed", mailbox))
        self._fail(mailbox)
        return [FiledItem(ItemRef(message_id), "Inbox")]

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        self.asked.append(("put_mark", mailbox))
        self._fail(mailbox)
        return ref

    async def close(self) -> None:
        self.is_closed = True

    def _fail(self, mailbox: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        if mailbox in self.troubles:
            raise self.troubles[mailbox]
        if self.residents is not None and mailbox not in self.residents:
            raise NoMailboxError("ErrorNonExistentMailbox")


async def look_only(job: SentItemJob, mailbox: str, server: SentItems, settings: SentItemsSettings) -> Verdict:
    """Work that is done with looking."""
    assert isinstance(server, WatchedServer)
    await server.find(mailbox, job.message_id, job.id)
    return Verdict(JobState.DONE, placed=" ".join(copy.key for copy in job.copies))
