"""One message of a monitored mailbox, from its bytes to one commit: read, filter, correlate, decide, take.

When this returns, the store has it, and the message may go from where it was. Each step can be repeated, for the
process may have died after it: what was taken is not taken twice. What was left out is judged anew when it comes again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from mta.config.tracking_schema import MonitoredMailbox, is_of_exchange
from mta.model.tracking import Awaiting, Entry, EntryState, Intake
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate import Author, Outcome, correlate, signs, with_fresh_proof
from mta.tracking.correlate.reasons import NO_REFERENCE, UNKNOWN_ORIGINAL
from mta.tracking.desk import Desk
from mta.tracking.entry import entry_of
from mta.tracking.filter import judge
from mta.tracking.incoming import Automatic, Incoming
from mta.tracking.read import read_incoming
from mta.tracking.record import changes_for

FILTERED_OUTCOMES = frozenset({Outcome.JOINED, Outcome.PENDING, Outcome.NEW})
"""What filters are asked about: what is known already, our own, or a report has its way without them."""

LARGE_OCTETS = 1_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    state: EntryState
    reason: str
    key: str
    message_id: str
    transaction: Transaction | None
    is_new: bool
    """False: it had been taken before, and nothing was done."""


async def take(
    data: bytes,
    mailbox: MonitoredMailbox,
    desk: Desk,
    store: TrackingStore,
    now: datetime,
    may_wait: bool = False,
) -> Taken:
    """Take one message. Raises CannotReadError where it can never be, TemporaryError while the store can't; and, with
    `may_wait`, AuthorUnknownError where it is better tried again, as DNS doesn't tell whether its author wrote it."""
    read = partial(
        read_incoming,
        data,
        organisation=desk.name,
        mailbox=mailbox.name,
        keys=desk.keys,
        accepted_domains=desk.accepted_domains,
        authserv_ids=desk.authserv_ids,
        is_of_exchange=is_of_exchange(mailbox),
    )
    # A large one takes its time, in which the process has to show that it lives.
    incoming = await asyncio.to_thread(read) if len(data) > LARGE_OCTETS else read()
    incoming = await with_fresh_proof(incoming, store)
    known = await store.entry(desk.name, incoming.key)
    if known is not None and known.is_settled:
        return _taken(known, is_new=False)
    is_counted = known is not None and known.state is EntryState.UNMATCHED
    author = Author(incoming, desk.settings.correlation, desk.prover_for(mailbox, incoming), may_wait=may_wait)
    intake = await intake_of(incoming, author, desk, store, now, is_counted=is_counted)
    if intake.entry.state is EntryState.UNMATCHED:
        intake = _awaiting(intake, incoming, data)
    if not await store.take(intake):  # another mailbox's poll was faster, or it is left out once more
        known = await store.entry(desk.name, intake.entry.key)
        return _taken(known or intake.entry, is_new=False)
    return _taken(intake.entry, is_new=True)


async def intake_of(
    incoming: Incoming, author: Author, desk: Desk, store: TrackingStore, now: datetime, *, is_counted: bool = False
) -> Intake:
    """Everything that follows from a message that was not taken before, or left out. `is_counted`: the cap of a day
    has let it through already. Raises AuthorUnknownError as `author` does."""
    correlation = await correlate(
        incoming,
        store,
        desk.settings,
        keys=desk.keys,
        people=desk.people,
        accepted_domains=desk.accepted_domains,
        author=author,
    )
    incoming = author.judged(correlation)
    if correlation.outcome in FILTERED_OUTCOMES:
        filters = desk.settings.filters
        reason = await judge(incoming, filters, desk.people, store, now, is_counted=is_counted)
        if reason:
            return Intake(entry_of(incoming, EntryState.FILTERED, reason, now))
        if desk.rules.ask_who_wrote:
            await author.is_proven()
            incoming = author.judged(correlation)
    intake = await changes_for(incoming, correlation, desk, store, now)
    if not is_counted:
        return intake
    return replace(intake, counted=tuple(each for each in intake.counted if each != incoming.counted_as))


def _awaiting(intake: Intake, incoming: Incoming, data: bytes) -> Intake:
    """An answer to what nobody has seen waits for that: mailboxes are polled in any order."""
    answered = signs.answered(incoming)[: signs.NAMED_MAX]
    if not answered or incoming.automatic is not Automatic.NO or incoming.is_authenticated is False:
        return intake
    entry = intake.entry
    if entry.reason == NO_REFERENCE:
        entry = replace(entry, reason=UNKNOWN_ORIGINAL)
    return replace(intake, entry=entry, awaiting=Awaiting((incoming.message_id, *answered), data))


def _taken(entry: Entry, *, is_new: bool) -> Taken:
    return Taken(entry.state, entry.reason, entry.key, entry.message_id, entry.transaction, is_new)
