"""Who a message is from and to, and what the directory knows of them.

Sets of recipients are bit masks (bit n is recipient n in envelope order), so that one operation judges all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.address import Address, domain_key
from mta.model.decision import Direction, Role
from mta.model.envelope import Client, Envelope
from mta.model.person import Person, UnansweredPerson

_TO_FIELDS = ("To", "Resent-To")
_CC_FIELDS = ("Cc", "Resent-Cc")
HEADER_ADDRESSES_MAX = 5000
"""Addresses of To and Cc that are looked at; recipients beyond them count as hidden."""


@dataclass(frozen=True, slots=True)
class OrganisationFacts:
    """What the rules know of the organisation. `accepted_domains` are `domain_key`s."""

    name: str
    accepted_domains: frozenset[str]
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, accepted_domains: Iterable[str], attributes: Mapping[str, str]) -> OrganisationFacts:
        """From the configuration's words."""
        return cls(name, frozenset(domain_key(domain) for domain in accepted_domains), dict(attributes))


@dataclass(frozen=True, slots=True)
class Participants:
    """Who a message is from and to, before the directory is asked."""

    sender: Address | None
    """Whom the rules judge: a trusted client's From, else the reverse-path, for a stranger may write any From."""
    recipients: tuple[Address, ...]
    to_keys: frozenset[str]
    cc_keys: frozenset[str]
    verified: bool
    """Whether the client may speak for the sender."""
    null_reverse_path: bool
    reverse_path: Address | None = None
    author: Address | None = None
    """The first address of From, whoever wrote it there."""
    delegate: Address | None = None
    """Sender, where it names somebody else than From: who sent the message on behalf of its author."""

    @classmethod
    def of(cls, message: Message, envelope: Envelope, client: Client) -> Participants:
        """Read the header's addresses and the envelope's."""
        author = _first(message, "From")
        delegate = _first(message, "Sender") if message.has("sender") else None
        if author is None or delegate is None or delegate.key == author.key:
            delegate = None
        return cls(
            author or envelope.reverse_path if client.is_trusted else envelope.reverse_path,
            envelope.recipients,
            _keys(message, _TO_FIELDS),
            _keys(message, _CC_FIELDS),
            client.is_trusted,
            envelope.reverse_path is None,
            envelope.reverse_path,
            author,
            delegate,
        )

    @classmethod
    def of_envelope(cls, envelope: Envelope, client: Client) -> Participants:
        """The same for a message that is not looked into: every recipient counts as hidden."""
        sender, nobody = envelope.reverse_path, frozenset[str]()
        return cls(sender, envelope.recipients, nobody, nobody, client.is_trusted, sender is None, sender)

    def from_outside(self) -> Participants:
        """The same for a message that our own server passes on for a stranger: nobody vouches for From."""
        return replace(self, sender=self.reverse_path, verified=False)

    @property
    def directory_keys(self) -> tuple[str, ...]:
        """Address keys that the directory is asked for; those of whom the rules judge come first."""
        keys = {address.key for address in self.recipients}
        senders = (self.sender, self.reverse_path, self.author, self.delegate)
        keys.update(address.key for address in senders if address is not None)
        named = self.to_keys | self.cc_keys
        if keys <= named:
            return tuple(keys)
        # Somebody is not named as such: the header may name them by an alias, or by a group that was expanded.
        return (*keys, *(named - keys))


def _first(message: Message, name: str) -> Address | None:
    return next((mailbox.address for mailbox in addresses(message, name)), None)


def _keys(message: Message, names: Iterable[str]) -> frozenset[str]:
    keys: set[str] = set()
    for name in names:
        if message.has(name):
            keys.update(mailbox.address.key for mailbox in addresses(message, name)[:HEADER_ADDRESSES_MAX])
    return frozenset(keys)


@dataclass(frozen=True, slots=True)
class Party:
    """The sender or a recipient, as the tests see them."""

    address: Address
    key: str
    domain: str
    """`domain_key`."""
    person: Person | None
    ours: bool
    """Sender: verified and in an accepted domain. Recipient: in an accepted domain, and no contact outside."""
    role: Role = Role.HIDDEN
    """How the header names a recipient; of the sender it says nothing."""

    @property
    def groups(self) -> frozenset[str]:
        """The groups that they are in; a group that is itself addressed counts as in itself."""
        if self.person is None:
            return frozenset()
        own = self.person.group_name
        return self.person.groups | {own} if own else self.person.groups

    def text(self, name: str) -> str:
        """A directory attribute; "" where there is none."""
        return "" if self.person is None else self.person.attributes.get(name, "")

    def attribute(self, name: str) -> str:
        """The same for comparing."""
        return comparable(self.text(name))

    def is_person(self, key: str) -> bool:
        """Whether an address key is one of theirs."""
        person = self.person
        return key == self.key or (person is not None and (key == person.address or key in person.aliases))


