"""Which copies of our senders' mail shall stand in their Sent Items; the jobs are made with the settlement.

Only copies whose text or subject rules have changed, and only those that the sender sent: not what rules have added,
and nothing that we or a mailbox's auto-reply wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mta.message.classify import Classification, Kind
from mta.message.edit import Edit
from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.decision import Direction
from mta.model.delivery import AcceptedMessage, LeasedDelivery, SentCopy, State
from mta.relay.book import Book

_SUBJECT = re.compile(rb"(?i)Subject[ \t]*:")
_BY_PROGRAMS = frozenset({Kind.AUTO_REPLY, Kind.OUT_OF_OFFICE, Kind.DSN, Kind.MDN})
_DATE_OCTETS = 200


def changes_what_is_read(parsed: Message, edits: Sequence[Edit]) -> bool:
    """Whether edits reach the text or the subject; a sender's own item has no use for other header fields."""
    subjects = parsed.fields_named("subject")
    return any(
        edit.end > parsed.body_start
        or (edit.start >= parsed.body_start and edit.replacement)
        or _SUBJECT.match(edit.replacement)
        or any(edit.start < subject.end and subject.start < edit.end for subject in subjects)
        for edit in edits
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that leaves, as far as it is known; `changed` are the groups whose copy rules have changed."""

    message: AcceptedMessage
    parsed: Message | None
    classification: Classification | None
    book: Book
    changed: Set[int]


@dataclass(slots=True)
class _Served:
    recipients: int = 0
    external: bool = False


def sent_copies(
    outgoing: Outgoing, delivery: LeasedDelivery, final: Mapping[int, State], unstamped: Set[int], now: datetime
) -> tuple[SentCopy, ...]:
    """The copies of a settlement (`final`) that went out changed; `unstamped` are recipients who got theirs without."""
    settings, parsed = outgoing.book.settings.sent_items, outgoing.parsed
    if settings is None or parsed is None or not _is_written_by_ours(outgoing):
        return ()
    served = _served(outgoing, delivery, final, unstamped)
    mailboxes = _mailboxes(parsed, outgoing.message, outgoing.book.organisation.accepted_domains) if served else ()
    if not mailboxes:
        return ()
    message = outgoing.message
    message_id, date = message.message_id or f"<{message.queue_id}>", _date(parsed, message)
    return tuple(
        SentCopy(
            mailboxes, outgoing.book.name, message_id, date, group, copy.external, copy.recipients,
            sent_at=now, due_at=now + settings.wait, is_id_ours=not parsed.message_id,
        )
        for group, copy in served.items()
    )  # fmt: skip


def _is_written_by_ours(outgoing: Outgoing) -> bool:
    message, classification = outgoing.message, outgoing.classification
    return (
        message.client is not None
        and message.client.is_trusted
        and message.envelope.reverse_path is not None
        and message.decision.is_ours
        and not message.decision.already_processed
        and (classification is None or classification.kind not in _BY_PROGRAMS)
    )


def _served(
    outgoing: Outgoing, delivery: LeasedDelivery, final: Mapping[int, State], unstamped: Set[int]
) -> Mapping[int, _Served]:
    """Group → who of this delivery has got its copy, of those that the sender wrote to."""
    decided = outgoing.message.decision.recipients
    served: dict[int, _Served] = {}
    for entry in delivery.recipients:
        if final.get(entry.index) is not State.DELIVERED or entry.group not in outgoing.changed:
            continue
        recipient = decided[entry.index]
        if recipient.is_added or entry.index in unstamped:
            continue
        copy = served.setdefault(entry.group, _Served())
        copy.recipients += 1
        copy.external = copy.external or recipient.direction is Direction.OUTBOUND
    return served


def _mailboxes(parsed: Message, message: AcceptedMessage, accepted_domains: Set[str]) -> tuple[str, ...]:
    """Of the author, and of the delegate who sent it. Of several authors, only Sender's did (RFC 5322 §3.6.2).

    Where several authors name no Sender, it is whom the rules judged as the sender.
    """
    authors, senders = addresses(parsed, "from"), addresses(parsed, "sender")[:1]
    named = [mailbox.address for mailbox in ((*authors, *senders) if len(authors) == 1 else senders)]
    keys = [address.key for address in named if address.domain_key in accepted_domains]
    if not named and message.decision.sender.rpartition("@")[2] in accepted_domains:
        keys = [message.decision.sender]
    return tuple(dict.fromkeys(keys))


def _date(parsed: Message, message: AcceptedMessage) -> datetime | None:
    """Of the Date field, or of the one that we have put on."""
    fields = parsed.fields_named("date")
    if not fields:
        return message.accepted_at.replace(microsecond=0)
    try:
        found = parsedate_to_datetime(parsed.raw(fields[0])[:_DATE_OCTETS].decode("latin_1").strip())
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
