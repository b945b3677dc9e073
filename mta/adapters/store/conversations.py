"""What the relay and the tracking process both ask and say of conversations."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mta.adapters.store import tracking_reader
from mta.adapters.store.access import Access
from mta.adapters.store.tracking_conversations import OpenTransaction
from mta.adapters.store.tracking_rows import fresh_nonce
from mta.model.transaction import Opening, Transaction


class ConversationAccess(Access):
    """See the port `Conversations`, and `TrackingStore.open_transaction`."""

    async def open_transaction(self, opening: Opening) -> Transaction:
        return await self._writer.submit(OpenTransaction(opening, fresh_nonce()))

    async def transaction(self, organisation: str, module: str, number: int) -> Transaction | None:
        return await self._look(lambda cursor: tracking_reader.numbered(cursor, organisation, module, number))

    async def current(self, transaction: Transaction) -> Transaction | None:
        return await self._look(lambda cursor: tracking_reader.current(cursor, transaction))

    async def transactions_of(self, organisation: str, message_ids: Collection[str]) -> Mapping[str, Transaction]:
        return await self._look(lambda cursor: tracking_reader.of_messages(cursor, organisation, message_ids))

    async def participants(self, transaction: Transaction) -> frozenset[str]:
        return await self._look(lambda cursor: tracking_reader.participants(cursor, transaction))
