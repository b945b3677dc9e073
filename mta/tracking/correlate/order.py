"""The steps of correlation, in their order: the first one that has an answer gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from mta.config.tracking_schema import TrackingSettings
from mta.message.notice import HEADER as NOTICE_HEADER
from mta.message.notice import is_notice_id
from mta.model.transaction import Transaction
from mta.ports.tracking_store import Conversations
from mta.tracking.correlate import reasons, signs
from mta.tracking.correlate.author import Author
from mta.tracking.correlate.belonging import Standing
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.correlate.inquiry import Inquiry
from mta.tracking.correlate.reports import report
from mta.tracking.incoming import Incoming
from mta.tracking.people import KnownPeople

_NOTICE_ID_MAX = 1000
_NEWEST_MAX = 20_000
"""Characters of the newest part in which unsigned tokens are looked for."""


async def correlate(
    incoming: Incoming,
    conversations: Conversations,
    settings: TrackingSettings,
    *,
    keys: Sequence[bytes],
    people: KnownPeople,
    accepted_domains: Collection[str],
    author: Author | None = None,
) -> Correlation:
    """To which conversation a message belongs; without `author` nobody is asked who wrote it.

    Raises TemporaryError where store or directory can't say, AuthorUnknownError where it isn't known yet who wrote it.
    """
    author = author or Author(incoming, settings.correlation)
    inquiry = Inquiry(incoming, conversations, settings, keys, people, accepted_domains, author)
    for step in STEPS:
        answer = await step(inquiry)
        if answer is not None:
            return answer
    return await inquiry.unmatched()


async def _known(inquiry: Inquiry) -> Correlation | None:
    entry = await inquiry.conversations.entry(inquiry.incoming.organisation, inquiry.incoming.key)
    if entry is None or not entry.is_settled:
        return None
    return Correlation(Outcome.KNOWN, reasons.KNOWN, entry.transaction)


async def _own_notice(inquiry: Inquiry) -> Correlation | None:
    """By a proof of ours: nobody else can have a message dropped as our own."""
    incoming = inquiry.incoming
    fields = incoming.parsed.fields_named(NOTICE_HEADER)[:4]
    stated = (incoming.parsed.raw(field)[:_NOTICE_ID_MAX].decode("latin_1").strip() for field in fields)
    if any(is_notice_id(each, inquiry.keys, incoming.organisation) for each in (incoming.message_id, *stated)):
        return Correlation(Outcome.LOOP, reasons.OWN_NOTICE)
    return None


async def _tracked_copy(inquiry: Inquiry) -> Correlation | None:
    """What one of ours sent: the relay knows. An answer to a message that never came by the relay opened another
    conversation there, which turns out to be this one."""
    copy = inquiry.incoming.copy
    if copy is None or copy.transaction is None or not inquiry.incoming.is_sent:
        return None
    transaction = await inquiry.current(copy.transaction)
    if transaction is None:
        inquiry.doubt = reasons.GONE
        return None
    if copy.by == "opened":
        parent = await _answered_conversation(inquiry)
        if parent is not None and parent != transaction and parent.module == transaction.module:
            return await inquiry.joined(parent, reasons.KNOWN_REFERENCE, merges=(transaction,))
    return await inquiry.joined(transaction, reasons.TRACKED_COPY)


async def _signed_reference(inquiry: Inquiry) -> Correlation | None:
    held: tuple[Transaction, Standing] | None = None
    for signed in signs.signed_references(inquiry.incoming, inquiry.keys):
        transaction = await inquiry.current(signed)
        if transaction is None:
            inquiry.doubt = reasons.GONE
            continue
        standing = await inquiry.belonging.in_(transaction)
        if standing.may_join:
            said = reasons.COLLEAGUE if standing is Standing.COLLEAGUE else reasons.SIGNED_REFERENCE
            return await inquiry.joined(transaction, said)
        held = held or (transaction, standing)
    return None if held is None else inquiry.pending(*held)


async def _own_id(inquiry: Inquiry) -> Correlation | None:
    """Its Message-ID is noted: the relay opened a conversation by it, or an answer came first. Such a message is also
    the link between what it answers and what answers it."""
    message_id = inquiry.incoming.message_id
    transaction = (await inquiry.named()).get(message_id)
    if transaction is None:
        return None
    standing = await inquiry.belonging.in_(transaction)
    if not standing.takes_part:
        return inquiry.pending(transaction, standing, reasons.REUSED_MESSAGE_ID)
    parent = await _answered_conversation(inquiry)
    is_link = parent is not None and parent != transaction and parent.module == transaction.module
    if parent is not None and is_link and not await inquiry.is_seen(message_id):
        return await inquiry.joined(parent, reasons.KNOWN_REFERENCE, merges=(transaction,))
    copy = inquiry.incoming.copy
    is_opened = copy is not None and copy.by == "opened"
    return await inquiry.joined(transaction, reasons.OPENED if is_opened else reasons.MESSAGE_ID)


async def _known_reference(inquiry: Inquiry) -> Correlation | None:
    """It answers messages of a conversation. One that was only named by others proves nothing of a stranger."""
    named = await inquiry.named()
    for each in inquiry.answered:
        transaction = named.get(each)
        if transaction is None:
            continue
        standing = await inquiry.belonging.in_(transaction)
        if standing.takes_part:
            return await inquiry.joined(transaction, reasons.KNOWN_REFERENCE)
        if await inquiry.is_seen(each):
            if standing is Standing.COLLEAGUE:
                return await inquiry.joined(transaction, reasons.COLLEAGUE)
            return inquiry.pending(transaction, standing)
        await inquiry.doubt_it(transaction)
    return None


async def _answered_conversation(inquiry: Inquiry) -> Transaction | None:
    """The conversation of the nearest message that it answers, if the author takes part in it."""
    named = await inquiry.named()
    transaction = next((named[each] for each in inquiry.answered if each in named), None)
    if transaction is None or not (await inquiry.belonging.in_(transaction)).takes_part:
        return None
    return transaction


async def _token(inquiry: Inquiry) -> Correlation | None:
    incoming = inquiry.incoming
    found = inquiry.expressions.tokens
    places = ((reasons.SUBJECT_TOKEN, incoming.subject), (reasons.BODY_TOKEN, incoming.newest[:_NEWEST_MAX]))
    for reason, text in places:
        for module, number in signs.tokens(text, found):
            transaction = await inquiry.conversations.transaction(incoming.organisation, module, number)
            if transaction is None or not inquiry.has_module(transaction):
                continue
            if await _may_join_unproven(inquiry, transaction):
                return await inquiry.joined(transaction, reason)
    return None


async def _may_join_unproven(inquiry: Inquiry, transaction: Transaction) -> bool:
    if await inquiry.belonging.may_join_unproven(transaction):
        return True
    await inquiry.doubt_it(transaction)
    joins, standing = inquiry.settings.correlation.join_by_token, await inquiry.belonging.in_(transaction)
    return joins != "participants" and standing not in (Standing.FORGED, Standing.UNPROVEN)


async def _other_names(inquiry: Inquiry) -> Correlation | None:
    """Exchange's conversation, and other systems' numbers."""
    named = await inquiry.named()
    ids = [(reasons.THREAD_INDEX, inquiry.thread_id), *((reasons.OTHER_TICKET, each) for each in inquiry.ticket_ids)]
    for reason, name in ids:
        transaction = named.get(name)
        if transaction is None:
            continue
        if await inquiry.belonging.may_join_unproven(transaction):
            return await inquiry.joined(transaction, reason)
        await inquiry.doubt_it(transaction)
    return None


async def _report(inquiry: Inquiry) -> Correlation | None:
    return await report(inquiry)


Step = Callable[[Inquiry], Awaitable[Correlation | None]]
STEPS: tuple[Step, ...] = (
    _known,
    _own_notice,
    _report,
    _tracked_copy,
    _signed_reference,
    _own_id,
    _known_reference,
    _token,
    _other_names,
)
