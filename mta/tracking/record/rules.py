"""Business rules, made from the YAML files of a folder in the order of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mta.config.problems import ConfigurationError, Problem
from mta.config.rule_files import read_rules, rule_files
from mta.config.tracking_schema import TrackingSettings
from mta.config.yaml_values import Document, Loc
from mta.model.record import Record
from mta.tracking.record.actions import Action
from mta.tracking.record.compile_actions import ActionCompiler
from mta.tracking.record.compile_conditions import ConditionCompiler
from mta.tracking.record.conditions import All, Always, Condition, Not, Times
from mta.tracking.record.draft import Draft
from mta.tracking.record.schema import Conditions, RuleEntry, RuleFile


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to run."""

    name: str
    file: Path
    line: int
    condition: Condition
    actions: tuple[Action, ...]
    enabled: bool
    audit: bool
    stop: bool
    named: frozenset[str]
    """Kinds, outcomes and directions that its conditions ask for by name."""
    times: Times | None = None
    """Of a time-triggered rule."""
    mark: str = ""
    """Names the rule as it is written: by it the store knows for which records it was carried out."""
    asks_who_wrote: bool = False
    """Whether one of its conditions is `sender: {authenticated: …}`."""

    def is_for(self, draft: Draft) -> bool:
        """Whether it may touch such a message: what programs wrote, what one of us sent and what strangers hold a
        reference to are for rules that say so."""
        message = draft.message
        if message is None:
            return True
        return (
            (message.is_personal or not message.kinds.isdisjoint(self.named))
            and (not message.incoming.is_sent or "sent" in self.named)
            and (draft.outcome != "pending" or "pending" in self.named)
        )


class BusinessRules:
    """The rules of one organisation in their order; immutable."""

    def __init__(self, rules: Collection[Rule], advice: Collection[Problem] = ()) -> None:
        self.rules = tuple(rules)
        self.advice = tuple(advice)
        """What stops nothing, and is probably not meant so."""
        self.by_message = tuple(rule for rule in rules if rule.enabled and rule.times is None)
        self.by_time = tuple(rule for rule in rules if rule.enabled and rule.times is not None)
        self.ask_who_wrote = any(rule.asks_who_wrote for rule in self.by_message)

    def __len__(self) -> int:
        return len(self.rules)

    def is_overdue(self, record: Record, now: datetime) -> bool:
        """Whether the time of a time-triggered rule has come for it, carried out or not."""
        return any(rule.times is not None and rule.times.are_over(record, now) for rule in self.by_time)


def load_business_rules(
    folder: Path, settings: TrackingSettings, templates: Collection[str] | None = None
) -> BusinessRules:
    """Read all rules of a folder. `templates`: names of those that are there; None where nobody looked.

    A template that is gone is advice: no mail is to stop because a notice would look otherwise.
    Raises ConfigurationError with every problem of all files.
    """
    loader = _Loader(settings, templates)
    rules = [rule for path in rule_files(folder) for rule in loader.file(path)]
    if loader.problems:
        raise ConfigurationError(sorted(set(loader.problems)))
    return BusinessRules(rules, sorted(set(loader.advice)))


class _Loader:
    def __init__(self, settings: TrackingSettings, templates: Collection[str] | None) -> None:
        self._settings = settings
        self._templates = templates
        self._names: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.advice: list[Problem] = []

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
        def report(where: Loc, what: str, mend: str) -> None:
            self.problems.append(document.problem(where, what, mend))

        def advise(where: Loc, what: str, mend: str) -> None:
            self.advice.append(document.problem(where, what, mend))

        line, _ = document.place((*loc, "name"))
        if entry.name in self._names:
            report((*loc, "name"), f"rule {entry.name!r} stands in {self._names[entry.name]} too", "rename one")
        self._names[entry.name] = f"{document.file.name}, line {line}"
        times = _times(entry.when)
        conditions = ConditionCompiler(self._settings, report, by_time=times is not None)
        actions = ActionCompiler(self._settings, self._templates, report, advise, by_time=times is not None)
        if times is not None and not times.states:
            report(
                (*loc, "when"), "a rule with older_than or unchanged_for has to say for which states", "add state: open"
            )
        if not entry.actions and entry.on_match != "stop":
            report(loc, "does nothing", "write actions, or on_match: stop")
        return Rule(
            entry.name,
            document.file,
            line,
            _condition(conditions, entry, loc),
            tuple(actions.compile(entry.actions, (*loc, "actions"))),
            entry.enabled,
            entry.mode == "audit",
            entry.on_match == "stop",
            frozenset(_named(entry.when)) if entry.when is not None else frozenset(),
            times,
            f"{entry.name}#{hashlib.sha256(entry.model_dump_json().encode()).hexdigest()[:8]}",
            any(_asks_who_wrote(each) for each in (entry.when, entry.unless) if each is not None),
        )


def _condition(compiler: ConditionCompiler, entry: RuleEntry, loc: Loc) -> Condition:
    parts: list[Condition] = []
    if entry.when is not None:
        parts.append(compiler.compile(entry.when, (*loc, "when")))
    if entry.unless is not None:
        parts.append(Not(compiler.compile(entry.unless, (*loc, "unless")), "unless"))
    if not parts:
        return Always()
    return parts[0] if len(parts) == 1 else All(parts)


def _times(written: Conditions | None) -> Times | None:
    if written is None or (written.older_than is None and written.unchanged_for is None):
        return None
    return Times(written.older_than, written.unchanged_for, written.state or (), written.module or ())


def _named(written: Conditions) -> Iterator[str]:
    """What a condition asks for; what is behind `not` is not asked for."""
    yield from written.kind or ()
    yield from written.outcome or ()
    yield from written.direction or ()
    for part in (*(written.all or ()), *(written.any or ())):
        yield from _named(part)


def _asks_who_wrote(written: Conditions) -> bool:
    if written.sender is not None and written.sender.authenticated is not None:
        return True
    parts = (*(written.all or ()), *(written.any or ()), *([written.not_] if written.not_ is not None else ()))
    return any(map(_asks_who_wrote, parts))
