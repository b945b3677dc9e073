"""Why a rule did or did not apply to a recipient: which test decided, and with what value."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import indexes
from mta.relay.decide.rules import Rule, RuleSet


class Verdict(Enum):
    """What became of a rule for a recipient."""

    APPLIED = "applied"
    AUDITED = "would have applied (audit)"
    NO_MATCH = "not applied"
    NOT_ACTIVE = "not in force now"
    FAILED = "failed"
    DISABLED = "disabled"
    NOT_REACHED = "not reached"
    """An earlier rule ended the walk for this recipient."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule and one recipient."""

    rule: str
    verdict: Verdict
    test: str = ""
    value: str = ""
    actions: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Trace:
    """Collects the steps while deciding; give one to `decide` to explain a message."""

    _steps: dict[tuple[str, int], Step] = field(default_factory=dict)
    _notes: dict[tuple[str, int], str] = field(default_factory=dict)

    def judged(self, rule: Rule, facts: Facts, walking: int, matched: int, live: int) -> None:
        """A rule's conditions were judged for all who still walked; for those of `live` it is not only audited."""
        for index in indexes(walking):
            test, value = rule.condition.decider(facts, index)
            if matched >> index & 1:
                verdict = Verdict.APPLIED if live >> index & 1 else Verdict.AUDITED
                actions = tuple(maker.source for maker in rule.actions)
                self._steps[rule.name, index] = Step(rule.name, verdict, test, value, actions)
            else:
                self._steps[rule.name, index] = Step(rule.name, Verdict.NO_MATCH, test, value)

    def record(self, rule: Rule, mask: int, verdict: Verdict, test: str, value: str) -> None:
        """The same verdict for several recipients."""
        for index in indexes(mask):
            self._steps[rule.name, index] = Step(rule.name, verdict, test, value)

    def note(self, rule: Rule, mask: int, note: str) -> None:
        """Something to add to these recipients' steps."""
        for index in indexes(mask):
            self._notes[rule.name, index] = note

    def steps(self, rules: RuleSet, index: int) -> list[Step]:
        """Every rule in its order, for the recipient at that position of the envelope."""
        steps = []
        for rule in rules.rules:
            missing = Step(rule.name, Verdict.NOT_REACHED if rule.enabled else Verdict.DISABLED)
            step = self._steps.get((rule.name, index), missing)
            note = self._notes.get((rule.name, index), "")
            steps.append(Step(step.rule, step.verdict, step.test, step.value, step.actions, note))
        return steps
