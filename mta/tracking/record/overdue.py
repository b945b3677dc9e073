"""Time-triggered rules: what time does to records."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mta import events
from mta.model.record import AddNote, NoteRule, Record
from mta.model.tracking import Entry, EntryState, Intake
from mta.ports.tracking_store import TrackingStore
from mta.tracking.notify.occasion import Occasion
from mta.tracking.record.changes import defaults_of
from mta.tracking.record.conditions import Times
from mta.tracking.record.draft import Draft
from mta.tracking.record.facts import Facts
from mta.tracking.record.following import following
from mta.tracking.record.rules import Rule
from mta.tracking.record.walk import walk

if TYPE_CHECKING:
    from mta.tracking.desk import Desk

AT_ONCE = 100
"""Records of one rule and module that one look carries out; the rest waits for the next."""


async def overdue_work(desk: Desk, store: TrackingStore, now: datetime) -> int:
    """Carry out the time-triggered rules for the records that they are for now; for how many it was done.

    Each once for a record as it stands. Raises TemporaryError while directory or store don't answer.
    """
    done = 0
    for rule in desk.rules.by_time:
        assert rule.times is not None
        for module in rule.times.modules or [module.name for module in desk.settings.modules]:
            for record in await _overdue(rule, rule.times, module, desk, store, now):
                done += await _carry_out(rule, record, desk, store, now)
    return done


async def _overdue(
    rule: Rule, times: Times, module: str, desk: Desk, store: TrackingStore, now: datetime
) -> list[Record]:
    found = await store.overdue(
        desk.name,
        module,
        times.states,
        rule.mark,
        created_before=now - times.older_than if times.older_than is not None else None,
        unchanged_since=now - times.unchanged_for if times.unchanged_for is not None else None,
        limit=AT_ONCE,
    )
    return list(found)


async def _carry_out(rule: Rule, record: Record, desk: Desk, store: TrackingStore, now: datetime) -> bool:
    """False where its conditions don't hold, or somebody else was faster. Either way it is not looked at again."""
    participants = await store.participants(record.transaction)
    facts = Facts(desk.name, now, None, "", record.transaction, record, participants)
    draft = Draft(facts, defaults_of(desk))
    steps = walk([rule], draft)
    key = f"{rule.mark} {record.transaction} {record.updated_at.isoformat()}"
    note = next((change for change in reversed(draft.changes) if isinstance(change, AddNote)), None)
    event = draft.event if draft.changes else "record.overdue"
    occasion = Occasion(key, event, draft.record or record, note, None, participants, now)
    followed = await following(draft.wishes, occasion, desk, store)
    changes = (*draft.changes, NoteRule(record.transaction, rule.mark))
    intake = Intake(
        _entry(desk.name, record, key, now), tuple(followed.invited), changes=changes, tasks=tuple(followed.tasks),
        counted=tuple(followed.told),
    )  # fmt: skip
    if not await store.change(key, intake):
        return False
    _log(rule, record, draft, audited=any(step.is_audit for step in steps))
    return bool(steps) and not rule.audit


def _log(rule: Rule, record: Record, draft: Draft, *, audited: bool) -> None:
    name = str(record.transaction)
    if audited:
        actions = "; ".join(action.source for action in rule.actions)
        events.tracking_rule_audited(name, message_id="", rule=rule.name, actions=actions)
    elif draft.changes or draft.wishes:
        events.tracking_rule_timed(name, rule=rule.name)
    for failure in draft.failures:
        events.tracking_rule_failed(
            name, message_id="", rule=failure.rule, action=failure.action, reason=failure.reason
        )


def _entry(organisation: str, record: Record, key: str, now: datetime) -> Entry:
    """There is no message: it names organisation, transaction and time."""
    return Entry(key, organisation, "", "", "", EntryState.JOINED, "rule", now, "", "sent", record.transaction)
