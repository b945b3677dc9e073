"""Notices of records: who gets one, what it says, and the whole message as a task for an outgoing account."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mta import events
from mta.config.outgoing_checks import key_of, own_addresses
from mta.config.tracking_schema import Module, OutgoingAccount
from mta.message.addresses import Mailbox
from mta.message.headers import format_field
from mta.message.letters import CannotWriteError, Letter, compose
from mta.message.notice import HEADER as NOTICE_HEADER
from mta.message.notice import make_notice_id
from mta.message.reference import HEADER as TRANSACTION_HEADER
from mta.message.reference import make_reference
from mta.message.subject import has_tag
from mta.message.unanswered import wants_no_answer
from mta.model.address import AddressError, parse_address, without_tag
from mta.model.person import Person
from mta.model.record import AddNote
from mta.model.tracking import NewTask, TaskKind
from mta.ports.tracking_store import TrackingStore
from mta.tracking.filter.judge import may_write_to
from mta.tracking.notify.occasion import Occasion, style_of
from mta.tracking.notify.render import NoticeContext
from mta.tracking.notify.words import note_values, own_words, pending_words, record_values

if TYPE_CHECKING:
    from mta.tracking.desk import Desk
    from mta.tracking.record.draft import NoticeWish

RECIPIENTS_MAX = 50
"""Of one action."""
NO_AUTOMATIC_ANSWERS = b"X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply\r\n"
"""Everything but NDR, which Exchange wouldn't send then: a bounce marks the notice as failed."""
_SUBJECT_MAX = 300
_REFERENCES_MAX = 20
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")


@dataclass(frozen=True, slots=True)
class Notices:
    """What comes of one wish."""

    tasks: tuple[NewTask, ...] = ()
    message_ids: tuple[str, ...] = ()
    """Of the notices: an answer that keeps nothing else names the conversation by them."""
    invited: tuple[str, ...] = ()
    """Address keys that a rule names: whoever is told may answer."""
    told: tuple[str, ...] = ()
    """Address keys that got one."""


