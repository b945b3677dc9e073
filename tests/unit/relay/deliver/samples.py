"""Messages, deliveries and settlers for the tests of delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mta.config.delivery_schema import Retry
from mta.model.actions import Action
from mta.model.address import Address, parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, LeasedDelivery, RecipientEntry, State
from mta.model.envelope import Client, DsnRequest, Envelope, ListenerRole

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGINAL = (
    b"From: jane@example.com\r\nTo: joe@example.org\r\nSubject: Offer\r\nMessage-ID: <offer.1@example.com>\r\n"
    b"\r\nDear Joe,\r\nplease find the offer.\r\n"
)


def client(role: ListenerRole = ListenerRole.TRUSTED) -> Client:
    return Client("192.0.2.7", 4711, "mail.example.com", "from-exchange", role)


def message(
    recipients: Sequence[str] = ("joe@example.org",),
    *,
    sender: str = "jane@example.com",
    role: ListenerRole = ListenerRole.TRUSTED,
    actions: Mapping[int, tuple[Action, ...]] | None = None,
    ret: str = "",
    envid: str = "",
    state: State = State.QUEUED,
    message_id: str = "<offer.1@example.com>",
    dsn: Mapping[str, DsnRequest] | None = None,
) -> AcceptedMessage:
    """As the receiving side hands it over; `sender` "" is the null reverse-path."""
    addresses = tuple(parse_address(text) for text in recipients)
    per_recipient = actions or {}
    return AcceptedMessage(
        queue_id="Q1",
        accepted_at=NOON,
        envelope=Envelope(parse_address(sender) if sender else None, addresses, ret=ret, envid=envid, dsn=dsn or {}),
        client=client(role),
        body=Body.of(ORIGINAL),
        decision=Decision(
            tuple(
                RecipientDecision(address, Direction.OUTBOUND, Role.TO, per_recipient.get(i, ()), 0, "internet")
                for i, address in enumerate(addresses)
            )
        ),
        recipients=tuple(RecipientEntry(i, address, 0, "internet", state) for i, address in enumerate(addresses)),
        message_id=message_id,
    )


def leased(of: AcceptedMessage, attempts: int = 0) -> LeasedDelivery:
    return LeasedDelivery(of, "internet", of.recipients, attempts)


RETRY = Retry(schedule=("1m", "2m", "5m"), expire_after="2d")  # type: ignore[arg-type]


def in_ten_minutes(attempts: int, now: datetime, schedule: Sequence[timedelta]) -> datetime:
    """Stands for the schedule: ten minutes for each attempt made."""
    return now + timedelta(minutes=10 * attempts)


def next_hop_of(address: Address) -> str:
    return f"to-{address.domain_key}"
