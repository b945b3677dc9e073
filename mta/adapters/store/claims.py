"""Claims: who may do what is done at most so many times within a period.

A key is held under numbers from 0 to its limit. A number is free when nobody has it or its time is over, so that
whichever period one looks at, no more than the limit were granted in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mta.adapters.store.statements import SQL, json_answer, json_list

Key = tuple[str, int, int]
"""Key, limit, period in microseconds."""


@dataclass(slots=True)
class Claims:
    """The claims of one transaction: read once, granted in order, written once."""

    now: int
    held: dict[str, set[int]]
    granted: list[tuple[str, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, cursor: sqlite3.Cursor, keys: Iterable[str], now: int) -> Claims:
        """Read who holds these keys at that time."""
        held: dict[str, set[int]] = {key: set() for key in keys}
        for key, number in json_answer(cursor, "held_claims", (json_list(held), now)):
            held[key].add(number)
        return cls(now, held)

    def take(self, wanted: Sequence[Key]) -> bool:
        """Take all of these keys, or none where one is held as often as it may be."""
        free = [next((n for n in range(limit) if n not in self.held[key]), None) for key, limit, _ in wanted]
        if None in free:
            return False
        for (key, _, period), number in zip(wanted, free, strict=True):
            if number is not None and number not in self.held[key]:
                self.held[key].add(number)
                self.granted.append((key, number, self.now + period))
        return True

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Write down what was granted."""
        if self.granted:
            cursor.execute(SQL["take_claims"], (json_list(self.granted),))
