"""A mailbox server that somebody watches while a job is done on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import SentItems

T = TypeVar("T")


class Watcher(Protocol):
    async def watched(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result; raises what keeps it from being made, or what it raises."""
        ...


class WatchedServer:
    """The same server (port `SentItems`), but that each call goes by its watcher, who may refuse it."""

    def __init__(self, watcher: Watcher, server: SentItems) -> None:
        self._watched = watcher.watched
        self._server = server

    @property
    def can_rewrite(self) -> bool:
        return self._server.can_rewrite

    async def sign_in(self, mailbox: str) -> str:
        return await self._watched(lambda: self._server.sign_in(mailbox))

    async def primary_address(self, mailbox: str) -> str:
        return await self._watched(lambda: self._server.primary_address(mailbox))

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        return await self._watched(lambda: self._server.find(mailbox, message_id, job))

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        return await self._watched(lambda: self._server.find_similar(mailbox, subject, sent_at, within))

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        return await self._watched(lambda: self._server.read(mailbox, ref))

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        return await self._watched(lambda: self._server.create(mailbox, item))

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        return await self._watched(lambda: self._server.rewrite(mailbox, ref, item))

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        return await self._watched(lambda: self._server.set_marks(mailbox, ref, marks))

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        return await self._watched(lambda: self._server.remove(mailbox, ref, how, is_fresh=is_fresh))

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        return await self._watched(lambda: self._server.find_filed(mailbox, message_id))

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        return await self._watched(lambda: self._server.put_mark(mailbox, ref, mark))

    async def close(self) -> None:
        """It is the endpoint's to close."""
