"""What a rule does for a recipient: most actions are the same for everyone, some are made for each recipient."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from mta.message.classify import Kind
from mta.model.actions import (
    ONCE,
    Action,
    AddRecipients,
    Defer,
    Drop,
    Redirect,
    Reject,
    RequireTls,
    Route,
    SetHeader,
    Stamp,
    Track,
)
from mta.relay.decide.actions.header_values import HeaderValue
from mta.relay.decide.facts import Facts

_REPORTS = frozenset({Kind.DSN, Kind.MDN, Kind.JOURNAL})
FINAL = (Reject, Defer, Drop)
"""Actions that end the walk through the rules."""
ASIDE = (Route, RequireTls, AddRecipients, Redirect, *ONCE)
"""Actions that don't stand in the recipient's list: they say where mail goes, or what is done once for all."""
STEERING = (*FINAL, *ASIDE)
"""Actions that do more than stand in the recipient's list."""

_CONTENT_FIELDS = ("mime-version", "subject", "sender", "from", "to", "cc", "bcc", "reply-to", "date", "message-id")
_THREAD_FIELDS = ("references", "in-reply-to", "thread-index", "thread-topic")
_TRACE_FIELDS = ("received", "return-path", "dkim-signature", "x-stampline-processed", "x-stampline-transaction")
PROTECTED_FIELDS = frozenset((*_CONTENT_FIELDS, *_THREAD_FIELDS, *_TRACE_FIELDS))
PROTECTED_PREFIXES = ("content-", "resent-", "arc-")


def is_protected(name: str) -> bool:
    """Whether a header is kept as it is in every copy, whatever the rules say."""
    lower = name.lower()
    return lower in PROTECTED_FIELDS or lower.startswith(PROTECTED_PREFIXES)


class ActionMaker(Protocol):
    """Gives the action for one recipient."""

    @property
    def source(self) -> str:
        """For explanations and logs."""
        ...

    @property
    def changes_content(self) -> bool: ...

    @property
    def personal(self) -> bool:
        """Whether the action depends on who the recipient is; if not, it is made once for all."""
        ...

    def make(self, facts: Facts, index: int) -> Action | tuple[Action, ...] | None:
        """Mostly one action; None where there is nothing to do. Raises ActionError."""
        ...


class Fixed:
    """The same action for everyone."""

    __slots__ = ("action", "changes_content", "source")
    personal = False

    def __init__(self, action: Action, source: str) -> None:
        self.action = action
        self.changes_content = action.changes_content
        self.source = source

    def make(self, facts: Facts, index: int) -> Action:
        return self.action


class StampForRecipient:
    """A stamp whose template speaks of the recipient."""

    __slots__ = ("action", "source")
    changes_content = True
    personal = True

    def __init__(self, stamp: Stamp) -> None:
        self.action = stamp
        self.source = f"stamp: {stamp.template}"

    def make(self, facts: Facts, index: int) -> Action:
        return replace(self.action, recipient=facts.recipients[index].key)


class Tracker:
    """Tracks the message; of a kind that nothing is put into, only what is known already, and without a trace in it."""

    __slots__ = ("_kinds", "_silent", "_whole", "source")
    changes_content = False
    personal = False

    def __init__(self, action: Track, kinds: frozenset[str]) -> None:
        self._whole = action
        self._silent = replace(action, opens=False, carries=False)
        self._kinds = kinds
        """Those that the rule names."""
        self.source = f"track: {action.module}" if action.module else "track"

    def make(self, facts: Facts, index: int) -> Action:
        by_name = facts.asked_by_name
        is_report = facts.classification.kind in _REPORTS
        return self._silent if is_report or (by_name and by_name.isdisjoint(self._kinds)) else self._whole


class RenderedHeader:
    """A header whose value is rendered now, so that equal values share a copy."""

    __slots__ = ("_name", "_rule", "_value", "personal", "source")
    changes_content = True

    def __init__(self, name: str, value: HeaderValue, rule: str) -> None:
        self._name = name
        self._value = value
        self._rule = rule
        self.personal = value.uses_recipient
        self.source = f"set-header: {name}"

    def make(self, facts: Facts, index: int) -> Action | None:
        value = self._value.render(facts, index, self._rule)
        return SetHeader(rule=self._rule, name=self._name, value=value) if value else None
