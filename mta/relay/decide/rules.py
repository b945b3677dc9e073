"""Typed rules, made from the YAML files of a folder in the order of their names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from mta.config.explain_errors import closest
from mta.config.load import validate
from mta.config.problems import ConfigurationError, Problem
from mta.config.yaml_values import Document, Loc, read_document
from mta.model import decision as model
from mta.model.decision import OnError
from mta.relay.decide.actions import ActionMaker, Fixed, RenderedHeader, StampForRecipient, is_protected
from mta.relay.decide.compile_conditions import ConditionCompiler
from mta.relay.decide.conditions import All, Always, Condition, Not
from mta.relay.decide.header_values import HeaderValueError, compile_value
from mta.relay.decide.message_tests import is_field_name
from mta.relay.decide.rule_schema import (
    ActionEntry,
    ActiveTimes,
    Conditions,
    RuleEntry,
    RuleFile,
    SetHeaderAction,
    StampAction,
)
from mta.relay.decide.schedule import Schedule, ScheduleError, compile_schedule


class TemplateCatalogue(Protocol):
    """What deciding needs to know of the templates."""

    def names(self) -> frozenset[str]: ...

    def uses_recipient(self, name: str) -> bool:
        """Whether the template speaks of the recipient, so that each recipient gets a copy of their own."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules may name. None means that it isn't known, so that such names aren't checked."""

    templates: TemplateCatalogue | None = None
    groups: frozenset[str] | None = None
    """The directory's groups, lower case."""
    next_hops: frozenset[str] | None = None
    attributes: frozenset[str] | None = None
    """The directory's attribute names."""
    organisation: Mapping[str, str] | None = None
    """The organisation's attributes."""


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


