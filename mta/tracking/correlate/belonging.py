"""Who takes part in a conversation, and whom a message brings into it."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from mta.config.outgoing_checks import key_of
from mta.config.tracking_schema import TrackingSettings
from mta.model.address import without_tag
from mta.model.transaction import Transaction
from mta.ports.tracking_store import Conversations
from mta.tracking.correlate.author import Author
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.people import KnownPeople

PARTICIPANTS_MAX = 100
"""That one message brings."""


class Standing(Enum):
    OURS = "ours"
    """Sent by one of ours, by the relay's word."""
    PARTICIPANT = "participant"
    COLLEAGUE = "colleague"
    """One of ours, who does not take part yet."""
    STRANGER = "stranger"
    FORGED = "forged"
    """Whoever it says to be from, did not send it; or is one of ours, who doesn't write from outside."""
    UNPROVEN = "unproven"
    """Says to be one who may join, and nothing proves it where it should."""

    @property
    def takes_part(self) -> bool:
        return self in (Standing.OURS, Standing.PARTICIPANT)

    @property
    def may_join(self) -> bool:
        """Given what only the conversation's mails carry."""
        return self.takes_part or self is Standing.COLLEAGUE


class Belonging:
    """How the author of one message stands to conversations; each is looked up once."""

    def __init__(
        self,
        incoming: Incoming,
        conversations: Conversations,
        settings: TrackingSettings,
        people: KnownPeople,
        accepted_domains: Collection[str],
        author: Author,
    ) -> None:
        self._incoming = incoming
        self._author = author
        self._conversations = conversations
        self._settings = settings
        self._people = people
        self._accepted = accepted_domains
        self._standings: dict[Transaction, Standing] = {}
        self._is_colleague: bool | None = None

    async def in_(self, transaction: Transaction) -> Standing:
        standing = self._standings.get(transaction)
        if standing is None:
            standing = self._standings[transaction] = await self._standing(transaction)
        return standing

    async def _standing(self, transaction: Transaction) -> Standing:
        incoming = self._incoming
        if incoming.is_sent:
            return Standing.OURS
        if incoming.is_authenticated is False or self._is_ours_from_outside():
            return Standing.FORGED
        if await self._names_who_takes_part(transaction):
            return await self._if_believed(Standing.PARTICIPANT)
        if self._is_colleague is None:
            self._is_colleague = await self._works_here()
        return await self._if_believed(Standing.COLLEAGUE) if self._is_colleague else Standing.STRANGER

    async def _if_believed(self, standing: Standing) -> Standing:
        return standing if await self._author.is_believed() else Standing.UNPROVEN

    async def is_posed(self, transaction: Transaction) -> bool:
        """Whether somebody who isn't believed writes in the name of one who takes part."""
        is_believed = await self.in_(transaction) not in (Standing.FORGED, Standing.UNPROVEN)
        return not is_believed and await self._names_who_takes_part(transaction)

    async def _names_who_takes_part(self, transaction: Transaction) -> bool:
        """By the address alone."""
        participants = await self._conversations.participants(transaction)
        for key in self._author_keys():
            if await self._people.is_one_of(key, participants):
                return True
        return False

    def _is_ours_from_outside(self) -> bool:
        """It came to the relay or to Exchange from outside, in a name of ours, and nobody vouches for that."""
        incoming = self._incoming
        is_from_outside = incoming.copy is not None or incoming.is_from_outside
        if not is_from_outside or incoming.author is None or incoming.is_authenticated:
            return False
        return incoming.author.address.domain_key in self._accepted

    def _author_keys(self) -> list[str]:
        """From; in our own domains who sent in that name, too, which Exchange sees to.

        Elsewhere Sender proves nothing, for at a large provider it is anybody's; nor does Reply-To anywhere. Our own
        mailboxes are nobody: what they send is known by the relay's word.
        """
        incoming = self._incoming
        keys = [incoming.author_key] if incoming.author is not None else []
        people = (incoming.author, incoming.sender)
        if incoming.sender is not None and all(each and each.address.domain_key in self._accepted for each in people):
            keys.append(incoming.sender.address.key)
        own = own_addresses(self._settings)
        return [key for key in keys if without_tag(key) not in own]

    async def may_join_unproven(self, transaction: Transaction) -> bool:
        """Given what anybody can write, a number above all: who takes part, and whom the settings let in; of ours also
        technicians, and who writes to somebody who takes part. A colleague who guesses a number and shows it to nobody
        doesn't get in."""
        standing = await self.in_(transaction)
        author, copy = self._incoming.author, self._incoming.copy
        if standing is not Standing.OURS or author is None or copy is None:
            return standing.takes_part or await self._is_let_in(standing)
        if (await self._people.role(author.address.key)).is_technician:
            return True
        participants = await self._conversations.participants(transaction)
        own = own_addresses(self._settings)
        for key in (author.address.key, *map(key_of, copy.recipients[:PARTICIPANTS_MAX])):
            if without_tag(key) not in own and await self._people.is_one_of(key, participants):
                return True
        return False

    async def _is_let_in(self, standing: Standing) -> bool:
        if standing not in (Standing.COLLEAGUE, Standing.STRANGER):
            return False
        return await self._people.joins_by_token(self._incoming.author_key) and await self._author.is_believed()

    async def _works_here(self) -> bool:
        """In a domain of ours if a server vouches for it, or if the directory knows the person; or a technician."""
        author = self._incoming.author
        if author is None:
            return False
        role = await self._people.role(author.address.key)
        if role.is_technician:
            return True
        if author.address.domain_key not in self._accepted:
            return False
        if self._incoming.is_authenticated or await self._author.is_proven():
            return True
        person = await self._people.person(author.address.key)
        return person is not None and not person.is_contact

    def brings(self) -> tuple[str, ...]:
        """Address keys of those who take part by this message. Who is not to be believed brings nobody but himself."""
        incoming = self._incoming
        if incoming.automatic not in (Automatic.NO, Automatic.MEETING, Automatic.GENERATED):
            return ()
        named = [incoming.author] if incoming.author is not None else []
        if incoming.is_authenticated is not False:
            named += [*incoming.reply_to, *incoming.to, *incoming.cc]
        own = own_addresses(self._settings)
        keys = dict.fromkeys(mailbox.address.key for mailbox in named)
        return tuple(key for key in keys if without_tag(key) not in own)[:PARTICIPANTS_MAX]


def own_addresses(settings: TrackingSettings) -> frozenset[str]:
    """Address keys of the processing mailbox and the monitored ones, without a tag."""
    written = (settings.processing_mailbox, *(mailbox.address for mailbox in settings.mailboxes))
    return frozenset(without_tag(key_of(address)) for address in written if address)
