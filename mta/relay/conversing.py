"""Tracked conversations, where they meet the pipeline: opened or gone on with before the reply, copied with the
settlement.

What the rules want to track is decided as everything else; here the store says which conversation it is, by the
message's Message-ID, so that parts of one message and attempts that repeat it get the same. That is on disk before the
decision is, which names it; a crash in between leaves a number that nobody has seen.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from mta import events
from mta.crash import crash_point
from mta.message.edit import Edit
from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.actions import CarryId, Track
from mta.model.address import without_tag
from mta.model.decision import Decision, Role
from mta.model.delivery import Settlement, Spawned, State
from mta.model.reply import MailError, Reply
from mta.model.transaction import Opening, Tracked, Transaction
from mta.off_the_loop import IN_A_THREAD_FROM, off_the_loop
from mta.relay.arrival import Arrival, per_organisation
from mta.relay.copies import Original, stamped
from mta.relay.equipment import Equipment
from mta.relay.following import postmaster
from mta.relay.split.variants import Variant
from mta.relay.track import (
    CopyPlan,
    Named,
    Tracking,
    answered_by,
    copy_claim,
    is_authenticated,
    key_of,
    make_copy,
    named_in,
    original_of,
    participants,
    tokens_of,
    track_of,
    with_id,
)

PEOPLE_ASKED = 100
"""Recipients who may take part in the conversation whose number a message has."""
TOKENS_ASKED = 4
"""Numbers of one subject that the store is asked about."""


@per_organisation
async def track(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Open the conversation that a rule wants, or go on with the one that the message names. Raises TemporaryError."""
    tracking, decision, parsed = arrival.book.tracking, arrival.decision, arrival.parsed
    if decision is None or not decision.once or tracking is None or parsed is None:
        return None
    if not any(isinstance(each.action, Track) for each in decision.once):
        return None
    named = await off_the_loop(len(arrival.data), named_in, parsed, tracking)
    if named is None and decision.is_ours:
        named = await _by_answered(equipment, arrival, parsed, tracking)
        named = named or await _by_token(equipment, arrival, parsed, tracking)
    found = track_of(decision, is_known=named is not None)
    if found is None:
        return None
    action, recipients = found
    transaction, tracked = await _tracked(equipment, arrival, parsed, tracking, action, named)
    if transaction is not None and action.carries:
        decision = with_id(decision, tracking.carry(transaction, action.rule), recipients)
    arrival.decision = replace(decision, tracked=tracked)
    events.tracked(
        arrival.queue_id, transaction=str(transaction or ""), by=tracked.by, rule=action.rule,
        message_id=arrival.message_id, organisation=tracking.organisation,
    )  # fmt: skip
    return None


async def _by_answered(equipment: Equipment, arrival: Arrival, parsed: Message, tracking: Tracking) -> Named | None:
    """The conversation of a message that our sender answers: a customer's, which came by another way than ours."""
    answered = answered_by(parsed)
    known = await equipment.spool.transactions_of(tracking.organisation, answered) if answered else {}
    for transaction in (known[each] for each in answered if each in known):
        is_ours = transaction.module in tracking.styles
        if is_ours and await _may_go_on_unproven(equipment, arrival, tracking, transaction):
            return Named(transaction, "message-id")
    return None


async def _by_token(equipment: Equipment, arrival: Arrival, parsed: Message, tracking: Tracking) -> Named | None:
    """The conversation whose number our sender wrote into the subject; one that nobody has opened is none."""
    for module, number in tokens_of(parsed, tracking)[:TOKENS_ASKED]:
        transaction = await equipment.spool.transaction(tracking.organisation, module, number)
        if transaction is not None and await _may_go_on_unproven(equipment, arrival, tracking, transaction):
            return Named(transaction, "subject")
    return None


async def _may_go_on_unproven(
    equipment: Equipment, arrival: Arrival, tracking: Tracking, transaction: Transaction
) -> bool:
    """Who takes part, a technician, and who writes to somebody who takes part: numbers can be guessed, and a colleague
    whom it doesn't concern is not to get in without anybody's seeing it."""
    assert arrival.decision is not None
    sender = arrival.decision.sender
    if tracking.technicians.holds(sender, arrival.people.get(sender)):
        return True
    named = [entry.recipient.key for entry in arrival.decision.recipients if entry.role is not Role.HIDDEN]
    keys = [sender, *named[:PEOPLE_ASKED]]
    people = {name for key in keys if without_tag(key) not in tracking.own for name in _names_of(key, arrival)}
    return not people.isdisjoint(await equipment.spool.participants(transaction))


def _names_of(key: str, arrival: Arrival) -> set[str]:
    """All address keys of somebody, as far as the directory was asked."""
    person = arrival.people.get(key)
    return {key} if person is None else {key, person.address, *person.aliases}


