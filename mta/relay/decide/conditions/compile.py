"""Makes conditions of what a rule file says, and reports what makes no sense, each at its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc
from mta.message.patterns.text_patterns import Pattern, PatternError, compile_regex
from mta.model.decision import Direction
from mta.relay.decide.conditions.compile_message_tests import MessageTestCompiler
from mta.relay.decide.conditions.compile_parties import PartyCompiler, PartyCondition
from mta.relay.decide.conditions.condition import All, Any, Condition, DirectionIs, MessageTest, Not
from mta.relay.decide.conditions.party_conditions import AnyRecipient, EveryRecipient
from mta.relay.decide.conditions.party_schema import OneRecipientTests, RecipientTests
from mta.relay.decide.conditions.schema import Conditions
from mta.relay.decide.surroundings import Surroundings

FIRST_CONTACT = "first-contact"
"""Among what a rule asks: whether the sender has written to the recipients before."""
HIDDEN_COUNT = "hidden-count"
"""Among what a rule asks: how many recipients there are with the hidden ones."""
DEPTH_MAX = 10
"""Levels of all, any and not inside each other."""

C = TypeVar("C", bound=MessageTest | PartyCondition)


class ConditionCompiler:
    """Compiles the conditions of one rule set; equal tests become one object, which runs once for each message."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.problems: list[Problem] = []
        self.asks: set[str] = set()
        """What is special about the conditions compiled so far; its user empties it between rules."""
        self._document: Document | None = None
        self._shared: dict[str, Condition] = {}
        self._parties = PartyCompiler(surroundings, self._problem, self._regex)
        self._messages = MessageTestCompiler(surroundings, self._problem, self._regex, self.problems)

    def compile(self, document: Document, conditions: Conditions, loc: Loc) -> Condition:
        """The conditions that stand at `loc` of a rule file. Problems go to `problems`."""
        self._document = document
        return self._conditions(conditions, loc, 1)

    def direction(self, names: Sequence[str]) -> Condition:
        return DirectionIs([Direction(name) for name in names])

    def check_groups(self, document: Document, names: Sequence[str], loc: Loc) -> None:
        """Report groups that the directory doesn't have."""
        self._document = document
        self._parties.check_groups(names, loc)

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
            yield from (self._share(test) for test in self._parties.sender(written.sender, (*loc, "sender")))
        if written.recipient is not None:
            yield from self._recipient(written.recipient, (*loc, "recipient"))
        yield from self._message(written, loc)

    def _message(self, written: Conditions, loc: Loc) -> Iterator[Condition]:
        assert self._document is not None
        if written.recipients is not None and written.recipients.by == "envelope":
            self.asks.add(HIDDEN_COUNT)
        for test in self._messages.tests(written, self._document.file.parent, loc):
            yield self._share(test)

    def _share(self, condition: C) -> C:
        known = self._shared.setdefault(condition.source, condition)
        # One source, one class: every source begins with the words for what it tests.
        assert isinstance(known, type(condition))
        return known

    # --- recipients ---------------------------------------------------------------------------------------------------

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
        if written.first_contact is not None:
            self.asks.add(FIRST_CONTACT)
        return (self._share(test) for test in self._parties.recipient(written, loc))

    # --- the message --------------------------------------------------------------------------------------------------

    def _regex(self, text: str, loc: Loc) -> Pattern:
        try:
            return compile_regex(text)
        except PatternError as exc:
            self._problem(loc, str(exc), exc.mend)
            return compile_regex("")


def _together(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else All(parts)
