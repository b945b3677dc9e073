"""What the rules decided for a message: per recipient an ordered list of actions, equal lists grouped.

A decision is committed with the message and carried out from there; nothing here is decided twice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from mta.model.actions import Action, Reject, action_from_json, action_to_json
from mta.model.address import Address, parse_address
from mta.model.transaction import Tracked, Transaction


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
    added_by: str = ""
    """The rule that added them: not named by the envelope. Such entries stand behind those of the envelope."""
    in_place_of: str = ""
    """Added by a redirection: the address of the recipient whose copy they get."""
    redirected_by: str = ""
    """The rule that sends their copy to somebody else; they get none themselves."""

    @property
    def is_added(self) -> bool:
        return bool(self.added_by)

    @property
    def is_redirected(self) -> bool:
        return bool(self.redirected_by)

    @property
    def is_rejected(self) -> bool:
        """A rule refuses it for this recipient."""
        return bool(self.actions) and isinstance(self.actions[-1], Reject)


@dataclass(frozen=True, slots=True)
class OnceFor:
    """Something done once for the message, whoever gets it: archive, notify, auto-respond."""

    action: Action
    recipients: tuple[int, ...]
    """For whom its rule holds: their positions in the decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole decision for a message: one entry per envelope recipient, in envelope order, then those added."""

    recipients: tuple[RecipientDecision, ...]
    organisation: str = "default"
    sender: str = ""
    """Address key that the rules judged as the sender."""
    already_processed: bool = False
    """It came with our own valid mark: relayed as it is, mark included."""
    once: tuple[OnceFor, ...] = ()
    tracked: Tracked | None = None
    """The conversation that it belongs to."""

    @property
    def is_ours(self) -> bool:
        """Whether the sender is: verified, and in an accepted domain."""
        return any(entry.direction in (Direction.OUTBOUND, Direction.INTERNAL) for entry in self.recipients)

    def group_actions(self) -> dict[int, tuple[Action, ...]]:
        """Actions that shape the bytes, per group."""
        return {entry.group: entry.actions for entry in self.recipients}

    def to_json(self) -> dict[str, Any]:
        groups = {str(group): [action_to_json(a) for a in actions] for group, actions in self.group_actions().items()}
        data: dict[str, Any] = {
            "organisation": self.organisation,
            "sender": self.sender,
            "already_processed": self.already_processed,
            "groups": groups,
            "recipients": [
                [str(e.recipient), e.direction.value, e.role.value, e.group, e.next_hop] for e in self.recipients
            ],
        }
        by_rules = {
            str(number): [entry.added_by, entry.in_place_of, entry.redirected_by]
            for number, entry in enumerate(self.recipients)
            if entry.added_by or entry.redirected_by
        }
        if by_rules:
            data["by_rules"] = by_rules
        if self.once:
            data["once"] = [[action_to_json(each.action), each.recipients] for each in self.once]
        if self.tracked is not None:
            data["tracked"] = asdict(self.tracked)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Decision:
        groups = {int(k): tuple(action_from_json(a) for a in v) for k, v in data["groups"].items()}
        by_rules: dict[str, list[str]] = data.get("by_rules", {})
        recipients = tuple(
            RecipientDecision(
                parse_address(address), Direction(direction), Role(role), groups[group], group, next_hop,
                *by_rules.get(str(number), ()),
            )
            for number, (address, direction, role, group, next_hop) in enumerate(data["recipients"])
        )  # fmt: skip
        once = tuple(OnceFor(action_from_json(action), tuple(indexes)) for action, indexes in data.get("once", ()))
        tracked = _tracked(data["tracked"]) if "tracked" in data else None
        return cls(recipients, data["organisation"], data["sender"], data["already_processed"], once, tracked)


def _tracked(data: dict[str, Any]) -> Tracked:
    transaction = Transaction(**data["transaction"]) if data["transaction"] is not None else None
    return Tracked(**{**data, "transaction": transaction})
