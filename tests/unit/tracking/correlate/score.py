"""How often mail joined where it belongs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mta.tracking.correlate import Outcome
from tests.unit.tracking.correlate.case import Answer, Case


@dataclass
class Score:
    """Of one source."""

    cases: int = 0
    right: int = 0
    """Joined the conversation that it belongs to."""
    wrong: int = 0
    """Joined another, or joined and should not have."""
    missed: int = 0
    """Should have joined."""
    strangers: int = 0
    """Cases in which a stranger, or nobody whom we know, wrote."""
    other: Counter[str] = field(default_factory=Counter)
    """What became of the rest."""

    def count(self, case: Case, said: Answer) -> None:
        self.cases += 1
        self.strangers += case.stranger
        should, did = case.outcome is Outcome.JOINED, said.outcome is Outcome.JOINED
        if did and should and said.conversation == case.conversation:
            self.right += 1
        elif did:
            self.wrong += 1
        elif should:
            self.missed += 1
        else:
            self.other[said.outcome.value] += 1

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.cases + other.cases, self.right + other.right, self.wrong + other.wrong,
            self.missed + other.missed, self.strangers + other.strangers, self.other + other.other,
        )  # fmt: skip

    def line(self, name: str) -> str:
        rest = ", ".join(f"{count} {what}" for what, count in sorted(self.other.items()))
        return (
            f"{name:24} {self.cases:5} cases  joined right {self.right:4}  wrong {self.wrong:2}  missed {self.missed:2}"
            f"  precision {self.precision:.3f}  recall {self.recall:.3f}  of strangers {self.strangers:4}  {rest}"
        )


def table(scores: dict[str, Score]) -> str:
    lines = [score.line(name) for name, score in sorted(scores.items())]
    return "\n".join([*lines, sum(scores.values(), Score()).line("all")])