class Parties:
    """Sender and recipients of one message, each with what the directory knows of them."""

    def __init__(
        self, participants: Participants, people: Mapping[str, Person], organisation: OrganisationFacts
    ) -> None:
        self.participants = participants
        self.people = people
        self.organisation = organisation
        self._by_attribute: dict[str, dict[str, int]] = {}
        self._by_text: dict[str, dict[str, int]] = {}
        self.everyone = (1 << len(participants.recipients)) - 1
        self.sender = self._sender(participants.sender)
        self.recipients = tuple(self.party(address) for address in participants.recipients)
        """One for each envelope recipient, in envelope order."""
        is_ours = self.sender is not None and self.sender.ours
        self.inside = Direction.INTERNAL if is_ours else Direction.INBOUND
        """The direction of mail to recipients that are ours."""
        self.outside = Direction.OUTBOUND if is_ours else Direction.FORWARDED
        """The direction of mail to all others."""
        self.internal = self.mask(lambda party: party.ours)
        """The recipients that are ours."""
        self.visible = self.mask(lambda party: party.role is not Role.HIDDEN)
        """The recipients that the header names: all that another recipient may know of."""

    def _sender(self, address: Address | None) -> Party | None:
        if address is None:
            return None
        domain = address.domain_key
        ours = self.participants.verified and domain in self.organisation.accepted_domains
        return Party(address, address.key, domain, self.people.get(address.key), ours)

    def party(self, address: Address) -> Party:
        """Somebody who gets the message, as the tests see them."""
        accepted = self.organisation.accepted_domains
        key, domain = address.key, address.domain_key
        person = self.people.get(key)
        ours = domain in accepted
        if ours and person is not None and person.is_contact:
            ours = domain_key(person.address.rpartition("@")[2]) in accepted
        return Party(address, key, domain, person, ours, self._role(key, person))

    def mask(self, test: Callable[[Party], bool]) -> int:
        """The recipients for whom a test holds."""
        mask, bit = 0, 1
        for party in self.recipients:
            if test(party):
                mask |= bit
            bit <<= 1
        return mask

    def direction(self, party: Party) -> Direction:
        """Of mail to that recipient."""
        return self.inside if party.ours else self.outside

    def _role(self, key: str, person: Person | None) -> Role:
        to_keys, cc_keys = self.participants.to_keys, self.participants.cc_keys
        if key in to_keys:
            return Role.TO
        if person is None or isinstance(person, UnansweredPerson):
            return Role.CC if key in cc_keys else Role.HIDDEN
        own = {key, person.address, *person.aliases}
        # Groups of To before addresses of Cc: who is written to directly is not made a bystander by a copy.
        if own & to_keys or person.groups & self._to_groups:
            return Role.TO
        if own & cc_keys or person.groups & self._cc_groups:
            return Role.CC
        return Role.HIDDEN

    @cached_property
    def _to_groups(self) -> frozenset[str]:
        return self._group_names(self.participants.to_keys)

    @cached_property
    def _cc_groups(self) -> frozenset[str]:
        return self._group_names(self.participants.cc_keys)

    def _group_names(self, keys: Iterable[str]) -> frozenset[str]:
        people = self.people
        return frozenset(people[key].group_name for key in keys if key in people) - {""}

    @cached_property
    def envelope_sender(self) -> Party | None:
        """The reverse-path, whatever From says."""
        return self._sender(self.participants.reverse_path)

    @cached_property
    def author(self) -> Party | None:
        """From, whoever wrote it there; ours only if the client may speak for it."""
        return self._sender(self.participants.author)

    @cached_property
    def delegate(self) -> Party | None:
        """Who sent it on behalf of its author, else the author."""
        return self._sender(self.participants.delegate or self.participants.author)

    @cached_property
    def by_domain(self) -> dict[str, int]:
        return _index((party.domain,) for party in self.recipients)

    @cached_property
    def by_group(self) -> dict[str, int]:
        return _index(party.groups for party in self.recipients)

    def by_attribute(self, name: str) -> dict[str, int]:
        """The recipients by their value of a directory attribute, for comparing; "" for those who have none."""
        known = self._by_attribute.get(name)
        if known is None:
            known = self._by_attribute[name] = {}
            for text, mask in self.by_text(name).items():
                value = comparable(text)
                known[value] = known.get(value, 0) | mask
        return known

    def by_text(self, name: str) -> dict[str, int]:
        """The same by the value as the directory has it."""
        known = self._by_text.get(name)
        if known is None:
            known = self._by_text[name] = _index((party.text(name),) for party in self.recipients)
        return known

    @cached_property
    def by_unit(self) -> dict[str, int]:
        """The recipients by their organisational unit; "" for those who have none."""
        return _index((party.person.unit if party.person is not None else "",) for party in self.recipients)


def comparable(text: str) -> str:
    """An attribute's value for comparing: outer white space off, case folded."""
    return text.strip().casefold()


def _index(properties: Iterable[Iterable[str]]) -> dict[str, int]:
    """Property → mask of those who have it."""
    masks: dict[str, int] = {}
    for number, values in enumerate(properties):
        bit = 1 << number
        for value in values:
            masks[value] = masks.get(value, 0) | bit
    return masks


def indexes(mask: int) -> Iterator[int]:
    """The positions of a mask's bits, rising."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