@dataclass(slots=True)
class _Made:
    tasks: list[NewTask] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class Notifier:
    """Writes the notices of one occasion."""

    def __init__(self, occasion: Occasion, desk: Desk, store: TrackingStore) -> None:
        self._occasion = occasion
        self._desk = desk
        self._store = store
        self._module: Module | None = desk.module(occasion.transaction.module)
        self._own = own_addresses(desk.settings)

    async def carry_out(self, wish: NoticeWish, place: int) -> Notices:
        """`place` tells several of one rule apart. Nobody gets two of one wish."""
        made = _Made()
        account = self._account(wish)
        if account is None:
            self._left_out(wish, "", "no-account")
            return Notices()
        for address, reason in await self.recipients(wish):
            if reason:
                self._left_out(wish, address, reason)
            else:
                await self._write(wish, account, address, place, made)
        invited = tuple(each for each in made.told if each in wish.to)
        return Notices(tuple(made.tasks), tuple(made.message_ids), invited, tuple(made.told))

    def _left_out(self, wish: NoticeWish, address: str, reason: str) -> None:
        events.tracking_notice_left_out(
            str(self._occasion.transaction), rule=wish.rule, recipient=address, reason=reason
        )

    # --- who ----------------------------------------------------------------------------------------------------------

    async def recipients(self, wish: NoticeWish) -> list[tuple[str, str]]:
        """Address keys, each once, with the reason for which it gets none; "" where it gets one."""
        found: dict[str, None] = {}
        for word in wish.to:
            found |= dict.fromkeys(each for each in self._people(word) if each)
        return [(address, await self._why_not(address)) for address in list(found)[:RECIPIENTS_MAX]]

    def _people(self, word: str) -> Iterator[str]:
        record, message = self._occasion.record, self._occasion.message
        if word == "requester":
            yield record.requester
        elif word == "owner":
            yield record.owner if message is None or record.owner != message.incoming.author_key else ""
        elif word == "sender":
            yield message.incoming.author_key if message is not None else ""
        elif word == "participants":
            yield from sorted(set(self._occasion.participants) - self._addressed())
        else:
            yield word

    def _addressed(self) -> set[str]:
        """Who has the message already."""
        message = self._occasion.message
        if message is None:
            return set()
        incoming = message.incoming
        return {incoming.author_key, *(each.address.key for each in (*incoming.to, *incoming.cc))}

    async def _why_not(self, address: str) -> str:
        """The reason for which this address gets none; "" where it gets one."""
        try:
            if not parse_address(address).is_ascii:
                return "needs-smtputf8"
        except AddressError:
            return "not-an-address"
        if without_tag(address) in self._own:
            return "our-own-mailbox"
        message = self._occasion.message
        if message is not None and address == message.incoming.author_key:
            if not message.is_personal:
                return message.incoming.automatic.value
            if message.incoming.is_sent:
                return "wrote-it"
            if message.incoming.is_authenticated is False:
                return "not-authenticated"
            if wants_no_answer(message.incoming.parsed):
                return "wants-no-answer"
        elif self._occasion.event == "note.added" and address in self._addressed():
            return "has-it"
        subject = message.incoming.subject if message is not None else self._occasion.record.title
        is_staff = address == self._occasion.record.owner or (await self._desk.people.role(address)).is_technician
        return await may_write_to(
            address, "", subject, organisation=self._desk.name, filters=self._desk.settings.filters,
            people=self._desk.people, conversations=self._store, now=self._occasion.now, is_staff=is_staff,
        )  # fmt: skip

    # --- by what ------------------------------------------------------------------------------------------------------

    def _account(self, wish: NoticeWish) -> OutgoingAccount | None:
        """The one that is named; else one that may send from the address that is wanted; else the first."""
        accounts = self._desk.settings.accounts
        if wish.account:
            return next((each for each in accounts if each.name == wish.account), None)
        wanted = key_of(wish.sender) if wish.sender else self._mailbox
        fitting = (each for each in accounts if wanted in map(key_of, each.senders))
        return next(fitting, accounts[0] if accounts else None)

    @property
    def _mailbox(self) -> str:
        """By whose answers the conversation goes on: the mailbox that the message came by, else the first."""
        message = self._occasion.message
        if message is not None and message.mailbox_address:
            return message.mailbox_address
        mailboxes = self._desk.settings.mailboxes
        return key_of(mailboxes[0].address) if mailboxes else ""

    def _sender(self, wish: NoticeWish, account: OutgoingAccount) -> str:
        """What a rule says; else the address that was written to, where the account may send from it."""
        senders = {key_of(each): each for each in account.senders}
        message = self._occasion.message
        written_to = [each.address.key for each in (*message.incoming.to, *message.incoming.cc)] if message else []
        wanted = [key_of(wish.sender), *written_to, self._mailbox]
        return next((senders[each] for each in wanted if each in senders), account.senders[0])

    # --- what ---------------------------------------------------------------------------------------------------------

    async def _write(self, wish: NoticeWish, account: OutgoingAccount, address: str, place: int, made: _Made) -> None:
        about = f"{wish.once or self._occasion.key}\0{wish.rule}\0{place}\0{address}"
        message_id = make_notice_id(self._desk.keys[0], self._desk.name, about, self._desk.hostname)
        person = await self._desk.people.person(address)
        for letter in await self._letters(wish, address, person):
            try:
                data = await self._composed(wish, account, letter, address, person, message_id)
            except (CannotWriteError, AddressError) as exc:
                events.tracking_template_failed(
                    str(self._occasion.transaction), rule=wish.rule, template=wish.template, error=str(exc)
                )
                continue
            made.tasks.append(
                NewTask(
                    task_key("notice", self._desk.name, about), TaskKind.NOTICE, self._desk.name, account.name, data,
                    self._occasion.now, self._occasion.transaction, (address,),
                )
            )  # fmt: skip
            made.message_ids.append(message_id)
            made.told.append(address)
            return

    async def _letters(self, wish: NoticeWish, address: str, person: Person | None) -> list[Letter]:
        """The template's, if there is one and it can be rendered; and our own words, which always can."""
        occasion = self._occasion
        role = await self._desk.people.role(address)
        for_staff = role.is_technician or address == occasion.record.owner
        wrote_it = occasion.message is not None and address == occasion.message.incoming.author_key
        own: Letter = own_words(occasion, self._module, for_staff=for_staff, wrote_it=wrote_it)
        if occasion.event == "record.pending":
            own = pending_words(occasion, self._module, occasion.key)
        if not wish.template:
            return [own]
        note = occasion.note if occasion.note is not None and (occasion.note.is_public or for_staff) else None
        context = self._context(wish, address, person, note, for_staff=for_staff)
        try:
            return [self._desk.render(wish.template, context), own]
        except CannotWriteError as exc:
            events.tracking_template_failed(
                str(occasion.transaction), rule=wish.rule, template=wish.template, error=str(exc)
            )
            return [own]

    def _context(
        self, wish: NoticeWish, address: str, person: Person | None, note: AddNote | None, *, for_staff: bool
    ) -> NoticeContext:
        occasion, message = self._occasion, self._occasion.message
        people = {address: person} if person is not None else {}
        sender = message.incoming.author_key if message is not None else ""
        if message is not None and message.sender is not None:
            people[sender] = message.sender
        values = {
            "record": record_values(occasion.record, self._module, for_staff=for_staff),
            "note": note_values(note),
        }
        parsed = message.incoming.parsed if message is not None else None
        return NoticeContext(values, occasion.now, address, sender, wish.rule, parsed, people)

    async def _composed(
        self,
        wish: NoticeWish,
        account: OutgoingAccount,
        letter: Letter,
        address: str,
        person: Person | None,
        message_id: str,
    ) -> bytes:
        """Raises CannotWriteError, AddressError."""
        sender = self._sender(wish, account)
        desk = await self._desk.people.person(key_of(sender))
        fields = [
            format_field("Subject", self._subject(wish, letter)),
            *self._threading(),
            self._auto_submitted(address),
            NO_AUTOMATIC_ANSWERS,
            f"{NOTICE_HEADER}: {message_id}\r\n".encode(),
        ]
        return compose(
            letter, sender=Mailbox(_name(desk), parse_address(sender)),
            to=[Mailbox(_name(person), parse_address(address))],
            date=self._occasion.now, message_id=message_id, fields=fields,
        )  # fmt: skip

    def _subject(self, wish: NoticeWish, letter: Letter) -> str:
        """With the token, for those whose mail programs keep nothing else."""
        subject = " ".join((letter.subject or wish.subject or self._occasion.record.title).split())[:_SUBJECT_MAX]
        token = style_of(self._module, self._occasion.transaction.module).write(self._occasion.transaction.number)
        return subject if not token or has_tag(subject, token) else f"{token} {subject}"

    def _threading(self) -> list[bytes]:
        """The signed reference, where mail programs carry it on, and what the notice answers."""
        reference = make_reference(self._desk.keys[0], self._occasion.transaction)
        ours = f"<{reference}@{self._desk.hostname}>"
        chain: list[str] = []
        fields = []
        message = self._occasion.message
        if message is not None and _MESSAGE_ID.fullmatch(message.incoming.message_id):
            earlier = [each for each in message.incoming.references if _MESSAGE_ID.fullmatch(each)]
            chain = [*earlier[-_REFERENCES_MAX:], message.incoming.message_id]
            fields.append(f"In-Reply-To: {message.incoming.message_id}\r\n".encode())
        chain = [*(each for each in dict.fromkeys(chain) if each != ours), ours]
        fields.append(f"References: {_FOLD.join(chain)}\r\n".encode())
        fields.append(f"{TRANSACTION_HEADER}: {ours}\r\n".encode())
        return fields

    def _auto_submitted(self, address: str) -> bytes:
        message = self._occasion.message
        answers = message is not None and address == message.incoming.author_key
        return b"Auto-Submitted: auto-%b\r\n" % (b"replied" if answers else b"generated")


_FOLD = "\r\n "


def _name(person: Person | None) -> str:
    return person.attributes.get("displayName", "") if person is not None else ""


def task_key(kind: str, organisation: str, about: str) -> str:
    """Of bounded length; the same for the same."""
    digest = hashlib.sha256(f"{organisation}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}:{digest[:40]}"
