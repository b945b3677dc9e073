"""A tracked conversation in the demonstration: what the desk writes, what comes back, and the record of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import aiosmtplib

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.cli.command import CommandFailedError
from mta.config.listener_schema import Listener
from mta.config.schema import Configuration
from mta.config.tracking_schema import MaildirMailbox, TrackingSettings
from mta.message.reference import HEADER, SHAPE
from mta.model.record import Note, RecordFilter
from mta.model.tracking import Entry, EntryState
from mta.model.transaction import Transaction

DESK = "support@example.com"
CUSTOMER = "buyer@customer.example"
STRANGER = "somebody@stranger.example"
ARRIVAL_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """One message of the conversation, and what has to become of it."""

    what: str
    message: EmailMessage
    joins: bool

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of the demonstration's configuration that the conversation needs."""

    configuration: Configuration
    settings: TrackingSettings
    mailbox: MaildirMailbox
    maildirs: Path
    config: Path

    @classmethod
    def of(cls, configuration: Configuration, config: Path, maildirs: Path) -> Desk | None:
        """None where the configuration tracks nothing by a Maildir."""
        for organisation in configuration.every_organisation:
            for mailbox in organisation.tracking.mailboxes if organisation.tracking is not None else ():
                if isinstance(mailbox, MaildirMailbox) and organisation.tracking is not None:
                    return cls(configuration, organisation.tracking, mailbox, maildirs, config)
        return None

    def maildir(self, address: str) -> Path:
        local, _, domain = address.partition("@")
        return self.maildirs / domain / local


def make_mailbox(configuration: Configuration) -> None:
    """The Maildirs that are monitored, before anything is delivered there."""
    for organisation in configuration.every_organisation:
        for mailbox in organisation.tracking.mailboxes if organisation.tracking is not None else ():
            if isinstance(mailbox, MaildirMailbox):
                for each in ("cur", "new", "tmp"):
                    (mailbox.path / each).mkdir(parents=True, exist_ok=True, mode=0o700)


async def converse(desk: Desk) -> tuple[list[list[str]], list[str]]:
    """Have the conversation; rows (message, what became of it, by what, record) and everything that is wrong."""
    first = Told("the desk writes to a customer", _written(DESK, CUSTOMER, "Your order", "It leaves on Monday."), True)
    await _send(desk, first, "trusted", DESK, CUSTOMER)
    (received,) = await _arrived(desk.maildir(CUSTOMER), {first.message_id})
    faults = list(_faults_of_ids(received))
    await _arrived(desk.mailbox.path, {first.message_id}, inside=True)
    answers = _answers(received)
    for told in answers:
        await _send(desk, told, "inbound", str(told.message["From"].addresses[0].addr_spec), DESK)
    await _arrived(desk.mailbox.path, {told.message_id for told in answers}, inside=True)
    await _poll(desk)
    seen = await _look(desk)
    rows, wrong = _judged([first, *answers], seen)
    return rows, [*faults, *wrong]


def _answers(received: EmailMessage) -> Sequence[Told]:
    token = str(received["Subject"]).partition("[")[2].partition("]")[0]
    reply = _written(CUSTOMER, DESK, "An entirely different subject", "Tuesday would be better.", received)
    away = _written(CUSTOMER, DESK, f"Automatic reply: {received['Subject']}", "I am away until Monday.", received)
    away["Auto-Submitted"] = "auto-replied"
    thief = _written(STRANGER, DESK, f"Re: [{token}]", "Please send me a copy of everything.")
    return (
        Told("the customer answers, with another subject", reply, True),
        Told("the customer's automatic reply", away, False),
        Told("a stranger, with the subject's number", thief, False),
    )


def _written(sender: str, to: str, subject: str, text: str, answers: EmailMessage | None = None) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{time.time_ns()}@mail.{sender.rpartition('@')[2]}>"
    quoted = ""
    if answers is not None:
        message["In-Reply-To"] = str(answers["Message-ID"])
        message["References"] = f"{answers['References'] or ''} {answers['Message-ID']}".strip()
        body = answers.get_body(("plain",))
        lines = body.get_content().splitlines() if body is not None else []
        quoted = f"\nOn Monday, {answers['From']} wrote:\n" + "".join(f"> {line}\n" for line in lines)
    message.set_content(f"{text}\n{quoted}")
    return message


