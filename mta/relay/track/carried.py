"""The decision of a tracked message: which of its rules counts, and whose copies carry the conversation's id."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from mta.model.actions import Action, CarryId, Drop, Track
from mta.model.decision import Decision, RecipientDecision, Role


def track_of(decision: Decision, *, is_known: bool) -> tuple[Track, frozenset[int]] | None:
    """The rule's wish that counts, and for which recipients' sake; None where nobody who gets the message is tracked.

    A message belongs to one conversation: of several rules the first one counts that opens one, or goes on with what is
    known; where none does, the first.
    """
    wanted: list[tuple[Track, frozenset[int]]] = []
    for each in decision.once:
        if isinstance(each.action, Track):
            served = frozenset(n for n in each.recipients if not _gets_nothing(decision.recipients[n]))
            if served:
                wanted.append((each.action, served))
    return next((each for each in wanted if is_known or each[0].opens), wanted[0] if wanted else None)


def _gets_nothing(entry: RecipientDecision) -> bool:
    return entry.is_rejected or (bool(entry.actions) and isinstance(entry.actions[-1], Drop))


def with_id(decision: Decision, carried: CarryId, tracked: Set[int]) -> Decision:
    """Every copy carries the id, so that whoever answers goes on with the conversation.

    But where rules track the message for hidden recipients' sake only, only theirs do: no other copy may tell of them.
    """
    everyone = any(decision.recipients[n].role is not Role.HIDDEN for n in tracked) or all(
        entry.role is Role.HIDDEN for entry in decision.recipients
    )
    groups: dict[tuple[int, bool], int] = {}
    changed: list[RecipientDecision] = []
    by_group: dict[int, tuple[Action, ...]] = {}
    for n, entry in enumerate(decision.recipients):
        carries = (everyone or n in tracked) and not _gets_nothing(entry)
        group = groups.setdefault((entry.group, carries), len(groups))
        actions = (carried, *entry.actions) if carries else entry.actions
        # One tuple for each group: what is shared is written once.
        actions = by_group.setdefault(group, actions)
        changed.append(replace(entry, actions=actions, group=group))
    return replace(decision, recipients=tuple(changed))


def recipients_named(decision: Decision) -> Sequence[str]:
    """Those whom a header field names and who get the message, as it was addressed."""
    return [
        str(entry.recipient) for entry in decision.recipients if entry.role is not Role.HIDDEN and not entry.is_added
    ]
