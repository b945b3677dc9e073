"""Whether recipients in our domains exist, before their mail is taken: by the directory, or by asking the next hop.

Whoever can't be asked about is accepted. What a next hop said is remembered for a while, in bounded memory; the same
recipient is asked for once at a time, and few are asked for at once. A next hop that says yes to an address that we
make up says nothing by its yes: it is then no longer asked about that domain.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mta import events
from mta.config.listener_schema import RecipientVerification
from mta.model.address import Address
from mta.model.person import UnansweredPerson
from mta.model.reply import Reply
from mta.ports.recipients import AsksForRecipients
from mta.relay.book import Book, people_of

NO_SUCH_RECIPIENT = Reply(550, "5.1.1", "No such recipient here")
REMEMBERED_MAX = 50_000
ASKED_AT_ONCE = 10
WAITING_MAX = 500
SAID_EVERY_S = 60.0

Way = Callable[[str], object]
"""Next hop's name in the queue → the way to it."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a recipient, or of whether a next hop tells anything about a domain."""

    is_known: bool
    until: float


class RecipientVerifier:
    """One worker's."""

    def __init__(self, way: Way, clock: Callable[[], float] = time.monotonic) -> None:
        self._way = way
        self._clock = clock
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[bool | None]] = {}
        self._turn = asyncio.Semaphore(ASKED_AT_ONCE)
        self._said_at: dict[str, float] = {}

    async def by_directory(self, book: Book, recipient: Address) -> Reply | None:
        """None where somebody in the directory has the address, or it can't be asked."""
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
        key = (next_hop, recipient.key)
        if self._remembered((next_hop, recipient.domain_key)) is True:
            return None  # it takes everybody
        known = self._remembered(key)
        if known is None:
            known = await self._asked(settings, recipient, key)
        return NO_SUCH_RECIPIENT if known is False else None

    def _remembered(self, key: tuple[str, str]) -> bool | None:
        told = self._told.get(key)
        return told.is_known if told is not None and told.until > self._clock() else None

    def _remember(self, key: tuple[str, str], is_known: bool, for_s: float) -> None:
        self._told[key] = _Told(is_known, self._clock() + for_s)
        self._told.move_to_end(key)
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)

    async def _asked(
        self, settings: RecipientVerification, recipient: Address, key: tuple[str, str]
    ) -> bool | None:  # fmt: skip
        """What the next hop says; None where nothing is to be had in time."""
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= WAITING_MAX:
                self._say(recipient, key[0], "too many are asked for at once")
                return None
            task = asyncio.create_task(self._ask(settings, recipient, key))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Not cancelled with a client that leaves: others wait for the same answer, and it is worth remembering.
        done, _ = await asyncio.wait([task], timeout=settings.timeout.total_seconds())
        if not done:
            self._say(recipient, key[0], "no answer in time")
            return None
        return task.result()

    async def _ask(
        self, settings: RecipientVerification, recipient: Address, key: tuple[str, str]
    ) -> bool | None:  # fmt: skip
        next_hop = key[0]
        way = self._way(next_hop)
        if not isinstance(way, AsksForRecipients):
            return None
        async with self._turn:
            reply = await way.ask_for(recipient, deadline_s=settings.timeout.total_seconds())
        is_known = _judged(reply)
        if is_known is None:
            self._say(recipient, next_hop, str(reply))
            return None
        keep = settings.keep_known if is_known else settings.keep_unknown
        self._remember(key, is_known, keep.total_seconds())
        if is_known and self._remembered((next_hop, recipient.domain_key)) is None:
            await self._try_nobody(way, settings, recipient, next_hop)
        return is_known

    async def _try_nobody(
        self, way: AsksForRecipients, settings: RecipientVerification, recipient: Address, next_hop: str
    ) -> None:
        """Whether a yes of this next hop means anything for this domain."""
        nobody = Address(f"nobody-{secrets.token_hex(8)}", recipient.domain)
        takes_everybody = _judged(await way.ask_for(nobody, deadline_s=settings.timeout.total_seconds()))
        if takes_everybody is None:
            return
        if takes_everybody:
            events.takes_everybody(next_hop, domain=recipient.domain_key)
        self._remember((next_hop, recipient.domain_key), takes_everybody, settings.keep_known.total_seconds())

    def _say(self, recipient: Address, next_hop: str, reason: str) -> None:
        now = self._clock()
        if now - self._said_at.get(next_hop, float("-inf")) >= SAID_EVERY_S:
            self._said_at[next_hop] = now
            events.recipient_unverified(recipient=str(recipient), next_hop=next_hop, reason=reason)


def _judged(reply: Reply) -> bool | None:
    """Whether the reply says yes or no; None where it tells of something else, such as that we may not ask."""
    if reply.is_success:
        return True
    subject = reply.status.split(".")[1:2]
    return False if reply.is_permanent and subject in ([], ["0"], ["1"], ["2"]) else None
