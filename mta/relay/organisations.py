"""Whose mail a message is, where one installation serves several organisations."""

from __future__ import annotations

from mta.message.parse import Message
from mta.model.address import Address
from mta.model.decision import Decision
from mta.model.envelope import Client, Envelope
from mta.relay.book import Book
from mta.relay.decide import Participants
from mta.relay.origin import outside_origin
from mta.relay.snapshot import Snapshot


def participants_of(
    snapshot: Snapshot, message: Message | None, envelope: Envelope, client: Client
) -> tuple[Participants, str]:
    """Who a message is from and to, and what tells that our own server passes it on for a stranger ("" if nothing)."""
    if message is None:
        return Participants.of_envelope(envelope, client), ""
    participants = Participants.of(message, envelope, client)
    if not client.is_trusted:
        return participants, ""
    accepted, ids = snapshot.accepted_domains, snapshot.configuration.authserv_ids
    reason = outside_origin(message, envelope, accepted, ids)
    return (participants.from_outside() if reason else participants), reason


def divide(snapshot: Snapshot, participants: Participants) -> list[tuple[Book, tuple[Address, ...]]]:
    """Organisations and the recipients on whom each decides, in the order of their first recipients.

    A verified sender's organisation decides on everybody. Else the message comes from outside, and each recipient's
    organisation decides on them; recipients outside come with those of the first one that is concerned.
    """
    sender, recipients = participants.sender, participants.recipients
    if participants.verified and sender is not None:
        book = snapshot.book_of(sender.domain_key)
        if book is not None:
            return [(book, recipients)]
    owners = [snapshot.book_of(recipient.domain_key) for recipient in recipients]
    default = next((book for book in owners if book is not None), snapshot.books[0])
    shares: dict[str, tuple[Book, list[Address]]] = {}
    for owner, recipient in zip(owners, recipients, strict=True):
        book = owner or default
        shares.setdefault(book.name, (book, []))[1].append(recipient)
    return [(book, tuple(addresses)) for book, addresses in shares.values()]


def book_for(snapshot: Snapshot, decision: Decision) -> Book | None:
    """The organisation that decided on a message; None where it is gone since.

    One that is renamed since is known by its domains: the sender's, or for mail from outside a recipient's.
    """
    by_name = next((book for book in snapshot.books if book.name == decision.organisation), None)
    if by_name is not None:
        return by_name
    if decision.is_ours:
        return snapshot.book_of(decision.sender.rpartition("@")[2])
    found = (snapshot.book_of(entry.recipient.domain_key) for entry in decision.recipients)
    return next((book for book in found if book is not None), None)
