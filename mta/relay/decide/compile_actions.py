"""Makes actions of what a rule file says, and reports what makes no sense, each at its place.

One method for each action of `ActionEntry`, by the same name. An action may come to several makers, or to none where it
was reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mta.config.explain_errors import closest
from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc
from mta.model import actions as model
from mta.relay.decide.action_schema import (
    ActionEntry,
    DeferAction,
    DropAction,
    HoldAction,
    RejectAction,
    RemoveHeaderAction,
    RouteAction,
    SetHeaderAction,
    StampAction,
    TagSubjectAction,
)
from mta.relay.decide.actions import ActionMaker, Fixed, RenderedHeader, StampForRecipient, is_protected
from mta.relay.decide.header_values import HeaderValueError, compile_value
from mta.relay.decide.message_tests import is_field_name
from mta.relay.decide.rule_schema import RuleEntry
from mta.relay.decide.surroundings import Surroundings

Makers = Iterator[ActionMaker]


class ActionCompiler:
    """Compiles the actions of one rule set."""

    def __init__(self, surroundings: Surroundings, problems: list[Problem]) -> None:
        self._surroundings = surroundings
        self._problems = problems

    def makers(self, document: Document, entry: RuleEntry, loc: Loc) -> Makers:
        """What a rule's `actions` come to, in their order. Problems go to `problems`."""
        for n, written in enumerate(entry.actions):
            yield from _OfRule(self._surroundings, self._problems, document, entry).of(written, (*loc, n))


class _OfRule:
    """The actions of one rule."""

    def __init__(
        self, surroundings: Surroundings, problems: list[Problem], document: Document, entry: RuleEntry
    ) -> None:
        self._surroundings = surroundings
        self._problems = problems
        self._document = document
        self._rule = entry.name
        self._on_error = model.OnError(entry.on_error)

    def of(self, entry: ActionEntry, loc: Loc) -> Makers:
        """The makers of one action."""
        for name, field in ActionEntry.model_fields.items():
            if (written := getattr(entry, name)) is not None:
                compile_it: Callable[[Any, Loc], Makers] = getattr(self, name)
                yield from compile_it(written, (*loc, field.alias or name))

    def _problem(self, loc: Loc, what: str, mend: str) -> None:
        self._problems.append(self._document.problem(loc, what, mend))

    # --- the content --------------------------------------------------------------------------------------------------

    def stamp(self, written: StampAction, loc: Loc) -> Makers:
        templates = self._surroundings.templates
        if not self._check_template(written.template, (*loc, "template")):
            return
        stamp = model.Stamp(
            rule=self._rule,
            template=written.template,
            place=model.Place(written.place),
            once=model.Once(written.once),
            formats=written.formats,
            on_error=self._on_error,
        )
        if templates is not None and templates.uses_recipient(written.template):
            yield StampForRecipient(stamp)
        else:
            yield Fixed(stamp, f"stamp: {written.template}")

    def _check_template(self, name: str, loc: Loc) -> bool:
        templates = self._surroundings.templates
        known = templates is None or name in templates.names()
        if templates is not None and not known:
            self._problem(loc, f"there is no template {name!r}", closest(name, templates.names()))
        return known

    def tag_subject(self, written: TagSubjectAction, loc: Loc) -> Makers:
        action = model.TagSubject(rule=self._rule, text=written.text, where=written.where)
        yield Fixed(action, f"tag-subject: {written.text}")

    def set_header(self, written: SetHeaderAction, loc: Loc) -> Makers:
        self._check_field(written.name, (*loc, "name"))
        around = self._surroundings
        try:
            value = compile_value(written.value, around.attributes, around.organisation)
        except HeaderValueError as exc:
            self._problem((*loc, "value"), str(exc), exc.mend)
            return
        yield RenderedHeader(written.name, value, self._rule)

    def remove_header(self, written: RemoveHeaderAction, loc: Loc) -> Makers:
        self._check_field(written.name, (*loc, "name"))
        yield Fixed(model.RemoveHeader(rule=self._rule, name=written.name), f"remove-header: {written.name}")

    def _check_field(self, name: str, loc: Loc) -> None:
        if not is_field_name(name):
            self._problem(loc, f"{name!r} is no header name", "write a name such as X-Department")
        elif is_protected(name):
            mend = "use tag-subject" if name.lower() == "subject" else "choose another header, such as X-…"
            self._problem(loc, f"{name} can't be changed: every copy keeps it as it was", mend)

    # --- whether and where it goes ------------------------------------------------------------------------------------

    def reject(self, written: RejectAction, loc: Loc) -> Makers:
        action = model.Reject(rule=self._rule, code=written.code, status=written.status, text=written.text)
        yield Fixed(action, f"reject: {written.code} {written.status} {written.text}")

    def defer(self, written: DeferAction, loc: Loc) -> Makers:
        yield Fixed(model.Defer(rule=self._rule, text=written.text), f"defer: {written.text}")

    def drop(self, written: DropAction, loc: Loc) -> Makers:
        yield Fixed(model.Drop(rule=self._rule), "drop")

    def hold(self, written: HoldAction, loc: Loc) -> Makers:
        yield Fixed(model.Hold(rule=self._rule, reason=written.reason), "hold")

    def route(self, written: RouteAction, loc: Loc) -> Makers:
        hops = self._surroundings.next_hops
        if hops is not None and written.next_hop not in hops:
            what = f"no next hop is called {written.next_hop!r}"
            self._problem((*loc, "next_hop"), what, closest(written.next_hop, hops))
        yield Fixed(model.Route(rule=self._rule, next_hop=written.next_hop), f"route: {written.next_hop}")
