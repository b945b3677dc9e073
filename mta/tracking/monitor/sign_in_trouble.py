"""A mailbox that we could not sign in to three polls in a row: a record tells of it, and people are told by mail.

Each step can be repeated after a crash: record, note and mails have keys that are made of the mailbox's last good poll.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mta import events
from mta.config.tracking_schema import Module, OutgoingAccount
from mta.message.addresses import Mailbox
from mta.message.encoded_words import encode_words
from mta.message.letters import CannotWriteError, Letter, compose
from mta.message.notice import HEADER, make_notice_id
from mta.message.structure import Picture
from mta.model.address import AddressError, parse_address
from mta.model.record import MONITOR_SOURCE, AddNote, Change, CreateRecord, UpdateRecord
from mta.model.tracking import Entry, EntryState, Intake, MailboxNotes, NewTask, TaskKind
from mta.model.transaction import Opening, Transaction
from mta.ports.tracking_store import TrackingStore
from mta.tracking.monitor.assignment import Assignment
from mta.tracking.notify import NoticeContext


@dataclass(frozen=True, slots=True)
class _Words:
    """Our own, where there is no template."""

    subject: str
    text: str
    html: str = ""
    pictures: Sequence[Picture] = ()


class SignInTrouble:
    """At one moment, for one mailbox."""

    def __init__(self, store: TrackingStore, assignment: Assignment, now: datetime) -> None:
        self._store = store
        self._settings = assignment.settings
        self._desk = assignment.desk
        self._now = now

    async def open(self, notes: MailboxNotes, mend: str) -> Transaction:
        """The record of this trouble; made, and people told, where that was not done before. Raises TemporaryError."""
        about = self._about(notes)
        module = self._module()
        opening = Opening(
            self._desk.name, module.name, f"<{about}@{self._desk.hostname}>", self._now,
            participants=tuple(self._recipients()),
        )  # fmt: skip
        transaction = await self._store.open_transaction(opening)
        name, address = self._settings.name, self._settings.address
        words = _Words(
            f"Mailbox {name} can't be read: {notes.reason}",
            f"Mailbox {name} ({address}) could not be signed in to {notes.failures} polls in a row.\n\n"
            f"The server says: {notes.reason}{': ' if notes.detail else ''}{notes.detail}\n"
            f"To mend it: {mend}\n\n"
            "Nothing is lost: messages wait in the mailbox. It is polled again with growing pauses; once it is mended, "
            f"`stampline mailbox poll {name}` does so at once. This record closes by itself then.\n",
        )
        letter = self._letter(words, transaction, notes, mend)
        created = CreateRecord(
            transaction, "open", letter.subject or words.subject, address_key_of(address), module.owner,
            MONITOR_SOURCE, {"mailbox": name, "address": address, "reason": notes.reason[:200]},
        )  # fmt: skip
        note = AddNote(transaction, "", MONITOR_SOURCE, "system", letter.text or words.text, is_public=False)
        await self._store.take(
            Intake(self._entry(about, transaction), changes=(created, note), tasks=self._tasks(about, letter, words,
                transaction))
        )  # fmt: skip
        events.mailbox_trouble(name, record=str(transaction), reason=notes.reason, detail=notes.detail, mend=mend)
        return transaction

    async def close(self, notes: MailboxNotes) -> None:
        """It is polled again. Raises TemporaryError."""
        if notes.trouble is None:
            return
        name, about = self._settings.name, f"{self._about(notes)}-over"
        words = _Words(
            f"Mailbox {name} is read again",
            f"Mailbox {name} ({self._settings.address}) is polled again; it could not be signed in to {notes.failures} "
            "polls in a row. What came meanwhile is being processed.\n",
        )
        changes: tuple[Change, ...] = (
            AddNote(notes.trouble, "", MONITOR_SOURCE, "system", words.text, is_public=False),
            UpdateRecord(notes.trouble, state="closed"),
        )
        tasks = self._tasks(about, words, words, notes.trouble)
        entry = self._entry(about, notes.trouble)
        await self._store.change(about, Intake(entry, changes=changes, tasks=tasks))
        events.mailbox_trouble_over(name, record=str(notes.trouble))

    def _about(self, notes: MailboxNotes) -> str:
        """The same for one trouble, however often the process starts anew."""
        since = "never" if notes.answered_at is None else f"{notes.answered_at:%Y%m%d%H%M%S%f}"
        return f"mailbox-trouble-{self._settings.name}-{since}"

    def _module(self) -> Module:
        """The one that is configured; the first one where that has gone."""
        settings = self._desk.settings
        return self._desk.module(settings.trouble.module) or settings.modules[0]

    def _entry(self, about: str, transaction: Transaction) -> Entry:
        return Entry(
            key=f"monitor:{about}", organisation=self._desk.name, mailbox=self._settings.name, message_id="",
            content_hash="", state=EntryState.JOINED, reason="mailbox-trouble", at=self._now, sender="",
            direction="sent", transaction=transaction,
        )  # fmt: skip

    # --- mails --------------------------------------------------------------------------------------------------------

    def _letter(self, words: _Words, transaction: Transaction, notes: MailboxNotes, mend: str) -> Letter:
        """By the mailbox's template; our own words where there is none, or it fails."""
        template = self._settings.trouble_template
        if not template:
            return words
        module = self._desk.module(transaction.module)
        values = {
            "record": {
                "module": transaction.module, "number": str(transaction.number), "state": "open",
                "id": str(transaction.number).zfill(module.digits if module is not None else 1),
                "title": words.subject, "source": MONITOR_SOURCE,
            },
            "mailbox": {
                "name": self._settings.name, "address": self._settings.address, "reason": notes.reason,
                "detail": notes.detail, "mend": mend, "failures": str(notes.failures),
            },
        }  # fmt: skip
        try:
            return self._desk.render(template, NoticeContext(values, self._now, recipient=""))
        except CannotWriteError as error:
            events.mailbox_template_failed(self._settings.name, template=template, error=str(error))
            return words

    def _recipients(self) -> list[str]:
        return [address_key_of(each) for each in self._desk.settings.trouble.notify]

    def _tasks(self, about: str, letter: Letter, words: _Words, transaction: Transaction) -> tuple[NewTask, ...]:
        account = self._account()
        recipients = tuple(self._desk.settings.trouble.notify)
        if account is None or not recipients:
            return ()
        message = self._message(about, letter, words, account, recipients)
        if message is None and letter is not words:
            message = self._message(about, words, words, account, recipients)
        if message is None:
            return ()
        task = NewTask(
            f"{about}-notice", TaskKind.NOTICE, self._desk.name, account.name, message, self._now, transaction,
            recipients,
        )  # fmt: skip
        return (task,)

    def _account(self) -> OutgoingAccount | None:
        """The one that is configured or the first; another one where that is the broken mailbox's own."""
        accounts = self._desk.settings.accounts
        wanted = [each for each in accounts if each.name == self._desk.settings.trouble.account] or list(accounts[:1])
        others = [each for each in accounts if self._sender(each) != self._own]
        return next((each for each in (*wanted, *others) if each in others), wanted[0] if wanted else None)

    def _sender(self, account: OutgoingAccount) -> str:
        """An address that isn't the mailbox's, where the account has one."""
        keys = {address_key_of(each): each for each in reversed(account.senders)}
        return next((key for key in reversed(keys) if key != self._own), self._own)

    @property
    def _own(self) -> str:
        return address_key_of(self._settings.address)

    def _message(
        self, about: str, letter: Letter, words: _Words, account: OutgoingAccount, recipients: Sequence[str]
    ) -> bytes | None:  # fmt: skip
        """None where it can't be written."""
        message_id = make_notice_id(self._desk.keys[0], self._desk.name, about, self._desk.hostname)
        fields = [
            _subject_field(letter.subject or words.subject),
            b"Auto-Submitted: auto-generated\r\n",
            f"{HEADER}: {message_id}\r\n".encode(),
        ]
        try:
            return compose(
                letter, sender=Mailbox("", parse_address(self._sender(account))),
                to=[Mailbox("", parse_address(each)) for each in recipients], date=self._now, message_id=message_id,
                fields=fields,
            )  # fmt: skip
        except (CannotWriteError, AddressError) as error:
            events.mailbox_template_failed(
                self._settings.name, template=self._settings.trouble_template, error=str(error)
            )  # fmt: skip
            return None


def _subject_field(text: str) -> bytes:
    line = " ".join(text.split())[:250]
    words = [line.encode()] if line.isascii() and "=?" not in line else encode_words(line, whole=True)
    return b"Subject: " + b"\r\n ".join(words) + b"\r\n"


def address_key_of(address: str) -> str:
    """Its key; the text itself where it is no address."""
    try:
        return parse_address(address).key
    except AddressError:
        return address.lower()
