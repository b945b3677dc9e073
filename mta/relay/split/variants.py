"""One variant per group of recipients that share a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.model.actions import Action, Drop, Reject
from mta.model.decision import Decision
from mta.model.delivery import RecipientEntry

_TERMINAL = (Drop, Reject)


@dataclass(frozen=True, slots=True)
class Variant:
    """One copy of the message: what shapes its bytes, and who gets it."""

    group: int
    actions: tuple[Action, ...]
    recipients: tuple[RecipientEntry, ...]


def variants(decision: Decision, recipients: Sequence[RecipientEntry]) -> list[Variant]:
    """The copies that these recipients need, in the order of their first recipient.

    `recipients` are those still to be served (all, or the due ones of a retry). A group whose decision rejects or
    drops the message has no copy. No header is made from envelope addresses here, so a hidden recipient stays hidden.
    """
    served: dict[int, list[RecipientEntry]] = {}
    for entry in recipients:
        served.setdefault(entry.group, []).append(entry)
    actions = decision.group_actions()
    return [
        Variant(group, actions[group], tuple(entries))
        for group, entries in served.items()
        if not any(isinstance(action, _TERMINAL) for action in actions[group])
    ]
