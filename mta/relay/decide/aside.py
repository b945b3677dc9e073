"""What rules say beside each copy's content: where it goes, who else gets it, and what is done once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mta.model.actions import (
    ONCE,
    Action,
    AddRecipients,
    Drop,
    NameRecipients,
    OnError,
    Redirect,
    Reject,
    RequireTls,
    Route,
)
from mta.model.address import Address, parse_address
from mta.model.decision import RecipientDecision, Role
from mta.relay.decide.outcome import RuleFailure
from mta.relay.decide.participants import Parties

ADDED_MAX = 100
"""Recipients that rules may add to one message; redirections don't count."""

_Sending = AddRecipients | Redirect


@dataclass(slots=True)
class Aside:
    """Collected in the walk, for all recipients of one message."""

    routes: dict[int, str] = field(default_factory=dict)
    over_tls: set[int] = field(default_factory=set)
    sendings: list[tuple[int, _Sending]] = field(default_factory=list)
    """Recipient and action, in rule order."""
    once: dict[tuple[str, Action], list[int]] = field(default_factory=dict)
    """Rule and action → the recipients for whom the rule holds."""

    def take(self, index: int, action: Action) -> None:
        """Note an action for a recipient."""
        if isinstance(action, Route):
            self.routes[index] = action.next_hop
        elif isinstance(action, RequireTls):
            self.over_tls.add(index)
        elif isinstance(action, AddRecipients | Redirect):
            self.sendings.append((index, action))
        elif isinstance(action, ONCE):
            self.once.setdefault((action.rule, action), []).append(index)


@dataclass(frozen=True, slots=True)
class Added:
    """A recipient that a rule adds; gets the copy of the recipient at `index`."""

    address: Address
    index: int
    rule: str
    in_place_of: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """Who gets copies besides the envelope's recipients, and who gets none because of that."""

    added: tuple[Added, ...] = ()
    redirected: dict[int, str] = field(default_factory=dict)
    """Recipient → rule."""
    failures: tuple[RuleFailure, ...] = ()


NOBODY_ELSE = Sent()


def gets_nothing(actions: Sequence[Action]) -> bool:
    """Whether a rule keeps the mail from the recipient with these actions."""
    return bool(actions) and isinstance(actions[-1], Reject | Drop)


def send(parties: Parties, sendings: Sequence[tuple[int, _Sending]], finals: Sequence[tuple[Action, ...]]) -> Sent:
    """Who is added, and who is redirected. Nobody gets the message twice, by whatever addresses they are named.

    Who is added is not taken through the rules, so that nothing goes in circles. A recipient who gets no mail can't
    share it, and a redirection to the recipient themselves is none. Where several would have the same person added,
    redirections go first, for the sender is to learn what becomes of those; then recipients whom the header names, for
    a hidden one's copy may speak of them.
    """
    if not sendings:
        return NOBODY_ELSE
    identity = _Identities(parties)
    wanted = [(index, action) for index, action in sendings if not gets_nothing(finals[index])]
    if len(wanted) > 1:
        roles = [party.role for party in parties.recipients]
        wanted.sort(key=lambda each: (not isinstance(each[1], Redirect), roles[each[0]] is Role.HIDDEN))
    redirected = {
        index: action.rule
        for index, action in wanted
        if isinstance(action, Redirect)
        and identity.of(parties.recipients[index].address)
        not in {identity.of(parse_address(address)) for address in action.addresses}
    }
    served = {
        identity.of(party.address)
        for index, party in enumerate(parties.recipients)
        if index not in redirected and not gets_nothing(finals[index])
    }
    added: list[Added] = []
    failures: dict[str, RuleFailure] = {}
    copies = 0
    for candidate in _candidates(parties, wanted):
        name = identity.of(candidate.address)
        if name in served:
            continue
        if not candidate.in_place_of:
            if copies == ADDED_MAX:
                text = f"more than {ADDED_MAX} recipients would be added"
                failures[candidate.rule] = RuleFailure(candidate.rule, text, OnError.DELIVER_UNSTAMPED, ())
                continue
            copies += 1
        served.add(name)
        added.append(candidate)
    return Sent(tuple(added), redirected, tuple(failures.values()))


def _candidates(parties: Parties, wanted: Sequence[tuple[int, _Sending]]) -> Iterator[Added]:
    for index, action in wanted:
        instead = str(parties.recipients[index].address) if isinstance(action, Redirect) else ""
        for address in action.addresses:
            yield Added(parse_address(address), index, action.rule, instead)


class _Identities:
    """One key for all addresses of a person, as far as the directory was asked for them."""

    def __init__(self, parties: Parties) -> None:
        self._known = {
            key: person.address for person in parties.people.values() for key in (person.address, *person.aliases)
        }

    def of(self, address: Address) -> str:
        return self._known.get(address.key, address.key)


def role_of(added: Added, leader: RecipientDecision) -> Role:
    """How the header names somebody who was added: as `NameRecipients` says, as far as that is done."""
    for action in leader.actions:
        if isinstance(action, NameRecipients) and str(added.address) in action.addresses:
            return Role.TO if action.header == "to" else Role.CC
    return Role.HIDDEN
