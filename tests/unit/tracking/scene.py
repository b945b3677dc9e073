"""A desk to correlate at: a real store, a directory in memory, settings, and mails written in a few words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.tracking_schema import TrackingSettings
from mta.message.notice import make_notice_id
from mta.message.parse import parse
from mta.message.reference import make_reference
from mta.message.tracking_copy import Direction, Letterhead, TrackingCopy, digest_of, write_copy
from mta.model.address import parse_address
from mta.model.person import Person
from mta.model.tracking import Entry, EntryState, Intake
from mta.model.transaction import Opening, Transaction
from mta.ports.author_prover import AuthorProver
from mta.tracking.correlate import Author, Correlation, correlate
from mta.tracking.incoming import Incoming
from mta.tracking.people import KnownPeople
from mta.tracking.read import read_incoming

KEY = b"the first key of the example desk"
OLD_KEY = b"the key that it had before that one"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOMAIN = "desk.example.com"
SUPPORT = f"support@{DOMAIN}"
ANNA = "anna@customer.example.net"
MALLORY = "mallory@stranger.example.org"
AGENT = f"jane@{DOMAIN}"
_PLACEHOLDER = re.compile(rb"\{(ref|oldref|token|number|notice|foreign|gone):?([A-Za-z0-9]*)\}")


@dataclass(frozen=True)
class Conversation:
    """One that is there before the message comes; the messages are seen, those `named` only named by others."""

    participants: tuple[str, ...] = (ANNA,)
    messages: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    module: str = "ticket"
    direction: str = "sent"
    """Of its messages."""


@dataclass(frozen=True)
class CopyOf:
    """The message comes as the relay's copy."""

    conversation: str = ""
    direction: Direction = "sent"
    by: str = ""
    authenticated: bool | None = None
    mail_from: str = "envelope@example.com"
    recipients: tuple[str, ...] = ()
    key: bytes = KEY


