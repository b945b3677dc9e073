"""Plug-ins: programs of the organisation's own that look at a message and say what is to be done.

A plug-in is an entry point of the group `stampline.actions`. It is a callable that is given a `View` and returns
actions (`mta.model.actions`), or a class, made once with the rule's options, whose instances are such callables. It is
called for each recipient whom the rule matches, or once for all of them where it has an attribute `per_recipient` that
is false. It may be called from several threads, and has to be quick: mail waits for it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from mta.config.explain_errors import closest
from mta.message.body_text import displayed
from mta.message.classify import Classification
from mta.message.headers import decode_text
from mta.model.actions import (
    ACTION_KINDS,
    Action,
    AddRecipients,
    AutoRespond,
    CarryId,
    Defer,
    NameRecipients,
    Notify,
    Redirect,
    Reject,
    RemoveHeader,
    RewriteSender,
    SetHeader,
    SetReplyTo,
    action_to_json,
)
from mta.model.address import AddressError, parse_address
from mta.relay.decide.actions.address_schema import AutoRespondAction
from mta.relay.decide.actions.address_values import sendable
from mta.relay.decide.actions.header_values import ActionError
from mta.relay.decide.actions.makers import is_protected
from mta.relay.decide.actions.schema import DeferAction, RejectAction
from mta.relay.decide.conditions.message_tests import is_field_name
from mta.relay.decide.facts import Facts
from mta.relay.decide.outcome import PluginRun
from mta.relay.decide.participants import Party

GROUP = "stampline.actions"
ACTIONS_MAX = 100
"""That one call may return."""


class View:
    """A message, its sender and one of its recipients, to be read."""

    def __init__(self, facts: Facts, index: int | None, options: Mapping[str, Any]) -> None:
        self._facts = facts
        self._recipient = facts.recipients[index] if index is not None else None
        self.options = options
        """What the rule says under `options`."""

    @property
    def sender(self) -> str:
        """Address key of the sender as the rules see it, "" for `<>`."""
        return self._facts.sender.key if self._facts.sender is not None else ""

    @property
    def sender_attributes(self) -> Mapping[str, str]:
        """What the directory knows of the sender."""
        return _attributes(self._facts.sender)

    @property
    def recipient(self) -> str:
        """Address key of the recipient, "" where the plug-in is called once for all."""
        return self._recipient.key if self._recipient is not None else ""

    @property
    def recipient_attributes(self) -> Mapping[str, str]:
        return _attributes(self._recipient)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Address keys of the recipients that the header names, in envelope order: others are nobody's business."""
        parties = self._facts.recipients
        return tuple(party.key for n, party in enumerate(parties) if self._facts.visible >> n & 1)

    @property
    def subject(self) -> str:
        return self._facts.subject

    @property
    def classification(self) -> Classification:
        return self._facts.classification

    @property
    def size_octets(self) -> int:
        return self._facts.size_octets

    @property
    def attachment_names(self) -> tuple[str, ...]:
        """In lower case, "" for those without."""
        return self._facts.attachment_names

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The texts that readers see, decoded: plain ones as text, HTML ones as HTML."""
        return tuple(body.text for body in displayed(self._facts.message))

    def header(self, name: str) -> list[str]:
        """The values of all fields of that name, decoded."""
        message = self._facts.message
        return [decode_text(message.raw(field)) for field in message.fields_named(name)]


def _attributes(party: Party | None) -> Mapping[str, str]:
    person = party.person if party is not None else None
    return MappingProxyType(dict(person.attributes) if person is not None else {})


Plugin = Callable[[View], Iterable[Action]]


class PluginMaker:
    """Asks a plug-in. Its actions count as the rule's own."""

    __slots__ = ("_name", "_options", "_plugin", "_rule", "personal", "source")
    changes_content = False
    """Of what it returns, the walk leaves out what the message may not get."""

    def __init__(self, name: str, plugin: Plugin, options: Mapping[str, Any], rule: str) -> None:
        self._name = name
        self._plugin = plugin
        self._options = options
        self._rule = rule
        self.personal = bool(getattr(plugin, "per_recipient", True))
        self.source = f"plugin: {name}"

    def make(self, facts: Facts, index: int) -> tuple[Action, ...]:
        view = View(facts, index if self.personal else None, self._options)
        began = time.perf_counter()
        try:
            # One that never ends must not take all memory.
            made = tuple(islice(self._plugin(view), ACTIONS_MAX + 1))
        except (Exception, SystemExit) as exc:
            raise ActionError(f"plug-in {self._name}: {type(exc).__name__}") from exc
        finally:
            facts.plugin_runs.append(PluginRun(self._rule, self._name, time.perf_counter() - began))
        if len(made) > ACTIONS_MAX:
            raise ActionError(f"plug-in {self._name}: more than {ACTIONS_MAX} actions")
        return tuple(self._checked(action) for action in made)

    def _checked(self, action: object) -> Action:
        if not isinstance(action, Action) or type(action) is not ACTION_KINDS.get(action.kind):
            raise ActionError(f"plug-in {self._name}: returned what is no action")
        try:
            sound = _sound(action)
            for address in _named(sound):
                sendable(parse_address(address))
        except AddressError as exc:
            raise ActionError(f"plug-in {self._name}: {action.kind} with what is no address") from exc
        except (ValueError, TypeError) as exc:
            raise ActionError(f"plug-in {self._name}: {action.kind} with a value that it can't have") from exc
        if isinstance(sound, SetHeader | RemoveHeader) and is_protected(sound.name):
            raise ActionError(f"plug-in {self._name}: {sound.kind} of a header that has to stay")
        return replace(sound, rule=self._rule)


