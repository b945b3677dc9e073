"""Whether recipients in our domains exist, before their mail is taken: by the directory, or by asking the next hop.

Whoever can't be asked about is accepted. What a next hop said is remembered for a while, in bounded memory, of the
address as it was written: a spelling that a next hop takes badly says nothing of the others. The same recipient is
asked for once at a time, and few are asked for at once of one next hop, so that a slow one keeps nobody else waiting. A
next hop that says yes to an address that we make up says nothing by its yes: it is then no longer asked about that
domain.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mta import events
from mta.config.listener_schema import RecipientVerification
from mta.model.address import Address
from mta.model.person import UnansweredPerson
from mta.model.reply import Reply
from mta.ports.recipients import AsksForRecipients
from mta.relay.book import Book, people_of
from mta.relay.origin import is_rewritten

NO_SUCH_RECIPIENT = Reply(550, "5.1.1", "No such recipient here")
REMEMBERED_MAX = 50_000
ASKED_AT_ONCE = 10
WAITING_MAX = 500
"""Of one next hop, as the one above."""
SAID_EVERY_S = 60.0
_OF_OTHER_THINGS = frozenset({"5.1.7", "5.1.8", "5.2.2", "5.2.3"})
"""RFC 3463: the sender's address and its system, a full mailbox, the message's length."""

Way = Callable[[str], object]
"""Next hop's name in the queue → the way to it."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a recipient, or of whether a next hop tells anything about a domain."""

    is_known: bool
    until: float


@dataclass(eq=False)
class _Hop:
    """One next hop as it is configured now."""

    name: str
    way: object
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKED_AT_ONCE))
    asking: dict[str, asyncio.Task[bool | None]] = field(default_factory=dict)


class RecipientVerifier:
    """One worker's."""

    def __init__(self, way: Way, clock: Callable[[], float] = time.monotonic) -> None:
        self._way = way
        self._clock = clock
        self._hops: dict[str, _Hop] = {}
        self._told: OrderedDict[tuple[_Hop, str], _Told] = OrderedDict()
        self._said_at: dict[str, float] = {}

    async def by_directory(self, book: Book, reverse_path: Address | None, recipient: Address) -> Reply | None:
        """None where somebody in the directory has the address, or it can't be asked.

        Nobody need have postmaster (RFC 5321 §4.5.1), nor the addresses at which bounces of rewritten senders arrive.
        """
        if recipient.local.lower() == "postmaster" or (reverse_path is None and is_rewritten(recipient)):
            return None
        keys = [recipient.key]
        base, plus, _ = recipient.local.partition("+")
        if plus and base:
            keys.append(Address(base, recipient.domain).key)
        people = await people_of(book.directory, keys)
        entries = [entry for key in keys if (entry := people.get(key)) is not None]
        if not entries:
            return NO_SUCH_RECIPIENT
        if any(isinstance(entry, UnansweredPerson) for entry in entries):
            self._say(recipient, "the directory", "it does not answer")
        return None

    async def by_next_hop(self, settings: RecipientVerification, recipient: Address, next_hop: str) -> Reply | None:
        """None unless the next hop says that there is no such recipient."""
        hop = self._hop(next_hop)
        if self._remembered(hop, _domain(recipient)) is True:
            return None  # it takes everybody
        known = self._remembered(hop, _written(recipient))
        if known is None:
            known = await self._asked(settings, recipient, hop)
        return NO_SUCH_RECIPIENT if known is False else None

    def _hop(self, name: str) -> _Hop:
        """What another server of that name has said before a reload counts no more."""
        hop, way = self._hops.get(name), self._way(name)
        if hop is None or hop.way is not way:
            hop = self._hops[name] = _Hop(name, way)
        return hop

    def _remembered(self, hop: _Hop, about: str) -> bool | None:
        told = self._told.get((hop, about))
        return told.is_known if told is not None and told.until > self._clock() else None

    def _remember(self, hop: _Hop, about: str, is_known: bool, for_s: float) -> None:
        self._told[hop, about] = _Told(is_known, self._clock() + for_s)
        self._told.move_to_end((hop, about))
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)

    async def _asked(self, settings: RecipientVerification, recipient: Address, hop: _Hop) -> bool | None:
        """What the next hop says; None where nothing is to be had in time."""
        about = _written(recipient)
        task = hop.asking.get(about)
        if task is None:
            if len(hop.asking) >= WAITING_MAX:
                self._say(recipient, hop.name, "too many are asked for at once")
                return None
            task = asyncio.create_task(self._ask(settings, recipient, hop))
            hop.asking[about] = task
            task.add_done_callback(lambda _: hop.asking.pop(about, None))
        # Not cancelled with a client that leaves: others wait for the same answer, and it is worth remembering.
        done, _ = await asyncio.wait([task], timeout=settings.timeout.total_seconds())
        if not done:
            self._say(recipient, hop.name, "no answer in time")
            return None
        return task.result()

    async def _ask(self, settings: RecipientVerification, recipient: Address, hop: _Hop) -> bool | None:
        way, limit_s = hop.way, settings.timeout.total_seconds()
        if not isinstance(way, AsksForRecipients):
            return None
        try:
            async with asyncio.timeout(limit_s):
                await hop.turn.acquire()
        except TimeoutError:
            return None  # nobody waits for the answer any more
        try:
            reply = await way.ask_for(recipient, deadline_s=limit_s)
            is_known = _judged(reply)
            if is_known is None:
                self._say(recipient, hop.name, str(reply))
                return None
            keep = settings.keep_known if is_known else settings.keep_unknown
            self._remember(hop, _written(recipient), is_known, keep.total_seconds())
            if is_known and self._remembered(hop, _domain(recipient)) is None:
                await self._try_nobody(way, settings, recipient, hop)
            return is_known
        finally:
            hop.turn.release()

    async def _try_nobody(
        self, way: AsksForRecipients, settings: RecipientVerification, recipient: Address, hop: _Hop
    ) -> None:
        """Whether a yes of this next hop means anything for this domain."""
        nobody = Address(f"nobody-{secrets.token_hex(8)}", recipient.domain)
        takes_everybody = _judged(await way.ask_for(nobody, deadline_s=settings.timeout.total_seconds()))
        if takes_everybody is None:
            return
        if takes_everybody:
            events.takes_everybody(hop.name, domain=recipient.domain_key)
        self._remember(hop, _domain(recipient), takes_everybody, settings.keep_known.total_seconds())

    def _say(self, recipient: Address, next_hop: str, reason: str) -> None:
        now = self._clock()
        if now - self._said_at.get(next_hop, float("-inf")) >= SAID_EVERY_S:
            self._said_at[next_hop] = now
            events.recipient_unverified(recipient=str(recipient), next_hop=next_hop, reason=reason)


def _written(recipient: Address) -> str:
    """As the next hop hears it."""
    return f"{recipient.local}@{recipient.domain_key}"


def _domain(recipient: Address) -> str:
    """Which no recipient is called."""
    return recipient.domain_key


def _judged(reply: Reply) -> bool | None:
    """Whether the reply says yes or no; None where it tells of something else, such as that we may not ask."""
    if reply.is_success:
        return True
    if not reply.is_permanent:
        return None
    if reply.status.startswith(("5.1.", "5.2.")):
        return None if reply.status in _OF_OTHER_THINGS else False
    is_of_the_mailbox = reply.code in (550, 551, 553)
    return False if is_of_the_mailbox and (not reply.status or reply.status.startswith("5.0.")) else None
