"""What the rules may ask about a message and its recipients. Costly answers are found once, when first asked.

Sets of recipients are bit masks (bit n is recipient n in envelope order), so that one operation judges all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache

from mta.message.attachments import Attachment, attachments
from mta.message.body_text import displayed
from mta.message.charsets import codec_for
from mta.message.classify import Classification, Kind
from mta.message.headers import addresses
from mta.message.parse import Message
from mta.message.shown_text import shown_texts
from mta.model.address import Address, domain_key
from mta.model.authentication import AuthenticationResults
from mta.model.decision import Direction, Role
from mta.model.envelope import Client, Envelope
from mta.model.person import Person, UnansweredPerson
from mta.relay.decide import languages
from mta.relay.decide.condition_schema import NULL_REVERSE_PATH
from mta.relay.decide.outcome import PluginRun
from mta.relay.decide.patterns import Text

_ASKED_BY_NAME = frozenset({Kind.AUTO_REPLY, Kind.OUT_OF_OFFICE, Kind.MEETING})
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
    def directory_keys(self) -> frozenset[str]:
        """Address keys that the directory is asked for."""
        keys = {address.key for address in self.recipients}
        senders = (self.sender, self.reverse_path, self.author, self.delegate)
        keys.update(address.key for address in senders if address is not None)
        named = self.to_keys | self.cc_keys
        if not keys <= named:
            # Somebody is not named as such: the header may name them by an alias, or by a group that was expanded.
            keys |= named
        return frozenset(keys)


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


@dataclass(frozen=True, slots=True)
class Readers:
    """What deciding asks of the stage that knows quotes and stamps; the program around both gives it."""

    newest_texts: Callable[[Message, Classification], tuple[str, ...]] | None = None
    """The newest text above what it quotes, as plain text: of the HTML, and of the plain text that stands beside it.

    None takes the whole text.
    """
    earlier_stamps: Callable[[Message], Collection[str]] | None = None
    """Names of the templates whose stamps stand in the message or in what it quotes, in lower case."""


NO_READERS = Readers()


class Facts(Parties):
    """One message before its rules."""

    def __init__(
        self,
        message: Message,
        classification: Classification,
        participants: Participants,
        people: Mapping[str, Person],
        now: datetime,
        organisation: OrganisationFacts,
        size_octets: int | None = None,
        *,
        client: Client | None = None,
        authentication: AuthenticationResults | None = None,
        known_contacts: frozenset[str] | None = None,
        readers: Readers = NO_READERS,
    ) -> None:
        super().__init__(participants, people, organisation)
        self.message = message
        self.classification = classification
        self.now = now
        self.size_octets = len(message.data) if size_octets is None else size_octets
        self.client = client
        self.authentication = authentication
        """None where nobody looked: mail from our own servers."""
        self.known_contacts = known_contacts
        """Keys of the recipients to whom the sender has written before; None where that was not looked up."""
        self.readers = readers
        self._with_subject: dict[bool, tuple[Text, ...]] = {}
        self.masks: dict[object, int] = {}
        """Answers of tests, by the test; kept here so that a test that stands in many rules is run once."""
        self.rendered: dict[object, str] = {}
        """Rendered header values that don't depend on the recipient, by the value."""
        self.plugin_runs: list[PluginRun] = []
        """Each call of a plug-in so far."""

    @property
    def kind_names(self) -> frozenset[str]:
        """The message's kind, and `null-reverse-path` where it is so."""
        return _names(self.classification.kind, self.participants.null_reverse_path)

    @property
    def asked_by_name(self) -> frozenset[str]:
        """Kinds of which a rule must name one before it may change the content; empty for ordinary mail."""
        kind = self.classification.kind
        return _names(kind if kind in _ASKED_BY_NAME else None, self.participants.null_reverse_path)

    @property
    def subject(self) -> str:
        return self.message.subject

    @cached_property
    def folded_subject(self) -> str:
        """For phrases: white space made one space, case folded."""
        return " ".join(self.subject.split()).casefold()

    @cached_property
    def whole_texts(self) -> tuple[Text, ...]:
        """The displayed text with what it quotes: the reading of the HTML, and that of plain text where it differs."""
        return tuple(Text(text) for text in shown_texts(self.message))

    @cached_property
    def newest_texts(self) -> tuple[Text, ...]:
        """The same without what it quotes."""
        read = self.readers.newest_texts
        if read is None:
            return self.whole_texts
        return tuple(Text(text) for text in read(self.message, self.classification))

    def texts(self, *, newest: bool, with_subject: bool) -> tuple[Text, ...]:
        """What tests of the body look into."""
        if not with_subject:
            return self.newest_texts if newest else self.whole_texts
        known = self._with_subject.get(newest)
        if known is None:
            bodies = self.newest_texts if newest else self.whole_texts
            known = self._with_subject[newest] = tuple(Text(f"{self.subject}\n{body.text}") for body in bodies)
        return known

    @cached_property
    def earlier_stamps(self) -> frozenset[str]:
        """Templates whose stamps stand in the message or in what it quotes, lower case."""
        find = self.readers.earlier_stamps
        # A stranger can write any marker, to keep a warning out.
        return frozenset(find(self.message)) if find is not None and self.participants.verified else frozenset()

    @cached_property
    def charsets(self) -> frozenset[str]:
        """Of the displayed texts: the labels in lower case, and the names of the codecs that they mean."""
        labels = {body.part.charset or "us-ascii" for body in displayed(self.message)}
        return frozenset(labels) | {charset_name(label) for label in labels}

    @cached_property
    def language(self) -> str:
        """Of the newest text, as in RFC 5646, lower case (`de`, `zh-hant`); else Content-Language; "" if unknown."""
        text = next((text.text for text in self.newest_texts), "")
        return languages.detect(text) or self.message.header("content-language").split(",")[0].strip().lower()

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """The message's attachments, each of which finds what is asked of it once."""
        return tuple(attachments(self.message))

    @cached_property
    def attachment_names(self) -> tuple[str, ...]:
        """File names in lower case, "" for those without; trailing dots and spaces off, as Windows ignores them."""
        return tuple(part.filename.lower().rstrip(". ") for part in self.message.attachments())


def comparable(text: str) -> str:
    """An attribute's value for comparing: outer white space off, case folded."""
    return text.strip().casefold()


def charset_name(label: str) -> str:
    """One name for all labels of a charset."""
    codec = codec_for(label)
    return label.lower() if codec is None else codec.encoding.replace("_", "-")


@lru_cache
def _names(kind: Kind | None, null_reverse_path: bool) -> frozenset[str]:
    names = {kind.value} if kind is not None else set()
    return frozenset(names | {NULL_REVERSE_PATH} if null_reverse_path else names)


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
