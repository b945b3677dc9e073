"""Values of `set-header`: texts, or jinja2 templates that are rendered when the rule is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jinja2 import ChainableUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mta.config.explain_errors import closest
from mta.message.headers import addresses
from mta.model.person import Person
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party

VALUE_MAX = 900
"""Characters of a rendered value: the field stays under the 998 octets of RFC 5322 §2.1.1 in one line of ASCII."""
NAMES = frozenset({"sender", "recipient", "manager", "message", "organisation", "rule", "now"})
_OF_SENDER = frozenset({"sender", "manager", "organisation", "rule"})
_SENDERS_MAX = 1000
_PEOPLE = frozenset({"sender", "recipient", "manager"})
_PERSON_VALUES = frozenset({"address", "mail"})
_MESSAGE_VALUES = frozenset({"subject", "from", "message_id"})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


_FILTERS = (
    "capitalize",
    "d",
    "default",
    "first",
    "last",
    "length",
    "lower",
    "replace",
    "title",
    "trim",
    "truncate",
    "upper",
)
_NOW_CALLS = frozenset({"strftime", "isoformat"})
_NO_PLACE: dict[type[nodes.Node], str] = {
    nodes.For: "a loop", nodes.Macro: "a macro", nodes.Include: "include", nodes.Import: "import",
    nodes.FromImport: "import", nodes.Extends: "extends", nodes.Mul: "*", nodes.Pow: "**", nodes.Mod: "%",
}  # fmt: skip


class ActionError(Exception):
    """An action that can't be made; `mend` says what to write in the rule instead."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.mend = mend


class _Environment(ImmutableSandboxedEnvironment):
    """Values only: a header needs neither loops of any length nor other templates."""

    def __init__(self) -> None:
        super().__init__(undefined=ChainableUndefined, autoescape=False)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTERS}


_ENVIRONMENT = _Environment()


class Values:
    """Attributes by name; what isn't there is empty. It has no methods that could be taken for attributes."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[str], str]) -> None:
        self._get = get

    def __getitem__(self, name: str) -> str:
        return self._get(name)


class HeaderValue:
    """A compiled value; `names` are the variables that it uses. With `recipient` it is a value per recipient."""

    __slots__ = ("_by_sender", "_is_of_sender", "_template", "text", "uses_recipient")

    def __init__(self, text: str, template: Template | None, names: Collection[str] = ()) -> None:
        self.text = text
        self._template = template
        self.uses_recipient = "recipient" in names
        self._is_of_sender = _OF_SENDER.issuperset(names)
        self._by_sender: dict[str, tuple[object, str]] = {}

    def render(self, facts: Facts, index: int, rule: str) -> str:
        """One line of text, "" where nothing came out. Raises ActionError."""
        if self._template is None:
            return self.text
        if self.uses_recipient:
            return self._render(self._template, context(facts, index, rule))
        known = facts.rendered.get(self)
        if known is None:
            known = self._for_everyone(self._template, facts, index, rule)
            facts.rendered[self] = known
        return known

    def _for_everyone(self, template: Template, facts: Facts, index: int, rule: str) -> str:
        if not self._is_of_sender or facts.sender is None:
            return self._render(template, context(facts, index, rule))
        # The sender's next message has the same value, as long as the directory knows the same of them.
        key, says = facts.sender.key, (facts.sender.person, _manager(facts), facts.organisation, rule)
        known = self._by_sender.get(key)
        if known is None or known[0] != says:
            if len(self._by_sender) >= _SENDERS_MAX:
                self._by_sender.clear()
            known = self._by_sender[key] = says, self._render(template, context(facts, index, rule))
        return known[1]

    def _render(self, template: Template, values: Mapping[str, Any]) -> str:
        try:
            rendered = template.render(values)
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
            # The sandbox passes on what the template's own operations raise; their texts may hold values.
            raise ActionError(f"the value can't be rendered: {type(exc).__name__}") from exc
        line = one_line(rendered)
        if len(line) > VALUE_MAX:
            raise ActionError(f"the value is longer than {VALUE_MAX} characters")
        return line


def one_line(text: str) -> str:
    """The text without anything that could end a header line: such characters become a space."""
    return _UNPRINTABLE.sub(" ", text).strip()


def compile_value(text: str, attributes: Collection[str] | None, organisation: Collection[str] | None) -> HeaderValue:
    """A value as written in a rule. `attributes` are the directory's, None where unknown. Raises ActionError."""
    if "{" not in text:
        if one_line(text) != text.strip():
            raise ActionError("a header's value is one line of text", "remove line ends and control characters")
        if not 0 < len(text) <= VALUE_MAX:
            raise ActionError(f"a header's value has 1 to {VALUE_MAX} characters", "use remove-header to remove one")
        return HeaderValue(text.strip(), None)
    try:
        tree = _ENVIRONMENT.parse(text)
        # Before it is compiled, for the compiler works out constants such as 'a' * 1000000000.
        _check(tree, attributes, organisation)
        template = _ENVIRONMENT.from_string(text)
    except TemplateSyntaxError as exc:
        raise ActionError(f"template: {exc.message}", "correct it, for example {{ sender.department }}") from exc
    return HeaderValue(text, template, find_undeclared_variables(tree))