class MemoryDirectory:
    """People from a list, as a directory that is always there; `down` makes it fail."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.entries = tuple(people)
        self.error: Exception | None = None

    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        if self.error is not None:
            raise self.error
        found = {}
        for person in self.entries:
            found.update({key: person for key in keys if key == person.address or key in person.aliases})
        return found

    async def everybody(self) -> AsyncIterator[Person]:
        for person in self.entries:
            yield person

    def group_names(self) -> frozenset[str] | None:
        return None

    def attribute_names(self) -> frozenset[str] | None:
        return None

    async def start(self) -> None:
        """Nothing runs."""

    async def close(self) -> None:
        """Nothing is open."""


def desk_settings(**changes: Any) -> TrackingSettings:
    """`correlation`, `filters`, `technicians` and the like in the words of the configuration."""
    return TrackingSettings.model_validate({
        "keys": [{"env": "STAMPLINE_TEST_KEY"}],
        "processing_mailbox": f"tracking@{DOMAIN}",
        "modules": [{"name": "ticket"}, {"name": "case", "label": "Case", "subject_token": "[CASE#{id}]"}],
        "rules": "rules/tracking",
        "mailboxes": [{"kind": "maildir", "name": "support", "address": SUPPORT, "path": "/var/mail/support"}],
        **changes,
    })  # fmt: skip


def mail(
    sender: str = f"Anna <{ANNA}>",
    *,
    to: str = SUPPORT,
    subject: str = "Printer",
    message_id: str | None = "<new-1@customer.example.net>",
    body: str = "The printer still prints nothing.\r\n",
    date: str = "Sun, 22 Nov 2026 11:00:00 +0000",
    **fields: str,
) -> bytes:
    """`in_reply_to="<…>"`, `references=…` and any other field, with `_` for `-`; "" leaves a field out."""
    head = {"From": sender, "To": to, "Subject": subject, "Date": date, "Message-ID": message_id or ""}
    head |= {name.replace("_", "-").title(): value for name, value in fields.items()}
    if not any(name.lower() == "content-type" for name in head):
        head["Content-Type"] = "text/plain; charset=utf-8"
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return f"{lines}MIME-Version: 1.0\r\n\r\n{body}".encode()


@dataclass
class Scene:
    """One organisation in a store that others use, too."""

    store: SqliteTrackingStore
    organisation: str
    settings: TrackingSettings = field(default_factory=desk_settings)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    authserv_ids: Sequence[str] = (f"mx.{DOMAIN}",)
    keys: Sequence[bytes] = (KEY, OLD_KEY)
    prover: AuthorProver | None = None
    conversations: dict[str, Transaction] = field(default_factory=dict)

    async def begin(self, name: str, wanted: Conversation) -> Transaction:
        first, *rest = wanted.messages or (f"<opened-{name}@{DOMAIN}>",)
        transaction = await self.store.open_transaction(
            Opening(self.organisation, wanted.module, first, NOW, None, wanted.participants)
        )
        self.conversations[name] = transaction
        for number, message_id in enumerate((first, *rest)):
            entry = self.entry(message_id, transaction, direction=wanted.direction)
            known = wanted.named if number == 0 else ()
            assert await self.store.take(Intake(entry, known_ids=known, participants=wanted.participants))
        return transaction

    def entry(
        self, message_id: str, transaction: Transaction | None, *, key: str = "", direction: str = "received",
        state: EntryState = EntryState.JOINED, reason: str = "test",
    ) -> Entry:  # fmt: skip
        return Entry(
            key or f"before:{message_id}", self.organisation, "support", message_id, "", state, reason, NOW, "",
            direction, transaction,
        )  # fmt: skip

    def filled(self, message: bytes) -> bytes:
        """The message with `{ref:NAME}` (signed), `{token:NAME}`, `{number:NAME}` and the like filled in."""
        return _PLACEHOLDER.sub(lambda match: self._fill(match[1].decode(), match[2].decode()).encode(), message)

    def _fill(self, kind: str, name: str) -> str:
        if kind == "notice":
            return make_notice_id(KEY, self.organisation, name or "a notice", DOMAIN)
        if kind == "gone":
            return make_reference(KEY, Transaction(self.organisation, name or "ticket", 4711, "abcdefgh"))
        transaction = self.conversations[name]
        if kind == "number":
            return str(transaction.number)
        if kind == "token":
            number = str(transaction.number).zfill(6)
            return f"[CASE#{number}]" if transaction.module == "case" else f"[Ticket - {number}]"
        if kind == "foreign":
            other = Transaction("another", transaction.module, transaction.number, transaction.nonce)
            return make_reference(KEY, other)
        return make_reference(OLD_KEY if kind == "oldref" else KEY, transaction)

    def read(
        self, message: bytes, copy: CopyOf | None = None, *, mailbox: str = "support", is_of_exchange: bool = False
    ) -> Incoming:
        data = self.filled(message)
        return read_incoming(
            data if copy is None else self.copied(data, copy),
            organisation=self.organisation,
            mailbox=mailbox,
            keys=self.keys,
            accepted_domains=(DOMAIN,),
            authserv_ids=self.authserv_ids,
            is_of_exchange=is_of_exchange,
        )

    def copied(self, data: bytes, copy: CopyOf) -> bytes:
        said = TrackingCopy(
            self.conversations.get(copy.conversation), copy.direction, copy.mail_from, copy.recipients, "track",
            "1tQueue", parse(data).message_id, digest_of([data]), NOW,
            copy.authenticated, self.organisation, by=copy.by,
        )  # fmt: skip
        head = Letterhead(
            parse_address(f"postmaster@{DOMAIN}"), parse_address(f"tracking@{DOMAIN}"), "<copy@x.example>", NOW, "Copy"
        )
        return b"".join(write_copy(said, copy.key, [data], head))

    @property
    def people(self) -> KnownPeople:
        return KnownPeople(self.directory, self.settings)

    async def correlate(self, message: bytes | Incoming, copy: CopyOf | None = None) -> Correlation:
        incoming = message if isinstance(message, Incoming) else self.read(message, copy)
        return await correlate(
            incoming, self.store, self.settings, keys=self.keys, people=self.people, accepted_domains=(DOMAIN,),
            author=Author(incoming, self.settings.correlation, self.prover, may_wait=False),
        )  # fmt: skip

    async def take(self, incoming: Incoming, correlation: Correlation) -> Transaction | None:
        """As rules do that open a record for whatever is new."""
        state = {"joined": EntryState.JOINED, "new": EntryState.JOINED, "pending": EntryState.PENDING}.get(
            correlation.outcome.value, EntryState.FILTERED
        )
        transaction = correlation.transaction
        if correlation.outcome.value == "new":
            transaction = await self.store.open_transaction(
                Opening(
                    self.organisation,
                    "ticket",
                    incoming.message_id or incoming.key,
                    NOW,
                    None,
                    correlation.participants,
                )
            )
        for gone in correlation.merges:
            if transaction is not None:
                await self.store.merge(gone, transaction, NOW)
        entry = self.entry(
            incoming.message_id, transaction, key=incoming.key, state=state,
            direction="sent" if incoming.is_sent else "received",
        )  # fmt: skip
        await self.store.take(Intake(entry, correlation.participants, correlation.known_ids))
        return transaction

    def name_of(self, transaction: Transaction | None) -> str:
        return next((name for name, each in self.conversations.items() if each == transaction), "")
