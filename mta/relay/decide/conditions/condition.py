"""Conditions, ready to run: each gives the mask of the recipients for whom it holds.

A condition that speaks of the message gives everyone or nobody. `all` and `any` try what is cheap first; for an
explanation they are walked in the order in which they were written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from mta.model.decision import Direction
from mta.ports.directory import DirectoryDownError
from mta.relay.decide.facts import Facts


class Condition(Protocol):
    """A compiled condition."""

    @property
    def source(self) -> str:
        """As the rule's writer would recognise it, e.g. `sender.group: Sales`."""
        ...

    @property
    def cost(self) -> int:
        """Cheap ones are tried first."""
        ...

    def mask(self, facts: Facts) -> int:
        """The recipients for whom it holds."""
        ...

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        """Which test decided for that recipient, and the value that it saw."""
        ...


class Always:
    """An empty `when`."""

    source = "when: (empty)"
    cost = 0

    def mask(self, facts: Facts) -> int:
        return facts.everyone

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, "matches everything"


def _answer(part: Condition, facts: Facts, index: int) -> bool | None:
    """Whether it holds for a recipient; None where the directory had to be asked, and did not answer."""
    try:
        return bool(part.mask(facts) >> index & 1)
    except DirectoryDownError:
        return None


class _Several:
    """Parts that are tried cheap ones first."""

    __slots__ = ("_cheap_first", "cost", "parts")

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts = tuple(parts)
        self._cheap_first = tuple(part.mask for part in sorted(parts, key=lambda part: part.cost))
        self.cost = sum(part.cost for part in parts)

    def _joined(self, facts: Facts, index: int) -> tuple[str, str]:
        """All parts' sources and values, where no single one decided."""
        deciders = [part.decider(facts, index) for part in self.parts]
        return "; ".join(source for source, _ in deciders), "; ".join(value for _, value in deciders)


class All(_Several):
    """Holds where every part holds."""

    __slots__ = ()
    source = "all"

    def mask(self, facts: Facts) -> int:
        mask, unanswered = facts.everyone, None
        for part in self._cheap_first:
            try:
                mask &= part(facts)
            except DirectoryDownError as exc:  # it matters only where everything else holds
                unanswered = exc
            if not mask:
                return 0
        if unanswered is not None:
            raise unanswered
        return mask

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        for part in self.parts:
            if _answer(part, facts, index) is False:
                return part.decider(facts, index)
        return self._joined(facts, index)


class Any(_Several):
    """Holds where at least one part holds."""

    __slots__ = ()
    source = "any"

    def mask(self, facts: Facts) -> int:
        everyone = facts.everyone
        mask, unanswered = 0, None
        for part in self._cheap_first:
            try:
                mask |= part(facts)
            except DirectoryDownError as exc:  # it matters only where nothing else holds
                unanswered = exc
            if mask == everyone:
                return mask
        if unanswered is not None:
            raise unanswered
        return mask

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        for part in self.parts:
            if _answer(part, facts, index):
                return part.decider(facts, index)
        sources, values = self._joined(facts, index)
        return f"none of: {sources}", values


class Not:
    """Holds where its part doesn't. `word` is what the rule says: not, or unless."""

    __slots__ = ("cost", "part", "source", "word")

    def __init__(self, part: Condition, word: str = "not") -> None:
        self.part = part
        self.word = word
        self.cost = part.cost
        self.source = word

    def mask(self, facts: Facts) -> int:
        return facts.everyone & ~self.part.mask(facts)

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        source, value = self.part.decider(facts, index)
        return f"{self.word} {source}", value


class DirectionIs:
    """One of the directions."""

    __slots__ = ("_directions", "cost", "source")

    def __init__(self, directions: Sequence[Direction]) -> None:
        self._directions = tuple(directions)
        self.source = f"direction: {', '.join(direction.value for direction in directions)}"
        self.cost = 1

    def mask(self, facts: Facts) -> int:
        mask = facts.internal if facts.inside in self._directions else 0
        return mask | facts.everyone & ~facts.internal if facts.outside in self._directions else mask

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, facts.direction(facts.recipients[index]).value


class Remembered(ABC):
    """Judged once for each message, however many rules have it."""

    __slots__ = ()

    def mask(self, facts: Facts) -> int:
        known = facts.masks.get(self)
        if known is None:
            known = facts.masks[self] = self._mask(facts)
        return known

    @abstractmethod
    def _mask(self, facts: Facts) -> int: ...


class MessageTest(Remembered):
    """A test of the message as a whole."""

    __slots__ = ("_test", "_value", "cost", "source")

    def __init__(
        self, source: str, test: Callable[[Facts], bool], value: Callable[[Facts], str], *, cost: int = 2
    ) -> None:
        self.source = source
        self.cost = cost
        self._test = test
        self._value = value

    def _mask(self, facts: Facts) -> int:
        return facts.everyone if self._test(facts) else 0

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        return self.source, self._value(facts)


def shortened(text: str, limit: int = 80) -> str:
    """A value for an explanation: quoted, on one line, not too long."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
