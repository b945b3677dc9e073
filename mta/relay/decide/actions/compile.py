"""Makes actions of what a rule file says, and reports what makes no sense, each at its place.

One method for each action of `ActionEntry`, by the same name. An action may come to several makers, or to none where it
was reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mta.config.explain_errors import closest
from mta.config.problems import Problem
from mta.config.yaml_values import Document, Loc
from mta.model import actions as model
from mta.relay.decide.actions.compile_address import AddressActions
from mta.relay.decide.actions.compile_content import ContentActions
from mta.relay.decide.actions.header_values import ActionError
from mta.relay.decide.actions.known_fields import IMPORTANCE, SENSITIVITY, classification_fields
from mta.relay.decide.actions.makers import Fixed, RenderedHeader, StampForRecipient, Tracker, is_protected
from mta.relay.decide.actions.plugins import PluginMaker, load_plugin
from mta.relay.decide.actions.rule_actions import Makers
from mta.relay.decide.actions.schema import (
    ActionEntry,
    DeferAction,
    DkimKeyAction,
    DropAction,
    HoldAction,
    PluginAction,
    RejectAction,
    RemoveHeaderAction,
    RequireTlsAction,
    RouteAction,
    SetClassificationAction,
    SetHeaderAction,
    SetImportanceAction,
    SetSensitivityAction,
    StampAction,
    TagSubjectAction,
    TrackAction,
)
from mta.relay.decide.conditions.message_tests import is_field_name
from mta.relay.decide.rule_schema import RuleEntry
from mta.relay.decide.surroundings import Surroundings

_ACTIONS_FOR = {
    "subject": "tag-subject",
    "from": "rewrite-sender",
    "reply-to": "set-reply-to",
    "to": "add-recipients",
    "cc": "add-recipients",
    "bcc": "forward-copy",
}


class ActionCompiler:
    """Compiles the actions of one rule set."""

    def __init__(self, surroundings: Surroundings, problems: list[Problem]) -> None:
        self._surroundings = surroundings
        self._problems = problems

    def makers(self, document: Document, entry: RuleEntry, loc: Loc) -> Makers:
        """What a rule's `actions` come to, in their order. Problems go to `problems`."""
        rule = _OfRule(self._surroundings, self._problems, document, entry)
        for n, written in enumerate(entry.actions):
            yield from rule.of(written, (*loc, n))
        rule.check_sense(entry.actions, loc)


