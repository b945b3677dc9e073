"""What business rules ask about: gathered before they run, so that they run without waiting for anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mta.message.attachments import Attachment, attachments
from mta.message.classify import Kind
from mta.message.patterns.text_patterns import Text
from mta.model.person import Person
from mta.model.record import Record
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate import reasons
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.people import Role
from mta.tracking.record.schema import AUTOMATIC

if TYPE_CHECKING:
    from mta.tracking.desk import Desk


@dataclass(frozen=True)
class MessageFacts:
    """Of one message; texts are read when somebody asks."""

    incoming: Incoming
    mailbox_address: str
    """Address key of the monitored mailbox; "" for one that isn't there any more."""
    sender: Person | None
    """As the directory knows the author; None for nobody it knows, and for one who isn't who he says."""
    role: Role
    takes_part: bool

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The words of `kind` that are right."""
        automatic = self.incoming.automatic.value
        if self.incoming.automatic is not Automatic.NO:
            return frozenset((automatic, "automatic")) if automatic in AUTOMATIC else frozenset((automatic,))
        if self.incoming.is_forward:
            return frozenset(("forward",))
        answers = self.incoming.in_reply_to or self.incoming.references
        return frozenset(("reply" if answers or self.incoming.classification.kind is Kind.REPLY else "new",))

    @property
    def is_personal(self) -> bool:
        return self.incoming.automatic is Automatic.NO

    @property
    def is_known(self) -> bool:
        """Whether the author is somebody whom directory or settings know."""
        return self.sender is not None or self.role is not Role.UNKNOWN

    @cached_property
    def subject(self) -> Text:
        return Text(self.incoming.subject)

    @cached_property
    def newest(self) -> Text:
        return Text(self.incoming.newest)

    @cached_property
    def whole(self) -> Text:
        return Text(self.incoming.text)

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """What a reader sees as files, pictures in the text included."""
        return tuple(attachments(self.incoming.parsed))


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one message, or of a record whose time has come."""

    organisation: str
    now: datetime
    message: MessageFacts | None = None
    """None where it is time that asks."""
    outcome: str = ""
    """`new`, `joined`, `pending`, `report`; "" without a message."""
    transaction: Transaction | None = None
    record: Record | None = None
    participants: frozenset[str] = field(default_factory=frozenset)
    """Of the conversation, before this message."""


OUTCOMES = {
    Outcome.NEW: "new",
    Outcome.JOINED: "joined",
    Outcome.PENDING: "pending",
    Outcome.REPORT: "report",
}
"""What rules are asked about, by what correlation found."""


async def facts_of(
    incoming: Incoming, correlation: Correlation, desk: Desk, store: TrackingStore, now: datetime
) -> Facts:
    """Raises DirectoryDownError, and what the store raises."""
    author = incoming.author_key if incoming.is_authenticated is not False else ""
    transaction = correlation.transaction
    record = await store.record(transaction) if transaction is not None else None
    participants = await store.participants(transaction) if transaction is not None else frozenset()
    mailbox = next((each for each in desk.settings.mailboxes if each.name == incoming.mailbox), None)
    return Facts(
        desk.name,
        now,
        MessageFacts(
            incoming,
            mailbox.address.lower() if mailbox is not None else "",
            await desk.people.person(author),
            await desk.people.role(author),
            await desk.people.is_one_of(author, participants),
        ),
        "new" if record is None and _was_begun(correlation) else OUTCOMES[correlation.outcome],
        transaction,
        record,
        participants,
    )


def _was_begun(correlation: Correlation) -> bool:
    """Its Message-ID names a conversation: where that has no record, we died between opening it and the commit."""
    return correlation.outcome is Outcome.JOINED and correlation.reason == reasons.MESSAGE_ID
