"""Tests of what sender and recipient are to each other. The null reverse-path is nobody's: all of them fail."""

from __future__ import annotations

from collections.abc import Sequence

from mta.config.texts import listed
from mta.relay.decide.conditions.condition import Remembered
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party


class AttributesCompare(Remembered):
    """Both have the attributes, and each has the same value with both, or a different one."""

    cost = 4

    def __init__(self, names: Sequence[str], *, same: bool) -> None:
        self._names = tuple(names)
        self._same = same
        self.source = f"recipient.{'same' if same else 'different'}: {listed(names)}"

    def _mask(self, facts: Facts) -> int:
        mask = facts.everyone if facts.sender is not None else 0
        for name in self._names:
            own = facts.sender.attribute(name) if facts.sender is not None else ""
            if not own:
                return 0
            values = facts.by_attribute(name)
            alike = values.get(own, 0)
            mask &= alike if self._same else facts.everyone & ~alike & ~values.get("", 0)
        return mask

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        sender, recipient = facts.sender, facts.recipients[index]
        values = (
            f"{name} is {sender.attribute(name) if sender else ''!r} and {recipient.attribute(name)!r}"
            for name in self._names
        )
        return self.source, "; ".join(values)


class RelationIs(Remembered):
    """The recipient is the sender's manager, reports to them, has the same manager, or is the sender."""

    cost = 6

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self.source = f"recipient.is: {listed(names)}"

    def _mask(self, facts: Facts) -> int:
        sender = facts.sender
        return 0 if sender is None else facts.mask(lambda party: not self._names.isdisjoint(_relations(sender, party)))

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        party = facts.recipients[index]
        names = sorted(_relations(facts.sender, party)) if facts.sender is not None else []
        return self.source, f"{party.key} is {', '.join(names) or 'none of these'}"


def _relations(sender: Party, recipient: Party) -> set[str]:
    if sender.is_person(recipient.key) or recipient.is_person(sender.key):
        return {"sender"}
    above = sender.person.manager if sender.person is not None else None
    above_recipient = recipient.person.manager if recipient.person is not None else None
    found: set[str] = set()
    if above is not None and recipient.is_person(above):
        found.add("manager-of-sender")
    if above_recipient is not None and sender.is_person(above_recipient):
        found.add("report-of-sender")
    if above is not None and above == above_recipient:
        found.add("peer-of-sender")
    return found


class Between(Remembered):
    """The sender is in one of the first groups and the recipient in one of the second; either way if asked."""

    cost = 3

    def __init__(self, first: Sequence[str], second: Sequence[str], *, either_way: bool) -> None:
        self._ways = [_lowered(first, second)] + ([_lowered(second, first)] if either_way else [])
        names = listed(first), listed(second)
        self.source = f"recipient.between: {names[0]} {'and' if either_way else 'to'} {names[1]}"

    def _mask(self, facts: Facts) -> int:
        mask = 0
        for senders, recipients in self._ways:
            if facts.sender is not None and not facts.sender.groups.isdisjoint(senders):
                for group in recipients:
                    mask |= facts.by_group.get(group, 0)
        return mask

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        parties = [facts.sender, facts.recipients[index]]
        return self.source, "; ".join(f"{party.key} is in {_names(party)}" for party in parties if party is not None)


def _lowered(senders: Sequence[str], recipients: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(name.lower() for name in senders), frozenset(name.lower() for name in recipients)


def _names(party: Party) -> str:
    return ", ".join(sorted(party.groups)) or "no group"


class FirstContact:
    """Whether the sender has never written to the recipient before."""

    cost = 4

    def __init__(self, *, first: bool) -> None:
        self._first = first
        self.source = f"recipient.first_contact: {str(first).lower()}"

    def mask(self, facts: Facts) -> int:
        if facts.sender is None:
            return 0
        if facts.known_contacts is None:
            raise LookupError("known contacts were not looked up")
        known = facts.known_contacts
        return facts.mask(lambda party: (party.key not in known) is self._first)

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        party = facts.recipients[index]
        is_known = facts.known_contacts is not None and party.key in facts.known_contacts
        return self.source, f"{party.key} has{' ' if is_known else ' not '}been written to by the sender before"
