"""Recipients with equal actions share one copy; above `max_variants` what depends on the single recipient vanishes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mta.model.actions import Action, Stamp
from mta.relay.decide.participants import indexes


@dataclass(slots=True)
class ActionList:
    """One recipient's actions; `personal` are the positions of those that depend on who the recipient is."""

    actions: list[Action]
    personal: set[int]

    def impersonal(self) -> tuple[Action, ...]:
        """The actions without anything that depends on the recipient: stamps lose those lines, the rest vanishes."""
        return tuple(
            replace(action, recipient="") if isinstance(action, Stamp) else action
            for number, action in enumerate(self.actions)
            if not (number in self.personal and action.changes_content and not isinstance(action, Stamp))
        )


def group(lists: Sequence[ActionList], visible: int, limit: int) -> tuple[list[tuple[Action, ...]], int]:
    """Each recipient's final actions (one tuple object for each group), and the number of copies if it was too many.

    Visible recipients are counted without the hidden ones, so that these never change what the others get.
    """
    finals = _shared([tuple(entry.actions) for entry in lists])
    if len(lists) <= limit:
        return finals, 0
    visible_indexes = list(indexes(visible))
    wanted = _count(finals, range(len(finals)))
    if _count(finals, visible_indexes) > limit:
        return _shared([entry.impersonal() for entry in lists]), wanted
    if wanted <= limit:
        return finals, 0
    seen = set(visible_indexes)
    return _shared([final if n in seen else lists[n].impersonal() for n, final in enumerate(finals)]), wanted


def _count(finals: Sequence[tuple[Action, ...]], which: Collection[int]) -> int:
    return len({id(finals[index]) for index in which})


def _shared(finals: Sequence[tuple[Action, ...]]) -> list[tuple[Action, ...]]:
    # Most recipients have the very same action objects; hashing values is left to those that remain.
    same: dict[tuple[int, ...], tuple[Action, ...]] = {}
    for actions in finals:
        same.setdefault(tuple(map(id, actions)), actions)
    if len(same) > 1:
        equal: dict[tuple[Action, ...], tuple[Action, ...]] = {}
        same = {ids: equal.setdefault(actions, actions) for ids, actions in same.items()}
    return [same[tuple(map(id, actions))] for actions in finals]


def numbers(finals: Sequence[tuple[Action, ...]]) -> list[int]:
    """The group of each recipient: 0 for the first one's, then rising in the order of their first recipients.

    Equal groups are one object, as `group` gives them.
    """
    known: dict[int, int] = {}
    return [known.setdefault(id(actions), len(known)) for actions in finals]
