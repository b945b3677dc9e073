"""The last stages before the reply: what follows from the message, and commit."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from functools import partial

from mta import events
from mta.crash import crash_point
from mta.model.actions import Hold, Notify, OnError, Reject
from mta.model.decision import Decision, RecipientDecision
from mta.model.delivery import AcceptedMessage, Body, LeasedDelivery, OnceKey, RecipientEntry, Spawned, State
from mta.model.reply import INTERNAL_ERROR, MailError, Reply
from mta.off_the_loop import off_the_loop
from mta.relay.arrival import Arrival, per_organisation
from mta.relay.arrival_log import log_acceptance, log_followers
from mta.relay.contacts import new_contacts
from mta.relay.derive import NOTHING, Derived, Original
from mta.relay.equipment import Equipment
from mta.relay.following import following


@per_organisation
async def follow(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Make what follows from the message: archive copies, notices, auto-responses."""
    if arrival.decision is None or not arrival.decision.once:
        return None
    arrival.derived = derived = await _derived(arrival)
    for left_out in derived.left_out:
        events.not_followed(arrival.queue_id, kind=left_out.kind, rule=left_out.rule, reason=left_out.reason)
    for failed in derived.failed:
        events.rule_failed(arrival.queue_id, rule=failed.rule, error=failed.error, outcome=failed.on_error.value)
    outcomes = {failed.on_error: failed.rule for failed in derived.failed}
    if OnError.DEFER in outcomes:
        return INTERNAL_ERROR
    if (rule := outcomes.get(OnError.REJECT)) is not None:
        arrival.refused_by = rule
        reply = Reply(550, "5.3.0", f"Rule {rule} could not be carried out")
        # Where another organisation takes the message, this one's recipients still don't get it.
        arrival.decision, arrival.derived = _refused(arrival.decision, rule, reply), NOTHING
        return reply
    return None


def _refused(decision: Decision, rule: str, reply: Reply) -> Decision:
    reject = Reject(rule=rule, code=reply.code, status=reply.status, text=reply.text)
    recipients = tuple(replace(entry, actions=(reject,), group=0, redirected_by="") for entry in decision.recipients)
    return replace(decision, recipients=tuple(entry for entry in recipients if not entry.is_added))


async def _derived(arrival: Arrival, *, is_refused: bool = False) -> Derived:
    assert arrival.parsed is not None
    assert arrival.classification is not None
    original = Original(
        _accepted(arrival, due_at=arrival.now), arrival.parsed, arrival.classification, arrival.people,
        arrival.authentication,
    )  # fmt: skip
    configuration = arrival.rulebook.snapshot.configuration
    return await off_the_loop(
        len(arrival.data), partial(following, is_refused=is_refused), original, arrival.book, configuration
    )


async def commit(equipment: Equipment, arrival: Arrival) -> Reply | None:
    """Store message and decision in one transaction; from here on the mail is ours. Raises MailError where it can't be.

    The worker that accepts a message keeps its lease and delivers it at once, unless it has too much in hand already,
    or one of its next hops is to be left alone.
    """
    next_hops = {entry.next_hop for entry in arrival.decision.recipients} if arrival.decision is not None else set()
    has_time = equipment.in_hand.has_room(arrival.body.size_octets, next_hops) and not any(
        map(equipment.next_hops.is_blocked, next_hops)
    )
    message = _accepted(arrival, due_at=None if has_time else arrival.now)
    if contacts := tuple(claim for each in (arrival, *arrival.siblings) for claim in _new_contacts(each)):
        # All with the main message: what a sibling claims decides whether it is queued.
        message = replace(message, claims=message.claims + contacts)
    siblings = [_accepted(sibling, due_at=arrival.now) for sibling in arrival.siblings]
    if siblings:
        follow_them = tuple(spawned for sibling in siblings for spawned in sibling.spawned)
        others = tuple(Spawned(replace(sibling, spawned=())) for sibling in siblings)
        message = replace(message, spawned=message.spawned + follow_them + others)
    began = time.perf_counter()
    accepted = await equipment.spool.accept(message)
    crash_point("accepted")
    spool_s = time.perf_counter() - began
    log_acceptance(arrival, message, spool_s=spool_s)
    for each in (arrival, *arrival.siblings):
        log_followers(each, accepted)
    for sibling, stored in zip(arrival.siblings, siblings, strict=True):
        log_acceptance(sibling, stored, spool_s=spool_s)
    if has_time:
        arrival.deliveries = _deliveries(message)
    if not has_time or message.spawned:
        equipment.queue_changed.set()
    return None


def _new_contacts(arrival: Arrival) -> tuple[OnceKey, ...]:
    if arrival.known_contacts is None or arrival.decision is None:
        return ()
    return new_contacts(arrival.book.name, arrival.decision, arrival.known_contacts)


def _accepted(arrival: Arrival, *, due_at: datetime | None) -> AcceptedMessage:
    """What is committed of one organisation's message."""
    assert arrival.decision is not None
    return AcceptedMessage(
        queue_id=arrival.queue_id,
        accepted_at=arrival.now,
        envelope=arrival.envelope,
        client=arrival.client,
        body=arrival.body,
        decision=arrival.decision,
        recipients=_entries(arrival.decision),
        message_id=arrival.message_id,
        trace=arrival.trace,
        snapshot=arrival.rulebook.snapshot.name,
        due_at=due_at,
        spawned=arrival.derived.spawned,
    )


def _entries(decision: Decision) -> tuple[RecipientEntry, ...]:
    return tuple(
        RecipientEntry(index, entry.recipient, entry.group, entry.next_hop, _state(entry))
        for index, entry in enumerate(decision.recipients)
    )


def _state(entry: RecipientDecision) -> State:
    """In which the recipient enters the queue; who is redirected gets nothing, others stand for them."""
    if entry.is_redirected:
        return State.DROPPED
    return State.HELD if any(isinstance(action, Hold) for action in entry.actions) else State.QUEUED


def _deliveries(message: AcceptedMessage) -> tuple[LeasedDelivery, ...]:
    """The queued recipients by next hop."""
    by_hop: dict[str, list[RecipientEntry]] = {}
    for entry in message.recipients:
        if entry.state is State.QUEUED:
            by_hop.setdefault(entry.next_hop, []).append(entry)
    return tuple(LeasedDelivery(message, hop, tuple(entries), 0) for hop, entries in by_hop.items())


async def tell_of_refusal(equipment: Equipment, arrival: Arrival, reply: Reply) -> None:
    """Queue the notices that rules want although the message is refused; nothing else follows from it.

    A spool that can't take them changes nothing about the refusal.
    """
    for each in (arrival, *arrival.siblings):
        decision = each.decision
        if not reply.is_permanent or decision is None or not any(isinstance(o.action, Notify) for o in decision.once):
            continue
        each.derived = await _derived(each, is_refused=True)
        message = _accepted(each, due_at=each.now)
        nobody = tuple(replace(entry, state=State.DROPPED) for entry in message.recipients)
        try:
            accepted = await equipment.spool.accept(replace(message, body=Body.of(b""), recipients=nobody))
        except MailError as exc:
            events.internal_error("notify", error=repr(exc), queue_id=each.queue_id)
            continue
        log_followers(each, accepted)
        equipment.queue_changed.set()
