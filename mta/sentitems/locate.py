"""What there is of a message in its sender's Sent Items: his own item, and items that we made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mta.message.headers import addresses
from mta.model.mailbox_item import FoundItem, stamped_job
from mta.model.sentitem import SentItemJob
from mta.ports.mailbox import ItemGoneError, SentItems
from mta.sentitems.address_keys import keys_of
from mta.sentitems.copies import Content

WITHIN = timedelta(minutes=2)
"""Of the time sent, where the Message-ID is no help."""
SIMILAR_MAX = 10
"""So many items of one subject are looked at; among more, none is the one."""


@dataclass(frozen=True, slots=True)
class Located:
    originals: tuple[FoundItem, ...]
    """Not ours; several are one too many."""
    ours: tuple[FoundItem, ...]
    """That this job made."""
    others: tuple[FoundItem, ...]
    """That other jobs made of the same message."""


async def locate(job: SentItemJob, mailbox: str, server: SentItems, content: Content | None = None) -> Located:
    """Look by the Message-ID and by our stamp; by subject, time and recipients where the Message-ID is ours.

    `content` is any copy whose bytes are there.
    """
    found = list({item.ref.id: item for item in await server.find(mailbox, job.message_id, job.id)}.values())
    originals = tuple(item for item in found if not item.stamp)
    if not originals and job.is_id_ours and content is not None:
        originals = await _similar(job, mailbox, server, content)
    return Located(
        originals,
        tuple(item for item in found if stamped_job(item.stamp) == job.id),
        tuple(item for item in found if item.stamp and stamped_job(item.stamp) != job.id),
    )


async def _similar(job: SentItemJob, mailbox: str, server: SentItems, content: Content) -> tuple[FoundItem, ...]:
    sent_at = job.date or content.copy.sent_at
    subject = content.received.subject
    found = [item for item in await server.find_similar(mailbox, subject, sent_at, WITHIN) if not item.stamp]
    if len(found) > SIMILAR_MAX:
        return ()
    matching = []
    for item in found:
        try:
            read = await server.read(mailbox, item.ref)
        except ItemGoneError:
            continue
        if not read.stamp and keys_of((*read.to, *read.cc)) == _named(content):
            matching.append(item)
    return tuple(matching)


def _named(content: Content) -> set[str]:
    found = [*addresses(content.received, "to"), *addresses(content.received, "cc")]
    return {mailbox.address.key for mailbox in found}
