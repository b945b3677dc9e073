"""Conditions on the sender and the recipients: each gives the mask of the recipients for whom it holds."""

from __future__ import annotations

from collections.abc import Callable

from mta.relay.decide.conditions.condition import Condition, Remembered
from mta.relay.decide.conditions.parties import PartyTest
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party

_SENDERS: dict[str | None, Callable[[Facts], Party | None]] = {
    None: lambda facts: facts.sender,
    "envelope": lambda facts: facts.envelope_sender,
    "header": lambda facts: facts.author,
    "delegate": lambda facts: facts.delegate,
}


class SenderIs(Remembered):
    """A test of the sender; the null reverse-path fails all of them. `by` says who counts as the sender."""

    __slots__ = ("_sender", "_test", "cost", "source")

    def __init__(self, test: PartyTest, by: str | None = None) -> None:
        self._test = test
        self._sender = _SENDERS[by]
        self.source = f"sender.{test.source}" if by is None else f"sender (by {by}).{test.source}"
        self.cost = 2

    def _mask(self, facts: Facts) -> int:
        sender = self._sender(facts)
        return facts.everyone if sender is not None and self._test.holds(sender) else 0

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        sender = self._sender(facts)
        return self.source, "<>" if sender is None else self._test.value(sender)


class OnBehalfOf:
    """Whether somebody sent the message on behalf of its author."""

    __slots__ = ("_expected", "cost", "source")

    def __init__(self, *, expected: bool) -> None:
        self._expected = expected
        self.source = f"sender.on_behalf_of: {str(expected).lower()}"
        self.cost = 1

    def mask(self, facts: Facts) -> int:
        return facts.everyone if (facts.participants.delegate is not None) is self._expected else 0

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        author, delegate = facts.participants.author, facts.participants.delegate
        return self.source, "nobody sent it for another" if delegate is None else f"{delegate} sent it for {author}"


class RecipientIs(Remembered):
    """A test of the recipient who is judged."""

    __slots__ = ("_test", "cost", "source")

    def __init__(self, test: PartyTest) -> None:
        self._test = test
        self.source = f"recipient.{test.source}"
        self.cost = 5

    def _mask(self, facts: Facts) -> int:
        return self._test.mask(facts)

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, self._test.value(facts.recipients[index])


class AnyRecipient:
    """Some recipient passes: of those whom the header names, and the one judged. Nobody is told of a hidden one."""

    __slots__ = ("_part", "cost", "source")

    def __init__(self, part: Condition, source: str) -> None:
        self._part = part
        self.source = source
        self.cost = part.cost + 1

    def mask(self, facts: Facts) -> int:
        passing = self._part.mask(facts)
        return facts.everyone if passing & facts.visible else passing

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, _recipients(facts, self._part.mask(facts), index, "pass")


class EveryRecipient:
    """All recipients pass: those whom the header names, and the one judged."""

    __slots__ = ("_part", "cost", "source")

    def __init__(self, part: Condition, source: str) -> None:
        self._part = part
        self.source = source
        self.cost = part.cost + 1

    def mask(self, facts: Facts) -> int:
        passing = self._part.mask(facts)
        return passing if passing & facts.visible == facts.visible else 0

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, _recipients(facts, ~self._part.mask(facts), index, "fail")


def _recipients(facts: Facts, mask: int, index: int, verb: str) -> str:
    """Those of the mask of whom the recipient may know."""
    mask &= facts.visible | 1 << index
    keys = [party.key for number, party in enumerate(facts.recipients) if mask >> number & 1]
    return f"{', '.join(keys)} {verb}" if keys else f"none {verb}"
