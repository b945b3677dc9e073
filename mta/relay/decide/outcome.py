"""What deciding gives, and what it is told about the way mail takes."""

from __future__ import annotations

from dataclasses import dataclass

from mta.model.actions import OnError
from mta.model.address import Address
from mta.model.decision import Decision
from mta.model.next_hop import NextHopOf
from mta.model.reply import Reply


@dataclass(frozen=True, slots=True)
class Policy:
    """What deciding needs besides rules and facts."""

    next_hop: NextHopOf
    """Where a recipient's mail goes."""
    max_variants: int = 50
    is_splitting: bool = True
    """False: everybody gets the content that one recipient's rules decide (`splitting: off` of the organisation)."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What a rule in audit mode would have done."""

    rule: str
    recipients: tuple[Address, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule that could not be judged or carried out; `error` holds no values of the message or the directory."""

    rule: str
    error: str
    on_error: OnError
    recipients: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Actions of a rule that the message may not get: it is untouchable, or of a kind that the rule doesn't name."""

    rule: str
    reason: str
    recipients: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PluginRun:
    """One call of a plug-in."""

    rule: str
    plugin: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reply` is the answer at the end of DATA when nobody gets the message, else None: then accept and carry out."""

    decision: Decision
    reply: Reply | None
    rules: tuple[tuple[str, ...], ...]
    """Per recipient, in the decision's order: names of the rules that applied."""
    audited: tuple[Audited, ...] = ()
    failures: tuple[RuleFailure, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    too_many_variants: int = 0
    """How many variants there would have been, where that was too many; else 0."""
    plugin_runs: tuple[PluginRun, ...] = ()
