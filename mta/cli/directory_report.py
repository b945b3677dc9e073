"""Who lacks what the templates print of people: worked out from templates, rules and the directory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mta.model.actions import Stamp
from mta.model.person import Person
from mta.relay.book import Book
from mta.relay.decide.actions.makers import Fixed, StampForRecipient
from mta.relay.stamp.templates.template_set import TemplateSet

_ALWAYS_THERE = frozenset(("address", "mail"))


@dataclass(frozen=True, slots=True)
class Field:
    """A value that templates print, such as `sender.title`, and that somebody lacks."""

    name: str
    lacked_by: int
    templates: tuple[str, ...]
    rules: tuple[str, ...]
    """Those that stamp one of the templates."""


@dataclass(frozen=True, slots=True)
class Report:
    """One organisation's; `lacking` is by address."""

    organisation: str
    people: int
    left_out: int
    fields: tuple[Field, ...]
    lacking: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, object]:
        return {
            "organisation": self.organisation,
            "people": self.people,
            "left_out": self.left_out,
            "fields": [
                {
                    "name": field.name,
                    "lacked_by": field.lacked_by,
                    "templates": list(field.templates),
                    "rules": list(field.rules),
                }
                for field in self.fields
            ],
            "lacking": {address: list(fields) for address, fields in self.lacking.items()},
        }


def wanted_values(templates: TemplateSet, name: str) -> Iterator[str]:
    """What a template prints of the sender and the sender's manager and has no default for."""
    defaults = templates.template(name).missing.defaults
    for value in sorted(templates.variables(name)):
        base, _, attribute = value.partition(".")
        if base in ("sender", "manager") and attribute not in _ALWAYS_THERE and value not in defaults:
            yield value


def lacking(templates: TemplateSet, person: Person, manager: Person | None) -> dict[str, tuple[str, ...]]:
    """What is missing when that person is the sender, by template; those that lack nothing are left out."""
    present = {"sender": _present(person), "manager": _present(manager)}
    found = {
        name: tuple(value for value in wanted_values(templates, name) if not _has(present, value))
        for name in sorted(templates.names())
    }
    return {name: values for name, values in found.items() if values}


def _has(present: Mapping[str, frozenset[str]], value: str) -> bool:
    base, _, attribute = value.partition(".")
    return attribute in present[base]


def _present(person: Person | None) -> frozenset[str]:
    """Names of what a person has."""
    if person is None:
        return frozenset()
    names = {name for name, value in person.attributes.items() if value.strip()}
    return frozenset(names | {"photo"} if person.photo else names)


@dataclass(frozen=True, slots=True)
class _Seen:
    address: str
    present: frozenset[str]
    manager: str | None


class ReportMaker:
    """Takes people one by one, so that a large directory never stands in memory whole."""

    def __init__(self, book: Book, templates: Collection[str] = ()) -> None:
        """Of these templates, or of all."""
        self.read = 0
        self._book = book
        self._wanted: dict[str, tuple[str, ...]] = {}
        """Value → the templates that print it."""
        for name in sorted(templates or book.templates.names()):
            for value in wanted_values(book.templates, name):
                self._wanted[value] = (*self._wanted.get(value, ()), name)
        self._names = frozenset(value.partition(".")[2] for value in self._wanted)
        self._seen: list[_Seen] = []
        self._present: dict[str, frozenset[str]] = {}

    def add(self, person: Person) -> None:
        """Whom it leaves out as a sender may still be a manager."""
        self.read += 1
        present = _present(person) & self._names
        for key in (person.address, *person.aliases):
            self._present[key] = present
        if not (person.is_contact or person.disabled or person.group_name):
            self._seen.append(_Seen(person.address, present, person.manager))

    def report(self) -> Report:
        """The result, people by address."""
        found: dict[str, tuple[str, ...]] = {}
        counts = dict.fromkeys(self._wanted, 0)
        for seen in sorted(self._seen, key=lambda each: each.address):
            present = {"sender": seen.present, "manager": self._present.get(seen.manager or "", frozenset())}
            lacked = tuple(value for value in sorted(self._wanted) if not _has(present, value))
            for value in lacked:
                counts[value] += 1
            if lacked:
                found[seen.address] = lacked
        rules = _rules_by_template(self._book)
        fields = [
            Field(value, count, self._wanted[value], _rules_of(self._wanted[value], rules))
            for value, count in counts.items()
            if count
        ]
        fields.sort(key=lambda field: (-field.lacked_by, field.name))
        return Report(self._book.name, len(self._seen), self.read - len(self._seen), tuple(fields), found)


def _rules_of(templates: tuple[str, ...], rules: Mapping[str, list[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule for template in templates for rule in rules.get(template, ())))


def _rules_by_template(book: Book) -> dict[str, list[str]]:
    rules: dict[str, list[str]] = {}
    for rule in book.rules.enabled:
        for maker in rule.actions:
            if isinstance(maker, Fixed | StampForRecipient) and isinstance(maker.action, Stamp):
                rules.setdefault(maker.action.template, []).append(rule.name)
    return rules
