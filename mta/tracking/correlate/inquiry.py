"""What the steps of correlation work with, and the answers that they share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from mta.config.tracking_schema import TrackingSettings
from mta.model.transaction import Transaction
from mta.ports.tracking_store import Conversations
from mta.tracking.correlate import reasons, signs
from mta.tracking.correlate.author import Author
from mta.tracking.correlate.belonging import Belonging, Standing
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.incoming import Incoming
from mta.tracking.people import KnownPeople


class Inquiry:
    """About one message."""

    def __init__(
        self,
        incoming: Incoming,
        conversations: Conversations,
        settings: TrackingSettings,
        keys: Sequence[bytes],
        people: KnownPeople,
        accepted_domains: Collection[str],
        author: Author,
    ) -> None:
        self.incoming = incoming
        self.author = author
        self.conversations = conversations
        self.settings = settings
        self.keys = keys
        self.belonging = Belonging(incoming, conversations, settings, people, accepted_domains, author)
        self.expressions = signs.expressions(settings.modules, settings.correlation.tickets)
        self.doubt = reasons.NO_REFERENCE
        """Why it is new, where something tells of a conversation all the same."""
        self._named: Mapping[str, Transaction] | None = None
        self._posed: Transaction | None = None

    @cached_property
    def answered(self) -> list[str]:
        return signs.answered(self.incoming)

    @cached_property
    def thread_id(self) -> str:
        return signs.thread_id(self.incoming, self.settings.correlation)

    @cached_property
    def ticket_ids(self) -> list[str]:
        return signs.ticket_ids(self.incoming, self.expressions.tickets)

    async def named(self) -> Mapping[str, Transaction]:
        """What its Message-ID, those it answers, and its other ids name."""
        if self._named is None:
            ids = {self.incoming.message_id, *self.answered, self.thread_id, *self.ticket_ids} - {""}
            found = await self.conversations.transactions_of(self.incoming.organisation, ids) if ids else {}
            self._named = {name: each for name, each in found.items() if self.has_module(each)}
            if len(self._named) < len(found):
                self.doubt = reasons.GONE
        return self._named

    def has_module(self, transaction: Transaction) -> bool:
        return any(module.name == transaction.module for module in self.settings.modules)

    async def current(self, transaction: Transaction) -> Transaction | None:
        """The conversation that a signed name means now; None where it isn't kept, or its module is gone."""
        found = await self.conversations.current(transaction)
        return found if found is not None and self.has_module(found) else None

    async def is_seen(self, message_id: str) -> bool:
        """Whether a message with this id was taken, and not only named by others."""
        entry = await self.conversations.entry_of_message(self.incoming.organisation, message_id)
        return entry is not None and entry.transaction is not None

    async def joined(
        self, transaction: Transaction, reason: str, *, merges: tuple[Transaction, ...] = ()
    ) -> Correlation:
        return Correlation(
            Outcome.JOINED,
            reason,
            transaction,
            participants=self.belonging.brings(),
            known_ids=await self.known_ids(),
            merges=merges,
        )

    def pending(self, transaction: Transaction, standing: Standing, reason: str = reasons.STRANGER) -> Correlation:
        """It brings nobody, and names nothing."""
        said = {Standing.FORGED: reasons.FORGED_SENDER, Standing.UNPROVEN: self.author.doubt}.get(standing, reason)
        return Correlation(Outcome.PENDING, said, transaction)

    async def doubt_it(self, transaction: Transaction) -> None:
        """What tells of this conversation can be written by anybody, and its author may not join by it."""
        self.doubt = reasons.UNPROVEN
        if self._posed is None and await self.belonging.is_posed(transaction):
            self._posed = transaction

    async def unmatched(self) -> Correlation:
        """New; but who isn't believed in the name of one who takes part, is held whatever tells of the conversation."""
        if self._posed is not None:
            return self.pending(self._posed, await self.belonging.in_(self._posed))
        return Correlation(
            Outcome.NEW, self.doubt, participants=self.belonging.brings(), known_ids=await self.known_ids()
        )

    async def known_ids(self) -> tuple[str, ...]:
        """What names the conversation from now on: messages that nobody has seen yet, so that siblings fold.

        Not of a forward, for others forward the same message for reasons of their own; nor of who is not believed.
        """
        if self.incoming.is_forward or self.incoming.is_authenticated is False:
            return ()
        named = await self.named()
        unseen = [each for each in self.answered if each not in named]
        if len(unseen) > signs.NAMED_MAX:
            unseen = [*unseen[: signs.NAMED_MAX - 1], unseen[-1]]  # the last one is the root
        others = [each for each in (self.thread_id, *self.ticket_ids) if each and each not in named]
        return (*unseen, *others)
