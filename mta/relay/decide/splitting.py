"""`splitting: off`: one recipient's rules decide on the content that everybody gets.

It is the first one in the order of To, Cc and the envelope; of the external ones, where there are any. Where mail goes
and who is refused stays each recipient's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from mta.message.headers import addresses
from mta.model.actions import Action, Drop, Reject
from mta.model.decision import Role
from mta.relay.decide.facts import Facts
from mta.relay.decide.groups import ActionList
from mta.relay.decide.participants import HEADER_ADDRESSES_MAX, indexes

_RANK = {Role.TO: 0, Role.CC: 1, Role.HIDDEN: 2}


def spokesman(facts: Facts, among: int) -> int:
    """The index of the recipient among these (a mask, not empty) whose content is everybody's."""
    external = among & ~facts.internal
    candidates = list(indexes(external or among))
    if len(candidates) == 1:
        return candidates[0]
    named = [mailbox for name in ("To", "Cc") for mailbox in addresses(facts.message, name)[:HEADER_ADDRESSES_MAX]]
    position = {mailbox.address.key: number for number, mailbox in reversed(list(enumerate(named)))}
    parties = facts.recipients

    def order(index: int) -> tuple[int, int, int]:
        party = parties[index]
        return _RANK[party.role], position.get(party.key, len(named)), index

    return min(candidates, key=order)


def may_be_named(facts: Facts, chosen: int, among: int) -> bool:
    """Whether what they all get may speak of that recipient: of a hidden one the others would learn by it."""
    return bool(facts.visible >> chosen & 1) or among == 1 << chosen


def uniform(facts: Facts, lists: Sequence[ActionList]) -> list[ActionList]:
    """Everybody's actions, with the content actions of one recipient in place of their own."""
    getting = sum(1 << index for index, entry in enumerate(lists) if not _gets_nothing(entry))
    if not getting:
        return list(lists)
    chosen = spokesman(facts, getting)
    said = lists[chosen].actions if may_be_named(facts, chosen, getting) else lists[chosen].impersonal()
    content = [action for action in said if action.changes_content]
    return [entry if _gets_nothing(entry) else _with_content(entry, content) for entry in lists]


def shared(made: Sequence[tuple[Action, bool]], *, is_named: bool) -> tuple[Action, ...]:
    """Actions made for one recipient, each with whether it depends on who that is, as everybody gets them."""
    one = ActionList([action for action, _ in made], {n for n, (_, personal) in enumerate(made) if personal})
    return tuple(one.actions) if is_named else one.impersonal()


def _gets_nothing(entry: ActionList) -> bool:
    return bool(entry.actions) and isinstance(entry.actions[-1], Reject | Drop)


def _with_content(entry: ActionList, content: Sequence[Action]) -> ActionList:
    made = ActionList(list(content), set())
    for number, action in enumerate(entry.actions):
        if not action.changes_content:
            if number in entry.personal:
                made.personal.add(len(made.actions))
            made.actions.append(action)
    return made
