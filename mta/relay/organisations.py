"""Whose mail a message is, where one installation serves several organisations."""

from __future__ import annotations

from mta.model.address import Address
from mta.relay.book import Book
from mta.relay.decide import Participants
from mta.relay.snapshot import Snapshot


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
