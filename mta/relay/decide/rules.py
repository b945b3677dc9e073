"""Typed rules, made from the YAML files of a folder in the order of their names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mta.config.clock_words import ScheduleError
from mta.config.problems import ConfigurationError
from mta.config.rule_files import read_rules, rule_files
from mta.config.yaml_values import Document, Loc
from mta.model.actions import OnError
from mta.relay.decide.actions.compile import ActionCompiler
from mta.relay.decide.actions.makers import ActionMaker
from mta.relay.decide.actions.plugins import PluginMaker
from mta.relay.decide.conditions.compile import FIRST_CONTACT, HIDDEN_COUNT, ConditionCompiler
from mta.relay.decide.conditions.condition import All, Always, Condition, Not
from mta.relay.decide.conditions.schema import named_kinds
from mta.relay.decide.facts import Facts
from mta.relay.decide.rule_schema import RuleEntry, RuleFile
from mta.relay.decide.schedule import Schedule, compile_schedule
from mta.relay.decide.shapes import ActiveTimes
from mta.relay.decide.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to run."""

    name: str
    file: Path
    line: int
    condition: Condition
    actions: tuple[ActionMaker, ...]
    enabled: bool
    audit: bool
    stop_on_match: bool
    stop_on_no_match: bool
    on_error: OnError
    schedule: Schedule | None
    kinds: frozenset[str]
    """Kinds of message that its conditions name: what is touched only if asked for by name."""
    is_splitting: bool = True
    """False: its content actions are for everybody or for nobody."""
    asks: frozenset[str] = frozenset()
    """What is special about its conditions: FIRST_CONTACT, HIDDEN_COUNT."""
    pilot: frozenset[str] = frozenset()
    """Groups for whose members it is in force, lower case; empty: for everybody."""

    def live(self, facts: Facts) -> int:
        """The recipients for whom it is in force, and not only audited.

        The pilot's members are asked for among those who work with us: the sender of our own mail, the recipients of
        mail from outside.
        """
        if self.audit:
            return 0
        if not self.pilot:
            return facts.everyone
        sender = facts.sender
        if sender is not None and sender.ours:
            return 0 if sender.groups.isdisjoint(self.pilot) else facts.everyone
        members = 0
        for group in self.pilot:
            members |= facts.by_group.get(group, 0)
        return members & facts.internal


class RuleSet:
    """The rules in their order."""

    def __init__(self, rules: Collection[Rule]) -> None:
        self.rules = tuple(rules)
        self.enabled = tuple(rule for rule in rules if rule.enabled)
        self.asks_first_contact = any(FIRST_CONTACT in rule.asks for rule in self.enabled)
        """Whether deciding needs `Facts.known_contacts`."""
        self.has_plugins = any(isinstance(maker, PluginMaker) for rule in self.enabled for maker in rule.actions)
        """Whether deciding runs other people's programs, which may take their time."""

    def __len__(self) -> int:
        return len(self.rules)


def load_rules(folder: Path, surroundings: Surroundings) -> RuleSet:
    """Read all rules of a folder. Raises ConfigurationError with every problem of all files."""
    return compile_rules(rule_files(folder), surroundings)


def compile_rules(paths: Collection[Path], surroundings: Surroundings) -> RuleSet:
    """Read the rules of these files, in this order. Raises ConfigurationError with every problem of all of them."""
    compiler = _RuleCompiler(surroundings)
    rules: list[Rule] = []
    for path in paths:
        rules += compiler.file(path)
    if compiler.problems:
        raise ConfigurationError(sorted(set(compiler.problems)))
    return RuleSet(rules)


class _RuleCompiler:
    def __init__(self, surroundings: Surroundings) -> None:
        self._conditions = ConditionCompiler(surroundings)
        self.problems = self._conditions.problems
        self._actions = ActionCompiler(surroundings, self.problems)
        self._names: dict[str, str] = {}

    def file(self, path: Path) -> list[Rule]:
        """The rules of one file; where a rule doesn't fit the schema, the others are looked at all the same."""
        try:
            written = read_rules(path, RuleFile, RuleEntry)
        except ConfigurationError as exc:
            self.problems += exc.problems
            return []
        self.problems += written.problems
        return [self._rule(written.document, entry, ("rules", n)) for n, entry in written.entries.items()]

    def _rule(self, document: Document, entry: RuleEntry, loc: Loc) -> Rule:
        line, _ = document.place((*loc, "name"))
        here = f"{document.file.name}, line {line}"
        if entry.name in self._names:
            self._problem(
                document, (*loc, "name"), f"rule {entry.name!r} stands in {self._names[entry.name]} too", "rename one"
            )
        self._names[entry.name] = here
        if entry.pilot is not None:
            self._conditions.check_groups(document, entry.pilot, (*loc, "pilot"))
        self._conditions.asks.clear()
        condition = self._condition(document, entry, loc)
        makers = tuple(self._actions.makers(document, entry, (*loc, "actions")))
        if HIDDEN_COUNT in self._conditions.asks:
            self._check_discretion(document, makers, (*loc, "actions"))
        return Rule(
            entry.name,
            document.file,
            line,
            condition,
            makers,
            entry.enabled,
            entry.mode == "audit",
            entry.on_match == "stop",
            entry.on_no_match == "stop",
            OnError(entry.on_error),
            self._schedule(document, entry.active, (*loc, "active")),
            named_kinds(entry.when),
            entry.splitting == "on",
            frozenset(self._conditions.asks),
            frozenset(group.lower() for group in entry.pilot or ()),
        )

    def _check_discretion(self, document: Document, makers: Collection[ActionMaker], loc: Loc) -> None:
        """What shapes the content by the number of hidden recipients would tell of them."""
        shaping = next((maker for maker in makers if maker.changes_content), None)
        if shaping is not None:
            kind = shaping.source.partition(":")[0]
            what = f"by: envelope counts hidden recipients, and {kind} would tell of them"
            self._problem(document, loc, what, "count by: header, or leave the content as it is")

    def _problem(self, document: Document, loc: Loc, what: str, mend: str) -> None:
        self.problems.append(document.problem(loc, what, mend))

    def _condition(self, document: Document, entry: RuleEntry, loc: Loc) -> Condition:
        parts: list[Condition] = []
        if entry.direction is not None:
            parts.append(self._conditions.direction(entry.direction))
        if entry.when is not None:
            parts.append(self._conditions.compile(document, entry.when, (*loc, "when")))
        if entry.unless is not None:
            parts.append(Not(self._conditions.compile(document, entry.unless, (*loc, "unless")), "unless"))
        if not parts:
            return Always()
        return parts[0] if len(parts) == 1 else All(parts)

    def _schedule(self, document: Document, written: ActiveTimes | None, loc: Loc) -> Schedule | None:
        if written is None:
            return None
        try:
            return compile_schedule(written)
        except ScheduleError as exc:
            self._problem(document, (*loc, exc.key), str(exc), exc.mend)
            return None