class _OfRule(AddressActions, ContentActions):
    """The actions of one rule."""

    def of(self, entry: ActionEntry, loc: Loc) -> Makers:
        """The makers of one action."""
        for name, field in ActionEntry.model_fields.items():
            if (written := getattr(entry, name)) is not None:
                compile_it: Callable[[Any, Loc], Makers] = getattr(self, name)
                yield from compile_it(written, (*loc, field.alias or name))

    def check_sense(self, entries: Sequence[ActionEntry], loc: Loc) -> None:
        """Report what a rule says in vain: who gets no mail has none to share."""
        ends = next((name for name in ("drop", "reject") for entry in entries if getattr(entry, name) is not None), "")
        for n, entry in enumerate(entries):
            for name in ("add_recipients", "forward_copy", "redirect") if ends else ():
                if getattr(entry, name) is not None:
                    what = f"{name.replace('_', '-')} comes to nothing beside {ends}"
                    self._problem((*loc, n), what, "use redirect alone to send mail to somebody else instead")

    # --- the content --------------------------------------------------------------------------------------------------

    def stamp(self, written: StampAction, loc: Loc) -> Makers:
        if not self._check_template(written.template, (*loc, "template")):
            return
        stamp = model.Stamp(
            rule=self._rule,
            template=written.template,
            place=model.Place(written.place),
            once=model.Once(written.once),
            formats=written.formats,
            make_html=written.make_html,
            on_error=self._on_error,
        )
        if self._speaks_of_recipient(written.template):
            yield StampForRecipient(stamp)
        else:
            yield Fixed(stamp, f"stamp: {written.template}")

    def tag_subject(self, written: TagSubjectAction, loc: Loc) -> Makers:
        action = model.TagSubject(rule=self._rule, text=written.text, where=written.where)
        yield Fixed(action, f"tag-subject: {written.text}")

    def set_header(self, written: SetHeaderAction, loc: Loc) -> Makers:
        self._check_field(written.name, (*loc, "name"))
        value = self._value(written.value, (*loc, "value"))
        if value is not None:
            yield RenderedHeader(written.name, value, self._rule)

    def remove_header(self, written: RemoveHeaderAction, loc: Loc) -> Makers:
        self._check_field(written.name, (*loc, "name"))
        yield Fixed(model.RemoveHeader(rule=self._rule, name=written.name), f"remove-header: {written.name}")

    def set_importance(self, written: SetImportanceAction, loc: Loc) -> Makers:
        yield from self._fields(IMPORTANCE[written.value], f"set-importance: {written.value}")

    def set_sensitivity(self, written: SetSensitivityAction, loc: Loc) -> Makers:
        yield from self._fields(SENSITIVITY[written.value], f"set-sensitivity: {written.value}")

    def set_classification(self, written: SetClassificationAction, loc: Loc) -> Makers:
        fields = classification_fields(written.name, written.description, written.id or "", keep=written.keep)
        yield from self._fields(fields, f"set-classification: {written.name}")

    def _fields(self, fields: Mapping[str, str], source: str) -> Makers:
        """Header fields with their values, "" for those to be removed; the first stands for all in explanations."""
        for name, value in fields.items():
            if value:
                yield Fixed(model.SetHeader(rule=self._rule, name=name, value=value), source)
            else:
                yield Fixed(model.RemoveHeader(rule=self._rule, name=name), source)

    def _check_field(self, name: str, loc: Loc) -> None:
        if not is_field_name(name):
            self._problem(loc, f"{name!r} is no header name", "write a name such as X-Department")
        elif is_protected(name):
            use = _ACTIONS_FOR.get(name.lower())
            mend = f"use {use}" if use is not None else "choose another header, such as X-…"
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
        self._check_next_hop(written.next_hop, (*loc, "next_hop"))
        yield Fixed(model.Route(rule=self._rule, next_hop=written.next_hop), f"route: {written.next_hop}")

    def require_tls(self, written: RequireTlsAction, loc: Loc) -> Makers:
        yield Fixed(model.RequireTls(rule=self._rule), "require-tls")

    def dkim_key(self, written: DkimKeyAction, loc: Loc) -> Makers:
        known = self._surroundings.dkim_selectors
        if known is not None and written.selector not in known:
            mend = closest(written.selector, known) if known else "give the organisation keys under dkim"
            self._problem((*loc, "selector"), f"no DKIM key has the selector {written.selector!r}", mend)
        yield Fixed(model.SignWith(rule=self._rule, selector=written.selector), f"dkim-key: {written.selector}")

    def track(self, written: TrackAction, loc: Loc) -> Makers:
        known = self._surroundings.modules
        if known == ():
            self._problem(loc, "the organisation tracks nothing", "give it a section tracking, or remove the action")
        elif known is not None and written.module and written.module not in known:
            what = f"tracking has no module {written.module!r}"
            self._problem((*loc, "module"), what, closest(written.module, known))
        action = model.Track(rule=self._rule, module=written.module, opens=written.open, copies=written.copy_)
        yield Tracker(action, self._kinds)

    def plugin(self, written: PluginAction, loc: Loc) -> Makers:
        try:
            loaded = load_plugin(written.name, written.options)
        except ActionError as exc:
            self._problem((*loc, "name"), str(exc), exc.mend)
            return
        yield PluginMaker(written.name, loaded, written.options, self._rule)
