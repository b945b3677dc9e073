"""The log lines of one settlement: who was served, who waits, who was given up, whether the message is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from mta import events
from mta.model.delivery import LeasedDelivery, RecipientResult, Settlement, State
from mta.relay.decide import Outcome


def log_settlement(delivery: LeasedDelivery, settlement: Settlement, now: datetime, *, attempt_s: float) -> None:
    """What follows, then one line for all recipients that fared alike: who has read of the end knows all of it."""
    _log_what_follows(delivery, settlement)
    message, attempts = delivery.message, delivery.attempts + 1
    groups = {entry.index: entry.group for entry in delivery.recipients}
    for (group, state, remote, reply), results in _alike(settlement, groups).items():
        recipients = [result.address for result in results]
        if state is State.DELIVERED:
            events.delivered(
                message.queue_id, group=group, recipients=recipients, next_hop=delivery.next_hop, remote=remote,
                reply=reply, tls=results[0].tls, delay_ms=(now - message.accepted_at).total_seconds() * 1000,
                attempt_ms=attempt_s * 1000, attempts=attempts,
            )  # fmt: skip
        elif state is State.FAILED:
            dsns = ",".join(spawned.queue_id for spawned in settlement.spawned)
            events.failed(
                message.queue_id, recipients=recipients, next_hop=delivery.next_hop, remote=remote, reply=reply,
                dsn=dsns, attempts=attempts,
            )  # fmt: skip
            if message.client is None:
                events.own_message_lost(
                    message.queue_id, recipients=recipients, reply=reply, message_id=message.message_id
                )
        else:
            due_at = settlement.due_at.isoformat(timespec="seconds") if settlement.due_at else ""
            events.deferred(
                message.queue_id, recipients=recipients, next_hop=delivery.next_hop, remote=remote, reply=reply,
                attempts=attempts, due_at=due_at,
            )  # fmt: skip
    dropped = [entry.address for entry in delivery.recipients if settlement.final.get(entry.index) is State.DROPPED]
    if dropped:
        events.dropped(message.queue_id, recipients=dropped, reason="rule")


def _log_what_follows(delivery: LeasedDelivery, settlement: Settlement) -> None:
    queue_id = delivery.message.queue_id
    for dsn in settlement.spawned:
        (entry,) = dsn.recipients
        events.dsn_queued(queue_id, dsn=dsn.queue_id, to=entry.address, next_hop=entry.next_hop)
    for copy in settlement.copies:
        (entry,) = copy.message.recipients
        events.tracking_copy_queued(
            queue_id, copy=copy.message.queue_id, transaction=_conversation(delivery), to=entry.address,
            next_hop=entry.next_hop,
        )  # fmt: skip


def _conversation(delivery: LeasedDelivery) -> str:
    tracked = delivery.message.decision.tracked
    return str(tracked.transaction or "") if tracked is not None else ""


_Fate = tuple[int, State | None, str, str]


def _alike(settlement: Settlement, groups: dict[int, int]) -> dict[_Fate, Sequence[RecipientResult]]:
    """Results by group, state (None: stays queued), remote and its words."""
    alike: defaultdict[_Fate, list[RecipientResult]] = defaultdict(list)
    for result in settlement.results:
        reply = result.remote_reply or str(result.reply)
        state = settlement.final.get(result.index)
        alike[groups.get(result.index, -1), state, result.remote, reply].append(result)
    return dict(alike)


def log_outcome(queue_id: str, outcome: Outcome) -> None:
    """What deciding says besides the decision."""
    for audited in outcome.audited:
        events.audited(queue_id, rule=audited.rule, recipients=audited.recipients, actions=audited.actions)
    for failure in outcome.failures:
        events.rule_failed(queue_id, rule=failure.rule, error=failure.error, outcome=failure.on_error.value)
    for withheld in outcome.withheld:
        events.withheld(queue_id, rule=withheld.rule, reason=withheld.reason, recipients=withheld.recipients)
    for run in outcome.plugin_runs:
        events.plugin_called(queue_id, rule=run.rule, plugin=run.plugin, took_ms=run.took_s * 1000)
    if outcome.too_many_variants:
        events.too_many_variants(queue_id, wanted=outcome.too_many_variants)