async def _tracked(
    equipment: Equipment, arrival: Arrival, parsed: Message, tracking: Tracking, action: Track, named: Named | None
) -> tuple[Transaction | None, Tracked]:
    """The conversation, as the store has it, and what is committed of it."""
    decision = arrival.decision
    assert decision is not None
    is_ours, key = decision.is_ours, await off_the_loop(len(arrival.data), key_of, parsed)
    author = next(iter(addresses(parsed, "from")), None)
    believed = is_authenticated(
        arrival.authentication, author.address.domain_key if author is not None else "", is_ours=is_ours
    )
    transaction = named.transaction if named is not None else None
    if action.carries and (named is not None or action.opens):
        brought = participants(parsed, tracking, opens=named is None, is_ours=is_ours, is_doubtful=believed is False)
        module = transaction.module if transaction is not None else tracking.module(action.module)
        opening = Opening(tracking.organisation, module, key, arrival.now, transaction, brought)
        transaction = await equipment.spool.open_transaction(opening)
        crash_point("tracking-opened")
    copies = action.copies and tracking.copy_to is not None
    return transaction, Tracked(
        transaction, action.rule, named.by if named is not None else "opened" if transaction is not None else "",
        original_of(parsed, key, is_believed=believed),
        str(tracking.copy_to) if copies else "", tracking.next_hop, believed,
    )  # fmt: skip


# --- the copy for the processing mailbox -----------------------------------------------------------------------------


async def with_tracking_copy(
    equipment: Equipment, original: Original, edits: Mapping[int, tuple[Edit, ...]], settlement: Settlement,
    now: datetime,
) -> Settlement:  # fmt: skip
    """The settlement with the copy that follows from it, where somebody has got the message now, and none was made.

    `edits` are the groups' copies as far as they are at hand. Raises nothing: the message is delivered, and that has
    to be settled whatever becomes of its copy.
    """
    message, book = original.message, original.book
    tracked, tracking = message.decision.tracked, book.tracking
    if tracked is None or not tracked.copy_to or original.parsed is None or original.is_orphaned:
        return settlement
    if State.DELIVERED not in settlement.final.values():
        return settlement
    if tracking is None:
        events.tracking_copy_left_out(message.queue_id, reason="the organisation tracks nothing any more")
        return settlement
    try:
        copy = await _copy(equipment, original, tracked, tracking, edits, now)
    except Exception as exc:  # noqa: BLE001 - a fault of ours: without a settlement the message would go out again
        trace = "".join(traceback.format_exception(exc))
        events.internal_error("tracking-copy", error=repr(exc), queue_id=message.queue_id, traceback=trace)
        return settlement
    return replace(settlement, copies=(copy,)) if copy is not None else settlement


async def _copy(
    equipment: Equipment, original: Original, tracked: Tracked, tracking: Tracking,
    edits: Mapping[int, tuple[Edit, ...]], now: datetime,
) -> Spawned | None:  # fmt: skip
    """None where it was made before."""
    message, book = original.message, original.book
    assert original.parsed is not None
    claim = copy_claim(message.decision.organisation, tracked.key)
    with suppress(MailError):  # a store that can't say it now will say it when the settlement comes
        if await equipment.spool.claimed([claim.key]):
            return None
    plan = CopyPlan(
        message, original.parsed, tracked, tracking, _as_sent(original, edits), equipment.hostname,
        postmaster(equipment.rulebook.snapshot.configuration), book.policy.next_hop,
        book.organisation.accepted_domains,
    )  # fmt: skip
    octets = len(original.data)
    if octets >= IN_A_THREAD_FROM:
        with suppress(OSError):  # where it can't be written, the settlement waits for the disk
            return await off_the_loop(octets, make_copy, plan, now, equipment.spool.spill_path())
    return await off_the_loop(octets, make_copy, plan, now, None)


def _as_sent(original: Original, edits: Mapping[int, tuple[Edit, ...]]) -> tuple[Edit, ...]:
    """What makes the message that somebody whom the header names got; none where it came from outside.

    A hidden recipient's copy may speak of them: where no other one is at hand, it is the received message with the
    conversation's id alone.
    """
    decision = original.message.decision
    if not decision.is_ours:
        return ()
    for entry in decision.recipients:
        if entry.role is not Role.HIDDEN and not entry.is_added and entry.group in edits:
            return edits[entry.group]
    carried = _carried(decision)
    return stamped(original, Variant(0, (carried,), ()), {}).edits if carried is not None else ()


def _carried(decision: Decision) -> CarryId | None:
    return next(
        (action for entry in decision.recipients for action in entry.actions if isinstance(action, CarryId)), None
    )
