"""Everything that follows from one message: entry, participants, changes of records, tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mta import events
from mta.config.outgoing_checks import key_of, own_addresses
from mta.model.address import without_tag
from mta.model.record import AddNote, Change, Record
from mta.model.tracking import EntryState, Intake
from mta.model.transaction import Opening, Transaction
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate.correlation import Correlation, Outcome
from mta.tracking.entry import entry_of
from mta.tracking.incoming import Incoming
from mta.tracking.notify.occasion import Occasion
from mta.tracking.record.draft import Defaults, Draft, NoticeWish
from mta.tracking.record.facts import OUTCOMES, facts_of
from mta.tracking.record.files import has_pictures
from mta.tracking.record.following import Following, following
from mta.tracking.record.note import PlannedNote
from mta.tracking.record.walk import Step, walk

if TYPE_CHECKING:
    from mta.tracking.desk import Desk

PENDING_RULE = "pending"
"""Stands in the place of a rule's name for the notice to the owner."""
BY_RULE = "rule"
"""Reason of an entry that a business rule opened a record for, or let in."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What the rules want of a message, before anything is opened or written."""

    draft: Draft
    steps: Sequence[Step]


async def changes_for(
    incoming: Incoming, correlation: Correlation, desk: Desk, store: TrackingStore, now: datetime
) -> Intake:
    """What the business rules make of a message that filters let through, or that is a report.

    Opens the transaction if a rule creates a record: the same again, if that has to be repeated. Raises TemporaryError
    while directory or store don't answer.
    """
    if correlation.outcome not in OUTCOMES:
        state = EntryState.LOOP if correlation.outcome is Outcome.LOOP else EntryState.JOINED
        state = state if correlation.transaction is not None or state is EntryState.LOOP else EntryState.UNMATCHED
        return Intake(entry_of(incoming, state, correlation.reason, now, correlation.transaction))
    for gone in correlation.merges:
        if correlation.transaction is not None:
            await store.merge(gone, correlation.transaction, now)
    worked = await work_out(incoming, correlation, desk, store, now)
    _log(worked, incoming)
    return await _intake(worked.draft, incoming, correlation, desk, store)


async def work_out(
    incoming: Incoming,
    correlation: Correlation,
    desk: Desk,
    store: TrackingStore,
    now: datetime,
    *,
    explained: bool = False,
) -> Worked:
    """Walk the rules; nothing is written. `explained`: the steps tell of rules, too, that didn't match."""
    facts = await facts_of(incoming, correlation, desk, store, now)
    known: frozenset[str] = frozenset()
    if facts.record is not None and facts.record.notes and has_pictures(incoming.parsed):
        notes = await store.notes(facts.record.transaction)
        known = frozenset(each.sha256 for note in notes for each in note.attachments)
    draft = Draft(facts, defaults_of(desk), known)
    steps = walk(desk.rules.by_message, draft, explained=explained)
    _complete(draft, steps)
    return Worked(draft, steps)


def defaults_of(desk: Desk) -> Defaults:
    return Defaults(
        {module.name: key_of(module.owner) if module.owner else "" for module in desk.settings.modules},
        desk.accepted_domains,
        desk.settings.filters.subject_length,
        {module.name: module.style for module in desk.settings.modules},
        desk.settings.filters.restricted_attachments,
    )


def _complete(draft: Draft, steps: Sequence[Step]) -> None:
    """What is done whether rules say so or not: no message of a conversation is lost, and the owner gets to know."""
    if draft.transaction is None or draft.is_deleted:
        return
    if draft.outcome == "pending":
        if draft.note is None:
            draft.add_note(PlannedNote(is_public=False).of(draft))
        message = draft.message
        assert message is not None
        sender = message.incoming.author_key
        # Each day anew: who is held each time, such as a customer without DKIM, isn't forgotten after his first mail.
        once = f"pending\0{draft.transaction}\0{sender}\0{draft.facts.now:%Y-%m-%d}"
        draft.wishes.append(NoticeWish(PENDING_RULE, ("owner",), once=once))
    elif draft.note is None and (draft.failures or not any(step.matched and not step.is_audit for step in steps)):
        draft.add_note(PlannedNote().of(draft))


