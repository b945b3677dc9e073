"""Conditions of business rules, ready to run: each a test with the words by which its writer knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mta.model.printable import in_a_line
from mta.model.record import Record
from mta.tracking.record.draft import Draft

_SHOWN = 80


class Condition(Protocol):
    def holds(self, draft: Draft) -> bool: ...

    def decider(self, draft: Draft) -> tuple[str, str]:
        """Which test decided, and the value that it saw, in one printable line."""
        ...


@dataclass(frozen=True, slots=True)
class Always:
    def holds(self, draft: Draft) -> bool:
        return True

    def decider(self, draft: Draft) -> tuple[str, str]:
        return "when: (empty)", "matches everything"


@dataclass(frozen=True, slots=True)
class Test:
    """One test; without a message, those that ask about it don't hold."""

    __test__ = False  # nothing for pytest

    source: str
    test: Callable[[Draft], bool]
    value: Callable[[Draft], str]

    def holds(self, draft: Draft) -> bool:
        return self.test(draft)

    def decider(self, draft: Draft) -> tuple[str, str]:
        return self.source, in_a_line(self.value(draft), _SHOWN)


@dataclass(frozen=True, slots=True)
class All:
    parts: Sequence[Condition]

    def holds(self, draft: Draft) -> bool:
        return all(part.holds(draft) for part in self.parts)

    def decider(self, draft: Draft) -> tuple[str, str]:
        failed = next((part for part in self.parts if not part.holds(draft)), None)
        return failed.decider(draft) if failed is not None else _joined(self.parts, draft)


@dataclass(frozen=True, slots=True)
class Any:
    parts: Sequence[Condition]

    def holds(self, draft: Draft) -> bool:
        return any(part.holds(draft) for part in self.parts)

    def decider(self, draft: Draft) -> tuple[str, str]:
        held = next((part for part in self.parts if part.holds(draft)), None)
        if held is not None:
            return held.decider(draft)
        sources, values = _joined(self.parts, draft)
        return f"none of: {sources}", values


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition
    word: str = "not"

    def holds(self, draft: Draft) -> bool:
        return not self.part.holds(draft)

    def decider(self, draft: Draft) -> tuple[str, str]:
        source, value = self.part.decider(draft)
        return f"{self.word} {source}", value


def _joined(parts: Sequence[Condition], draft: Draft) -> tuple[str, str]:
    deciders = [part.decider(draft) for part in parts]
    return "; ".join(source for source, _ in deciders), "; ".join(value for _, value in deciders)


@dataclass(frozen=True, slots=True)
class Times:
    """When a time-triggered rule is due for a record; None: that doesn't matter."""

    older_than: timedelta | None
    unchanged_for: timedelta | None
    states: tuple[str, ...]
    """By these the store looks for records."""
    modules: tuple[str, ...]
    """Empty for all."""

    def are_over(self, record: Record, now: datetime) -> bool:
        return (
            record.state in self.states
            and (not self.modules or record.transaction.module in self.modules)
            and (self.older_than is None or now - record.created_at >= self.older_than)
            and (self.unchanged_for is None or now - record.updated_at >= self.unchanged_for)
        )