@cache
def _shape(kind: str) -> TypeAdapter[Any]:
    """Made when a plug-in first gives such an action: all of them would take a good part of each start."""
    return TypeAdapter(ACTION_KINDS[kind])


def _sound(action: Action) -> Action:
    """The action with every field of its type, so that it can be committed; a list becomes a tuple.

    Raises ValueError or TypeError where it would come to nothing, or to mail that is refused with a success.
    """
    sound: Action = _shape(action.kind).validate_python({
        name: value for name, value in action_to_json(action).items() if name not in ("kind", "rule")
    })  # fmt: skip
    if isinstance(sound, Reject):
        RejectAction(code=sound.code, status=sound.status, text=sound.text)
    elif isinstance(sound, Defer):
        DeferAction(text=sound.text)
    elif isinstance(sound, AutoRespond):
        AutoRespondAction(template=sound.template, limit=sound.limit, period=timedelta(seconds=sound.period_s))
    elif isinstance(sound, SetHeader | RemoveHeader) and not is_field_name(sound.name):
        raise ValueError("no header name")
    elif isinstance(sound, CarryId):
        raise ValueError("only we give ids")
    elif isinstance(sound, NameRecipients) and sound.header not in ("to", "cc"):
        raise ValueError("a header that names nobody")
    elif isinstance(sound, AddRecipients | NameRecipients | Redirect | Notify) and not list(_named(sound)):
        raise ValueError("names nobody")
    return sound


def _named(action: Action) -> Iterable[str]:
    """The addresses in an action of a plug-in."""
    if isinstance(action, SetReplyTo | RewriteSender):
        return [action.address] if action.address else []
    if isinstance(action, NameRecipients):
        return action.addresses
    several = getattr(action, "addresses", None) or getattr(action, "to", None) or ()
    return [*several, *(value for name in ("address", "sender") if (value := getattr(action, name, "")))]


def load_plugin(name: str, options: Mapping[str, Any]) -> Plugin:
    """The plug-in of that name. Raises ActionError where there is none, or it can't be loaded."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        mend = closest(name, found.names) if found.names else f"install a package with an entry point in {GROUP}"
        raise ActionError(f"there is no plug-in {name!r}", mend)
    entry: EntryPoint = found[name]
    try:
        loaded = entry.load()
        make: Callable[[dict[str, Any]], Any] = loaded
        plugin = make(dict(options)) if inspect.isclass(loaded) else loaded
    except (Exception, SystemExit) as exc:
        raise ActionError(f"plug-in {name!r} can't be loaded: {type(exc).__name__}: {exc}", "mend the plug-in") from exc
    if not callable(plugin):
        raise ActionError(f"plug-in {name!r} can't be called", "let its entry point name a function or a class")
    called: Plugin = plugin
    return called