def _log(worked: Worked, incoming: Incoming) -> None:
    draft = worked.draft
    record = str(draft.transaction or "")
    for step in worked.steps:
        if step.is_audit:
            events.tracking_rule_audited(
                record, message_id=incoming.message_id, rule=step.rule, actions="; ".join(step.actions)
            )
    for failure in draft.failures:
        events.tracking_rule_failed(
            record, message_id=incoming.message_id, rule=failure.rule, action=failure.action, reason=failure.reason
        )
    if draft.outcome == "pending":
        events.tracking_pending(record, message_id=incoming.message_id, sender=incoming.author_key, entry=incoming.key)


async def _intake(
    draft: Draft, incoming: Incoming, correlation: Correlation, desk: Desk, store: TrackingStore
) -> Intake:
    now = draft.facts.now
    transaction = draft.facts.transaction
    if transaction is None and draft.record is not None:
        transaction = await _opened(draft, incoming, correlation, desk, store)
    state = _state(draft, transaction)
    reason = BY_RULE if draft.joins or (correlation.outcome is Outcome.NEW and transaction) else correlation.reason
    changes = tuple(replace(change, transaction=transaction) for change in draft.changes) if transaction else ()
    participants = _participants(draft, correlation, desk)
    followed = await _followed(draft, transaction, changes, participants, desk, store, incoming.key)
    counted = {incoming.counted_as, *followed.told} if not incoming.is_sent else set(followed.told)
    bounced = {correlation.about: correlation.status} if correlation.about and correlation.status else {}
    return Intake(
        entry_of(incoming, state, reason, now, transaction),
        tuple(dict.fromkeys([*participants, *followed.invited])) if state is EntryState.JOINED else (),
        (*correlation.known_ids, *followed.message_ids) if state is EntryState.JOINED else (),
        changes,
        tuple(followed.tasks),
        bounced,
        tuple(sorted(counted - {""})),
        is_quiet=draft.outcome == "pending" or (draft.message is not None and not draft.message.is_personal),
    )


async def _opened(
    draft: Draft, incoming: Incoming, correlation: Correlation, desk: Desk, store: TrackingStore
) -> Transaction:
    assert draft.record is not None
    message_id = incoming.message_id or f"<{incoming.content_hash}@{desk.hostname}>"
    participants = tuple(_participants(draft, correlation, desk))
    opening = Opening(desk.name, draft.record.transaction.module, message_id, draft.facts.now, None, participants)
    return await store.open_transaction(opening)


def _state(draft: Draft, transaction: Transaction | None) -> EntryState:
    if draft.outcome == "pending":
        return EntryState.PENDING
    if draft.outcome == "report":
        return EntryState.REPORT
    return EntryState.JOINED if transaction is not None else EntryState.UNMATCHED


def _participants(draft: Draft, correlation: Correlation, desk: Desk) -> list[str]:
    """Who takes part from now on: as correlation says; whom a rule lets in; of a new record its people, too.

    None of our own mailboxes, to which everybody writes; and no author who may be somebody else.
    """
    message, record = draft.message, draft.record
    assert message is not None
    author = message.incoming.author_key
    found = [*correlation.participants]
    if draft.facts.record is None and record is not None and draft.outcome != "pending":
        found += [record.owner, record.requester, author if message.is_personal else ""]
    if message.incoming.is_authenticated is False:
        found = [each for each in found if each != author]
    if draft.joins:
        found.append(author)
    own = own_addresses(desk.settings)
    return [each for each in dict.fromkeys(found) if each and without_tag(each) not in own]


async def _followed(
    draft: Draft,
    transaction: Transaction | None,
    changes: Sequence[Change],
    participants: Sequence[str],
    desk: Desk,
    store: TrackingStore,
    key: str,
) -> Following:
    if transaction is None or draft.record is None or not draft.wishes:
        return Following()
    note = next((change for change in reversed(changes) if isinstance(change, AddNote)), None)
    occasion = occasion_of(draft, replace(draft.record, transaction=transaction), note, participants, key)
    return await following(draft.wishes, occasion, desk, store)


def occasion_of(draft: Draft, record: Record, note: AddNote | None, participants: Sequence[str], key: str) -> Occasion:
    """What notices and calls tell of."""
    event = "record.pending" if draft.outcome == "pending" else draft.event
    everybody = draft.facts.participants | set(participants)
    return Occasion(key, event, record, note, draft.message, everybody, draft.facts.now)
