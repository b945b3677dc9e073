"""Makes conditions of what a rule file says, and reports what makes no sense, each at its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mta.config.explain_errors import closest
from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc
from mta.model.address import AddressError, domain_key, parse_address
from mta.model.decision import Direction
from mta.relay.decide import message_tests
from mta.relay.decide.condition_schema import (
    AttributeTest,
    Conditions,
    HeaderTests,
    OneRecipientTests,
    RecipientTests,
    SenderTests,
    SubjectTests,
)
from mta.relay.decide.conditions import (
    All,
    Any,
    AnyRecipient,
    Condition,
    DirectionIs,
    EveryRecipient,
    MessageTest,
    Not,
    RecipientIs,
    SenderIs,
)
from mta.relay.decide.parties import (
    AddressIs,
    AttributeEmpty,
    AttributeEquals,
    AttributeMatches,
    DomainIs,
    InGroup,
    IsDisabled,
    PartyTest,
    PersonIs,
    RoleIs,
    ScopeIs,
)
from mta.relay.decide.patterns import Pattern, PatternError, compile_regex, has_wildcard

DEPTH_MAX = 10
"""Levels of all, any and not inside each other."""

C = TypeVar("C", SenderIs, RecipientIs, MessageTest)


class ConditionCompiler:
    """Compiles the conditions of one rule set; equal tests become one object, which runs once for each message.

    `groups` and `attributes` are the directory's (group names in lower case), None where it can't list them.
    """

    def __init__(self, groups: frozenset[str] | None, attributes: frozenset[str] | None) -> None:
        self.problems: list[Problem] = []
        self._groups = groups
        self._attributes = attributes
        self._document: Document | None = None
        self._shared: dict[str, Condition] = {}

    def compile(self, document: Document, conditions: Conditions, loc: Loc) -> Condition:
        """The conditions that stand at `loc` of a rule file. Problems go to `problems`."""
        self._document = document
        return self._conditions(conditions, loc, 1)

    def direction(self, names: Sequence[str]) -> Condition:
        return DirectionIs([Direction(name) for name in names])

    def _problem(self, loc: Loc, what: str, mend: str) -> None:
        assert self._document is not None
        self.problems.append(self._document.problem(loc, what, mend))

    def _conditions(self, written: Conditions, loc: Loc, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            self._problem(loc, f"conditions are nested deeper than {DEPTH_MAX} levels", "split the rule")
            return All([])
        return _together(list(self._parts(written, loc, depth)))

    def _parts(self, written: Conditions, loc: Loc, depth: int) -> Iterator[Condition]:
        """In the order of the schema, which is also the order of an explanation."""
        for key, combine in (("all", All), ("any", Any)):
            if parts := getattr(written, key):
                yield combine([self._conditions(part, (*loc, key, n), depth + 1) for n, part in enumerate(parts)])
        if written.not_ is not None:
            yield Not(self._conditions(written.not_, (*loc, "not"), depth + 1))
        if written.direction is not None:
            yield self.direction(written.direction)
        if written.sender is not None:
            yield from (self._share(SenderIs(test)) for test in self._party(written.sender, (*loc, "sender")))
        if written.recipient is not None:
            yield from self._recipient(written.recipient, (*loc, "recipient"))
        yield from self._message(written, loc)

    def _message(self, written: Conditions, loc: Loc) -> Iterator[Condition]:
        tests: list[MessageTest] = []
        if written.kind is not None:
            tests.append(message_tests.kind(written.kind))
        if written.size is not None:
            tests.append(message_tests.size(written.size))
        if written.subject is not None:
            tests += self._subject(written.subject, (*loc, "subject"))
        if written.header is not None:
            tests += self._header(written.header, (*loc, "header"))
        if written.attachments is not None:
            tests += message_tests.attachments(written.attachments)
        for test in tests:
            yield self._share(test)

    def _share(self, condition: C) -> C:
        known = self._shared.setdefault(condition.source, condition)
        # One source, one class: every source begins with the words for what it tests.
        assert isinstance(known, type(condition))
        return known

    # --- sender and recipient -----------------------------------------------------------------------------------------

    def _recipient(self, written: RecipientTests, loc: Loc) -> Iterator[Condition]:
        yield from self._one_recipient(written, loc)
        if written.this is not None:
            yield from self._one_recipient(written.this, (*loc, "this"))
        for key, quantifier in (("any", AnyRecipient), ("every", EveryRecipient)):
            inner: OneRecipientTests | None = getattr(written, key)
            if inner is not None:
                part = _together(list(self._one_recipient(inner, (*loc, key))))
                sources = [test.source for test in (part.parts if isinstance(part, All) else [part])]
                names = ", ".join(source.removeprefix("recipient.") for source in sources)
                yield quantifier(part, f"recipient.{key}: {names}")

    def _one_recipient(self, written: OneRecipientTests, loc: Loc) -> Iterator[Condition]:
        for test in self._party(written, loc):
            yield self._share(RecipientIs(test))
        if written.role is not None:
            yield self._share(RecipientIs(RoleIs(written.role)))

    def _party(self, written: SenderTests, loc: Loc) -> Iterator[PartyTest]:
        if written.scope is not None:
            yield ScopeIs(written.scope)
        if written.domain is not None:
            self._check_domains(written.domain, (*loc, "domain"))
            yield DomainIs(written.domain, f"domain: {', '.join(written.domain)}")
        if written.group is not None:
            self._check_groups(written.group, (*loc, "group"))
            yield InGroup(written.group, f"group: {', '.join(written.group)}")
        if written.address is not None:
            yield self._address(written.address, (*loc, "address"))
        if written.person is not None:
            keys = [self._key(text, (*loc, "person", n)) for n, text in enumerate(written.person)]
            yield PersonIs(keys, f"person: {', '.join(written.person)}")
        if written.disabled is not None:
            yield IsDisabled(disabled=written.disabled)
        if written.attribute is not None:
            yield self._attribute(written.attribute, (*loc, "attribute"))

    def _check_domains(self, names: Sequence[str], loc: Loc) -> None:
        for n, name in enumerate(names):
            try:
                parse_address(f"x@{name.replace('*', 'x').replace('?', 'x')}")
            except AddressError as exc:
                self._problem((*loc, n), f"{name!r} is no domain: {exc}", "write example.com, or *.example.com")

    def _check_groups(self, names: Sequence[str], loc: Loc) -> None:
        for n, name in enumerate(names):
            if self._groups is not None and name.lower() not in self._groups:
                self._problem((*loc, n), f"the directory has no group {name!r}", closest(name, self._groups))

    def _address(self, texts: Sequence[str], loc: Loc) -> AddressIs:
        exact: list[str] = []
        patterns: list[str] = []
        for n, text in enumerate(texts):
            if has_wildcard(text):
                local, at, domain = text.lower().rpartition("@")
                patterns.append(f"{local}{at}{domain_key(domain)}")
                if not at:
                    self._problem((*loc, n), f"{text!r} has no @", "write it as *@example.com")
            else:
                exact.append(self._key(text, (*loc, n)))
        return AddressIs(exact, patterns, f"address: {', '.join(texts)}")

    def _key(self, text: str, loc: Loc) -> str:
        try:
            return parse_address(text).key
        except AddressError as exc:
            self._problem(loc, f"{text!r} is no address: {exc}", "write it as jane@example.com")
            return text

    def _attribute(self, written: AttributeTest, loc: Loc) -> PartyTest:
        name = written.name
        if self._attributes is not None and name not in self._attributes:
            self._problem((*loc, "name"), f"the directory has no attribute {name!r}", closest(name, self._attributes))
        if written.equals is not None:
            return AttributeEquals(name, written.equals, f"attribute.{name} equals {', '.join(written.equals)}")
        if written.matches is not None:
            pattern = self._regex(written.matches, (*loc, "matches"))
            return AttributeMatches(name, pattern, f"attribute.{name} matches {written.matches}")
        empty = bool(written.empty)
        return AttributeEmpty(name, f"attribute.{name} empty: {str(empty).lower()}", empty=empty)

    # --- the message --------------------------------------------------------------------------------------------------

    def _regex(self, text: str, loc: Loc) -> Pattern:
        try:
            return compile_regex(text)
        except PatternError as exc:
            self._problem(loc, str(exc), exc.mend)
            return compile_regex("")

    def _regexes(self, texts: Sequence[str], loc: Loc) -> list[Pattern]:
        return [self._regex(text, (*loc, n)) for n, text in enumerate(texts)]

    def _texts(self, texts: Sequence[str] | None, loc: Loc) -> None:
        for n, text in enumerate(texts or ()):
            if not text.strip(" *?"):
                self._problem((*loc, n), f"{text!r} would match any text", "write the words to look for")

    def _subject(self, written: SubjectTests, loc: Loc) -> Iterator[MessageTest]:
        self._texts(written.phrase, (*loc, "phrase"))
        self._texts(written.keywords, (*loc, "keywords"))
        if written.phrase is not None:
            yield message_tests.subject_phrase(written.phrase)
        if written.keywords is not None:
            yield message_tests.subject_keywords(written.keywords)
        if written.regex is not None:
            yield message_tests.subject_regex(written.regex, self._regexes(written.regex, (*loc, "regex")))
        if written.empty is not None:
            yield message_tests.subject_empty(empty=written.empty)

    def _header(self, written: HeaderTests, loc: Loc) -> Iterator[MessageTest]:
        if not message_tests.is_field_name(written.name):
            self._problem((*loc, "name"), f"{written.name!r} is no header name", "write a name such as X-Spam-Flag")
        self._texts(written.contains, (*loc, "contains"))
        patterns = self._regexes(written.matches or (), (*loc, "matches"))
        yield message_tests.header(written, patterns)


def _together(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else All(parts)