class RuleSet:
    """The rules in their order."""

    def __init__(self, rules: Collection[Rule]) -> None:
        self.rules = tuple(rules)
        self.enabled = tuple(rule for rule in rules if rule.enabled)

    def __len__(self) -> int:
        return len(self.rules)


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder, in order. Raises ConfigurationError."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as exc:
        raise ConfigurationError([Problem(folder, 0, 0, f"cannot read: {exc.strerror}", "correct the path")]) from exc
    wrong = [path for path in paths if path.suffix == ".yml"]
    if wrong:
        problems = [Problem(path, 0, 0, "would not be read", f"rename it to {path.stem}.yaml") for path in wrong]
        raise ConfigurationError(problems)
    return [path for path in paths if path.suffix == ".yaml"]


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
        self._surroundings = surroundings
        self._conditions = ConditionCompiler(surroundings.groups, surroundings.attributes)
        self.problems = self._conditions.problems
        self._names: dict[str, str] = {}

    def file(self, path: Path) -> list[Rule]:
        """The rules of one file; where a rule doesn't fit the schema, the others are looked at all the same."""
        try:
            document = read_document(path)
        except ConfigurationError as exc:
            self.problems += exc.problems
            return []
        try:
            entries = dict(enumerate(validate(document, RuleFile).value.rules))
        except ConfigurationError as exc:
            self.problems += exc.problems
            entries = _sound_entries(document.value)
        return [self._rule(document, entry, ("rules", n)) for n, entry in entries.items()]

    def _rule(self, document: Document, entry: RuleEntry, loc: Loc) -> Rule:
        line, _ = document.place((*loc, "name"))
        here = f"{document.file.name}, line {line}"
        if entry.name in self._names:
            self._problem(
                document, (*loc, "name"), f"rule {entry.name!r} stands in {self._names[entry.name]} too", "rename one"
            )
        self._names[entry.name] = here
        return Rule(
            entry.name,
            document.file,
            line,
            self._condition(document, entry, loc),
            tuple(self._actions(document, entry, loc)),
            entry.enabled,
            entry.mode == "audit",
            entry.on_match == "stop",
            entry.on_no_match == "stop",
            OnError(entry.on_error),
            self._schedule(document, entry.active, (*loc, "active")),
            frozenset(_named_kinds(entry.when)) if entry.when is not None else frozenset(),
        )

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

    # --- actions ------------------------------------------------------------------------------------------------------

    def _actions(self, document: Document, entry: RuleEntry, loc: Loc) -> Iterator[ActionMaker]:
        for n, written in enumerate(entry.actions):
            maker = self._action(document, entry, written, (*loc, "actions", n))
            if maker is not None:
                yield maker

    def _action(self, document: Document, entry: RuleEntry, written: ActionEntry, loc: Loc) -> ActionMaker | None:
        rule = entry.name
        if written.stamp is not None:
            return self._stamp(document, entry, written.stamp, (*loc, "stamp"))
        if written.set_header is not None:
            return self._set_header(document, rule, written.set_header, (*loc, "set-header"))
        if (tag := written.tag_subject) is not None:
            return Fixed(model.TagSubject(rule=rule, text=tag.text, where=tag.where), f"tag-subject: {tag.text}")
        if (removed := written.remove_header) is not None:
            self._check_field(document, removed.name, (*loc, "remove-header", "name"))
            return Fixed(model.RemoveHeader(rule=rule, name=removed.name), f"remove-header: {removed.name}")
        if (reject := written.reject) is not None:
            action = model.Reject(rule=rule, code=reject.code, status=reject.status, text=reject.text)
            return Fixed(action, f"reject: {reject.code} {reject.status} {reject.text}")
        if written.defer is not None:
            return Fixed(model.Defer(rule=rule, text=written.defer.text), f"defer: {written.defer.text}")
        if written.hold is not None:
            return Fixed(model.Hold(rule=rule, reason=written.hold.reason), "hold")
        if (route := written.route) is not None:
            hops = self._surroundings.next_hops
            if hops is not None and route.next_hop not in hops:
                place = (*loc, "route", "next_hop")
                self._problem(
                    document, place, f"no next hop is called {route.next_hop!r}", closest(route.next_hop, hops)
                )
            return Fixed(model.Route(rule=rule, next_hop=route.next_hop), f"route: {route.next_hop}")
        return Fixed(model.Drop(rule=rule), "drop")

    def _stamp(self, document: Document, entry: RuleEntry, written: StampAction, loc: Loc) -> ActionMaker | None:
        templates = self._surroundings.templates
        if templates is not None and written.template not in templates.names():
            what = f"there is no template {written.template!r}"
            self._problem(document, (*loc, "template"), what, closest(written.template, templates.names()))
            return None
        stamp = model.Stamp(
            rule=entry.name,
            template=written.template,
            place=model.Place(written.place),
            once=model.Once(written.once),
            formats=written.formats,
            on_error=OnError(entry.on_error),
        )
        if templates is not None and templates.uses_recipient(written.template):
            return StampForRecipient(stamp)
        return Fixed(stamp, f"stamp: {written.template}")

    def _set_header(self, document: Document, rule: str, written: SetHeaderAction, loc: Loc) -> ActionMaker | None:
        self._check_field(document, written.name, (*loc, "name"))
        around = self._surroundings
        try:
            value = compile_value(written.value, around.attributes, around.organisation)
        except HeaderValueError as exc:
            self._problem(document, (*loc, "value"), str(exc), exc.mend)
            return None
        return RenderedHeader(written.name, value, rule)

    def _check_field(self, document: Document, name: str, loc: Loc) -> None:
        if not is_field_name(name):
            self._problem(document, loc, f"{name!r} is no header name", "write a name such as X-Department")
        elif is_protected(name):
            mend = "use tag-subject" if name.lower() == "subject" else "choose another header, such as X-…"
            self._problem(document, loc, f"{name} can't be changed: every copy keeps it as it was", mend)


def _sound_entries(value: object) -> dict[int, RuleEntry]:
    """The rules of a file that fit the schema by themselves, by position."""
    written = value.get("rules") if isinstance(value, dict) else None
    entries: dict[int, RuleEntry] = {}
    for n, entry in enumerate(written if isinstance(written, list) else []):
        with suppress(ValidationError):
            entries[n] = RuleEntry.model_validate(entry)
    return entries


def _named_kinds(written: Conditions) -> Iterator[str]:
    """Kinds that a condition asks for; those behind `not` are not asked for."""
    yield from written.kind or ()
    for part in (*(written.all or ()), *(written.any or ())):
        yield from _named_kinds(part)
