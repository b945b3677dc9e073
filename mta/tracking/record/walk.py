"""Goes through the rules in their order: what matched, by what, and what it did to the draft."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mta.tracking.record.draft import Draft
from mta.tracking.record.rules import Rule


@dataclass(frozen=True, slots=True)
class Step:
    """One rule, and what became of it; texts are printable, `value` may hold what the message says."""

    rule: str
    place: str
    """File and line."""
    matched: bool
    test: str
    """The one that decided."""
    value: str
    """What it saw."""
    actions: tuple[str, ...]
    """Of a rule that matched."""
    is_audit: bool


def walk(rules: Collection[Rule], draft: Draft, *, explained: bool = False) -> list[Step]:
    """Carry out the rules that hold. The steps are those of rules that matched; `explained`: of all."""
    steps: list[Step] = []
    for rule in rules:
        matched = rule.is_for(draft) and rule.condition.holds(draft)
        if matched or explained:
            steps.append(_step(rule, draft, matched=matched, explained=explained))
        if not matched or rule.audit:
            continue
        for action in rule.actions:
            action.carry_out(draft, rule.name)
        if rule.stop:
            break
    return steps


def _step(rule: Rule, draft: Draft, *, matched: bool, explained: bool) -> Step:
    test, value = rule.condition.decider(draft) if explained else ("", "")
    if explained and not rule.is_for(draft):
        test, value = "the rule doesn't name such messages", _such(draft)
    actions = tuple(action.source for action in rule.actions) if matched else ()
    return Step(rule.name, f"{rule.file.name}:{rule.line}", matched, test, value, actions, rule.audit)


def _such(draft: Draft) -> str:
    message = draft.message
    assert message is not None
    words = [] if message.is_personal else [f"kind: {', '.join(sorted(message.kinds))}"]
    words += ["direction: sent"] if message.incoming.is_sent else []
    words += ["outcome: pending"] if draft.outcome == "pending" else []
    return "; ".join(words)
