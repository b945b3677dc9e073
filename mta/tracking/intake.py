"""One message of a monitored mailbox, from its bytes to one commit: read, filter, correlate, decide, take.

When this returns, the store has it, and the message may go from where it was. Each step can be repeated, for the
process may have died after it: what was taken is not taken twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mta.config.tracking_schema import MonitoredMailbox
from mta.model.tracking import Entry, EntryState, Intake
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate import Outcome, correlate, with_fresh_proof
from mta.tracking.desk import Desk
from mta.tracking.entry import entry_of
from mta.tracking.filter import judge
from mta.tracking.incoming import Incoming
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


async def take(data: bytes, mailbox: MonitoredMailbox, desk: Desk, store: TrackingStore, now: datetime) -> Taken:
    """Take one message. Raises CannotReadError where it can never be, TemporaryError while the store can't."""
    read = partial(
        read_incoming,
        data,
        organisation=desk.name,
        mailbox=mailbox.name,
        keys=desk.keys,
        accepted_domains=desk.accepted_domains,
        authserv_ids=desk.authserv_ids,
    )
    # A large one takes its time, in which the process has to show that it lives.
    incoming = await asyncio.to_thread(read) if len(data) > LARGE_OCTETS else read()
    incoming = await with_fresh_proof(incoming, store)
    known = await store.entry(desk.name, incoming.key)
    if known is not None:
        return _taken(known, is_new=False)
    intake = await intake_of(incoming, desk, store, now)
    if not await store.take(intake):  # another mailbox's poll was faster
        known = await store.entry(desk.name, incoming.key)
        return _taken(known or intake.entry, is_new=False)
    return _taken(intake.entry, is_new=True)


async def intake_of(incoming: Incoming, desk: Desk, store: TrackingStore, now: datetime) -> Intake:
    """Everything that follows from a message that was not taken before."""
    correlation = await correlate(
        incoming,
        store,
        desk.settings,
        keys=desk.keys,
        people=desk.people,
        accepted_domains=desk.accepted_domains,
    )
    if correlation.outcome in FILTERED_OUTCOMES:
        reason = await judge(incoming, desk.settings.filters, desk.people, store, now)
        if reason:
            return Intake(entry_of(incoming, EntryState.FILTERED, reason, now))
    return await changes_for(incoming, correlation, desk, store, now)


def _taken(entry: Entry, *, is_new: bool) -> Taken:
    return Taken(entry.state, entry.reason, entry.key, entry.message_id, entry.transaction, is_new)
