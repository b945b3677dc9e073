"""What the rules decided for a message: per recipient an ordered list of actions, equal lists grouped.

A decision is committed with the message and carried out from there; nothing here is decided twice. So an action holds
values (a header's rendered text, a next hop's name), not references to a rule; `rule` names the rule for logs only and
does not take part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from mta.model.address import Address, parse_address


class Direction(Enum):
    """Per recipient; *ours* means a verified sender, or a recipient, in an accepted domain."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    INTERNAL = "internal"
    FORWARDED = "forwarded"


class Role(Enum):
    """How the header names a recipient. HIDDEN: not at all (Bcc, expanded list); no header may ever tell of them."""

    TO = "to"
    CC = "cc"
    HIDDEN = "hidden"


class OnError(Enum):
    """What happens when carrying out a rule's action fails (template error, directory down)."""

    DELIVER_UNSTAMPED = "deliver-unstamped"
    DEFER = "defer"
    REJECT = "reject"


class Place(Enum):
    TOP = "top"
    BOTTOM = "bottom"
    REPLY = "reply"
    """Under the newest reply and above the quoted text; at the end where nothing is quoted."""


class Once(Enum):
    MESSAGE = "message"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Base of all actions. `kind` is the name in rules and in the committed form."""

    kind: ClassVar[str]
    rule: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp(Action):
    """Add a template's text. `recipient` is the recipient's address key where the template speaks of them, else ""."""

    kind: ClassVar[str] = "stamp"
    template: str
    place: Place = Place.BOTTOM
    once: Once = Once.MESSAGE
    formats: tuple[str, ...] = ("html", "plain")
    recipient: str = ""
    on_error: OnError = OnError.DELIVER_UNSTAMPED


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSubject(Action):
    kind: ClassVar[str] = "tag-subject"
    text: str
    where: str = "prefix"
    """"prefix" or "suffix"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHeader(Action):
    """Replace every field of that name by one, or add it; `value` is unencoded text of one line."""

    kind: ClassVar[str] = "set-header"
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveHeader(Action):
    kind: ClassVar[str] = "remove-header"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Action):
    kind: ClassVar[str] = "reject"
    code: int = 550
    status: str = "5.7.1"
    text: str = "Rejected by policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer(Action):
    kind: ClassVar[str] = "defer"
    text: str = "Deferred by policy, try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Action):
    kind: ClassVar[str] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Action):
    """Quarantine; releasing carries out the rest of the decision; expires into a DSN."""

    kind: ClassVar[str] = "hold"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Action):
    kind: ClassVar[str] = "route"
    next_hop: str


ACTION_KINDS: dict[str, type[Action]] = {
    cls.kind: cls for cls in (Stamp, TagSubject, SetHeader, RemoveHeader, Reject, Defer, Drop, Hold, Route)
}
_FIELDS = {cls: tuple(each.name for each in fields(cls)) for cls in ACTION_KINDS.values()}
_ENUM_FIELDS: dict[str, type[Enum]] = {"place": Place, "once": Once, "on_error": OnError}


def action_to_json(action: Action) -> dict[str, Any]:
    """The committed form: plain JSON values with `kind`."""
    values: dict[str, Any] = {"kind": action.kind}
    for name in _FIELDS[type(action)]:
        value = getattr(action, name)
        values[name] = value.value if isinstance(value, Enum) else value
    return values


def action_from_json(data: dict[str, Any]) -> Action:
    """The reverse of `action_to_json`. Raises KeyError for an unknown kind."""
    values = dict(data)
    cls = ACTION_KINDS[values.pop("kind")]
    for name, enum in _ENUM_FIELDS.items():
        if name in values:
            values[name] = enum(values[name])
    if "formats" in values:
        values["formats"] = tuple(values["formats"])
    return cls(**values)


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """One recipient and what happens to their copy."""

    recipient: Address
    direction: Direction
    role: Role
    actions: tuple[Action, ...]
    group: int
    """Index of the group: recipients of one group share one copy (a variant)."""
    next_hop: str
    """Name of the next hop, settled at acceptance: a `route` action, else the recipient's domain, else the default."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole decision for a message: one entry per envelope recipient, in envelope order."""

    recipients: tuple[RecipientDecision, ...]
    organisation: str = "default"
    sender: str = ""
    """Address key that the rules judged as the sender."""
    already_processed: bool = False
    """It came with our own valid mark: relayed as it is, mark included."""

    def group_actions(self) -> dict[int, tuple[Action, ...]]:
        """Actions that shape the bytes, per group."""
        return {entry.group: entry.actions for entry in self.recipients}

    def to_json(self) -> dict[str, Any]:
        groups = {str(group): [action_to_json(a) for a in actions] for group, actions in self.group_actions().items()}
        return {
            "organisation": self.organisation,
            "sender": self.sender,
            "already_processed": self.already_processed,
            "groups": groups,
            "recipients": [
                [str(e.recipient), e.direction.value, e.role.value, e.group, e.next_hop] for e in self.recipients
            ],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Decision:
        groups = {int(k): tuple(action_from_json(a) for a in v) for k, v in data["groups"].items()}
        recipients = tuple(
            RecipientDecision(parse_address(address), Direction(direction), Role(role), groups[group], group, next_hop)
            for address, direction, role, group, next_hop in data["recipients"]
        )
        return cls(recipients, data["organisation"], data["sender"], data["already_processed"])