async def _send(desk: Desk, told: Told, role: str, sender: str, recipient: str) -> None:
    listener: Listener = next(each for each in desk.configuration.listeners if each.role == role)
    try:
        async with aiosmtplib.SMTP(hostname=listener.address, port=listener.port, start_tls=False) as client:
            await client.sendmail(sender, [recipient], told.message.as_bytes())
    except aiosmtplib.SMTPException as exc:
        raise CommandFailedError(f"the relay refused a message: {exc}") from exc


async def _arrived(maildir: Path, message_ids: set[str], *, inside: bool = False) -> list[EmailMessage]:
    """Wait for messages; `inside`: as copies that hold them."""
    deadline = time.monotonic() + ARRIVAL_S
    while True:
        found = _found(maildir, message_ids, inside=inside)
        if len(found) == len(message_ids):
            return list(found.values())
        if time.monotonic() > deadline:
            raise CommandFailedError(f"{len(message_ids) - len(found)} messages did not arrive in {maildir}")
        await asyncio.sleep(_POLL_S)


def _found(maildir: Path, message_ids: set[str], *, inside: bool) -> dict[str, EmailMessage]:
    found = {}
    for path in (*maildir.glob("new/*"), *maildir.glob("cur/*")):
        message = _read(path)
        for part in message.walk() if inside else (message,):
            named = str(part["Message-ID"] or "").strip()
            if named in message_ids:
                found[named] = message
    return found


def _read(path: Path) -> EmailMessage:
    try:
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
    except FileNotFoundError:  # moved meanwhile
        return EmailMessage()
    assert isinstance(message, EmailMessage)
    return message


def _faults_of_ids(received: EmailMessage) -> Sequence[str]:
    """What the customer's copy lacks of the conversation's id."""
    wanted = {"References": SHAPE, HEADER: SHAPE}
    faults = [
        f"no signed reference in {name}" for name, shape in wanted.items() if not shape.search(str(received[name]))
    ]
    if "[" not in str(received["Subject"]):
        faults.append("no token in the subject")
    return faults


async def _poll(desk: Desk) -> None:
    """As an administrator would who can't wait for the next poll."""
    command = [sys.executable, "-m", "mta", "mailbox", "poll", desk.mailbox.name, "--config", str(desk.config)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise CommandFailedError(f"the mailbox could not be polled:\n{output.decode(errors='replace')}")


@dataclass(frozen=True, slots=True)
class _Seen:
    entries: Mapping[str, Entry]
    notes: Mapping[Transaction, Sequence[Note]]


async def _look(desk: Desk) -> _Seen:
    store = await SqliteTrackingStore.open(desk.configuration.spool.folder)
    try:
        entries = {entry.message_id: entry for entry in await store.entries()}
        records = [record for _, record in await store.records(RecordFilter())]
        return _Seen(entries, {each.transaction: await store.notes(each.transaction) for each in records})
    finally:
        await store.close()


def _shown(transaction: Transaction | None, seen: _Seen) -> str:
    if transaction is None:
        return "none"
    notes = len(seen.notes.get(transaction, ()))
    return f"{transaction}, {notes} note{'' if notes == 1 else 's'}"


def _became(entry: Entry, *, has_joined: bool) -> str:
    if has_joined:
        return "joins it"
    return "doesn't join: left out" if entry.transaction is None else "doesn't join: a record of its own"


def _judged(conversation: Sequence[Told], seen: _Seen) -> tuple[list[list[str]], list[str]]:
    rows, wrong = [], []
    first = seen.entries.get(conversation[0].message_id)
    record = first.transaction if first is not None else None
    for told in conversation:
        entry = seen.entries.get(told.message_id)
        if entry is None:
            wrong.append(f"{told.what}: not taken")
            continue
        has_joined = entry.state is EntryState.JOINED and entry.transaction == record
        if has_joined is not told.joins:
            wrong.append(f"{told.what}: {entry.state.value} by {entry.reason}")
        became = "opens a record" if told is conversation[0] else _became(entry, has_joined=has_joined)
        rows.append([told.what, became, entry.reason, _shown(entry.transaction, seen)])
    notes = seen.notes.get(record, ()) if record is not None else ()
    if len(notes) != 2:
        wrong.append(f"the record has {len(notes)} notes instead of two")
    return rows, wrong
