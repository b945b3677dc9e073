"""What compiling any action of a rule needs: where it stands, what it may name, and where problems go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mta.config.explain_errors import closest
from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc
from mta.model import actions as model
from mta.relay.decide.actions.address_values import AddressValue, compile_address
from mta.relay.decide.actions.header_values import ActionError, HeaderValue, compile_value
from mta.relay.decide.actions.makers import ActionMaker
from mta.relay.decide.conditions.schema import named_kinds
from mta.relay.decide.rule_schema import RuleEntry
from mta.relay.decide.surroundings import Surroundings

Makers = Iterator[ActionMaker]


class RuleActions:
    """The actions of one rule."""

    def __init__(
        self, surroundings: Surroundings, problems: list[Problem], document: Document, entry: RuleEntry
    ) -> None:
        self._surroundings = surroundings
        self._problems = problems
        self._document = document
        self._rule = entry.name
        self._on_error = model.OnError(entry.on_error)
        self._kinds = named_kinds(entry.when)

    def _problem(self, loc: Loc, what: str, mend: str) -> None:
        self._problems.append(self._document.problem(loc, what, mend))

    def _check_template(self, name: str, loc: Loc) -> bool:
        templates = self._surroundings.templates
        known = templates is None or name in templates.names()
        if templates is not None and not known:
            self._problem(loc, f"there is no template {name!r}", closest(name, templates.names()))
        elif templates is not None and templates.speaks_of_records(name):
            what = f"template {name!r} speaks of records, of which only business rules know"
            self._problem(loc, what, "choose another, or name it in a rule of tracking")
        return known

    def _speaks_of_recipient(self, template: str) -> bool:
        templates = self._surroundings.templates
        return templates is not None and templates.uses_recipient(template)

    def _check_next_hop(self, name: str, loc: Loc) -> None:
        hops = self._surroundings.next_hops
        if hops is not None and name not in hops:
            self._problem(loc, f"no next hop is called {name!r}", closest(name, hops))

    def _value(self, text: str | None, loc: Loc) -> HeaderValue | None:
        """A text that may be a template; None where there is none, or it was reported."""
        if text is None:
            return None
        try:
            return compile_value(text, self._surroundings.attributes, self._surroundings.organisation)
        except ActionError as exc:
            self._problem(loc, str(exc), exc.mend)
            return None

    def _address(self, text: str | None, loc: Loc) -> AddressValue | None:
        """Somebody; None where there is nobody, or it was reported."""
        if text is None:
            return None
        try:
            return compile_address(text, self._surroundings.attributes, self._surroundings.organisation)
        except ActionError as exc:
            self._problem(loc, str(exc), exc.mend)
            return None

    def _addresses(self, texts: Sequence[str], loc: Loc) -> list[AddressValue]:
        """All of them; those reported are left out."""
        found = [self._address(text, (*loc, n)) for n, text in enumerate(texts)]
        return [value for value in found if value is not None]
