"""Answers kept for as long as their time to live says, within bounds of number and size."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from mta.ports.resolver import Answer, Outcome

ENTRIES_MAX = 10_000
OCTETS_MAX = 8_000_000
"""Strangers choose which names are asked, and what the answers hold."""
_ENTRY_OCTETS = 400
_KEPT_S = {Outcome.ANSWER: (5, 3600), Outcome.NODATA: (5, 300), Outcome.NXDOMAIN: (5, 300), Outcome.TEMPFAIL: (2, 2)}
"""The shortest and the longest time in seconds that an answer is kept, whatever its time to live."""

Question = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: Answer[Any]
    until_s: float
    octets: int


class AnswerCache:
    """The latest answers; the least recently used one goes first."""

    def __init__(self, entries_max: int = ENTRIES_MAX, octets_max: int = OCTETS_MAX) -> None:
        self._entries: OrderedDict[Question, _Entry] = OrderedDict()
        self._entries_max = entries_max
        self._octets_max = octets_max
        self.octets = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, question: Question, now_s: float) -> Answer[Any] | None:
        """The answer, if it is known and not too old; `now_s` is a monotonic time."""
        entry = self._entries.get(question)
        if entry is None:
            return None
        if entry.until_s <= now_s:
            self._forget(question)
            return None
        self._entries.move_to_end(question)
        return entry.answer

    def put(self, question: Question, answer: Answer[Any], ttl_s: float, now_s: float) -> None:
        """Keep an answer."""
        if question in self._entries:
            self._forget(question)
        shortest, longest = _KEPT_S[answer.outcome]
        octets = _ENTRY_OCTETS + sum(
            len(record) if isinstance(record, (bytes, str)) else 200 for record in answer.records
        )
        self._entries[question] = _Entry(answer, now_s + min(max(ttl_s, shortest), longest), octets)
        self.octets += octets
        while len(self._entries) > self._entries_max or self.octets > self._octets_max:
            self._forget(next(iter(self._entries)))

    def _forget(self, question: Question) -> None:
        self.octets -= self._entries.pop(question).octets