def _check(tree: nodes.Template, attributes: Collection[str] | None, organisation: Collection[str] | None) -> None:
    for node in tree.find_all(tuple(_NO_PLACE)):
        raise ActionError(f"{_NO_PLACE[type(node)]} has no place in a header's value", "use if and filters")
    for call in tree.find_all(nodes.Call):
        if not _is_call_of_now(call):
            raise ActionError("calls have no place in a header's value", "use if, filters and now.strftime('%Y')")
    for name in sorted(find_undeclared_variables(tree) - NAMES):
        raise ActionError(f"unknown name {name!r}", closest(name, NAMES))
    for base, attribute in sorted(_uses(tree)):
        known = _known(base, attributes, organisation)
        if known is not None and attribute not in known:
            raise ActionError(f"{base} has no attribute {attribute!r}", closest(attribute, known))


def _is_call_of_now(call: nodes.Call) -> bool:
    called = call.node
    return (
        isinstance(called, nodes.Getattr)
        and isinstance(called.node, nodes.Name)
        and called.node.name == "now"
        and called.attr in _NOW_CALLS
    )


def _known(
    base: str, attributes: Collection[str] | None, organisation: Collection[str] | None
) -> Collection[str] | None:
    if base in _PEOPLE:
        return None if attributes is None else _PERSON_VALUES | set(attributes)
    if base == "message":
        return _MESSAGE_VALUES
    if base == "organisation":
        return None if organisation is None else {"name", *organisation}
    return None


def _uses(tree: nodes.Template) -> set[tuple[str, str]]:
    """Every `name.attribute` of the template."""
    uses: set[tuple[str, str]] = set()
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name):
            uses.add((node.node.name, node.attr))
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
            uses.add((item.node.name, item.arg.value))
    return uses


def context(facts: Facts, index: int, rule: str) -> dict[str, Any]:
    """What a value may use, for one recipient."""
    sender = facts.sender
    manager = sender.person.manager if sender is not None and sender.person is not None else None
    return {
        "sender": _person(sender.key if sender else "", sender.person if sender else None),
        "recipient": _recipient(facts.recipients[index]),
        "manager": _person(manager or "", _manager(facts)),
        "message": Values(lambda name: _message_value(facts, name)),
        "organisation": Values(lambda name: _organisation_value(facts, name)),
        "rule": rule,
        "now": facts.now,
    }


def _manager(facts: Facts) -> Person | None:
    person = facts.sender.person if facts.sender is not None else None
    return facts.people.get(person.manager) if person is not None and person.manager else None


def _recipient(party: Party) -> Values:
    return _person(party.key, party.person)


def _person(key: str, person: Person | None) -> Values:
    def get(name: str) -> str:
        found = person.attributes.get(name, "") if person is not None else ""
        return found or (key if name in _PERSON_VALUES else "")

    return Values(get)


def _message_value(facts: Facts, name: str) -> str:
    if name == "subject":
        return facts.subject
    if name == "message_id":
        return facts.message.message_id
    if name == "from":
        return next((str(mailbox.address) for mailbox in addresses(facts.message, "From")), "")
    return ""


def _organisation_value(facts: Facts, name: str) -> str:
    if name == "name" and "name" not in facts.organisation.attributes:
        return facts.organisation.name
    return facts.organisation.attributes.get(name, "")
