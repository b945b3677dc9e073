"""Messages, people and rules in a few words, for the tests of deciding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mta.message.classify import classify
from mta.message.parse import parse
from mta.model.actions import Action
from mta.model.address import Address, parse_address
from mta.model.authentication import AuthenticationResults
from mta.model.decision import RecipientDecision
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.model.person import Person
from mta.relay.decide import (
    Facts,
    OrganisationFacts,
    Outcome,
    Participants,
    Policy,
    Readers,
    RuleSet,
    Surroundings,
    Trace,
    decide,
    load_rules,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday


def person(address: str, *, aliases: Sequence[str] = (), groups: Sequence[str] = (), **attributes: str) -> Person:
    """A directory entry; groups in lower case."""
    return Person(address, frozenset(aliases), attributes, frozenset(groups))


PEOPLE = (
    person("jane@example.com", aliases=["j.doe@example.com"], groups=["sales"], department="Sales", displayName="Jane"),
    person("john@example.com", groups=["support", "everyone"], department="Support", displayName="John"),
    Person("sales@example.com", group_name="sales"),
    Person("gone@example.com", disabled=True),
    Person("partner@outside.example", frozenset({"partner@example.com"}), is_contact=True),
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Templates by name; those of `personal` speak of the recipient."""

    plain: frozenset[str] = frozenset({"corporate", "compact"})
    personal: frozenset[str] = frozenset({"dear"})

    def names(self) -> frozenset[str]:
        return self.plain | self.personal

    def uses_recipient(self, name: str) -> bool:
        return name in self.personal

    def speaks_of_records(self, name: str) -> bool:
        return False

    def has_subject(self, name: str) -> bool:
        return name != "compact"


SURROUNDINGS = Surroundings(
    Catalogue(),
    frozenset({"sales", "support", "everyone"}),
    frozenset({"out", "archive"}),
    frozenset({"department", "displayName", "mobile"}),
    {"website": "https://www.example.com"},
)


def rules(
    text: str, surroundings: Surroundings = SURROUNDINGS, dictionaries: Mapping[str, str] | None = None
) -> RuleSet:
    """Rules of one file; dictionaries by their names stand in the folder `words` beside it."""
    with TemporaryDirectory() as folder:
        Path(folder, "words").mkdir()
        for name, content in (dictionaries or {}).items():
            Path(folder, "words", name).write_text(content, encoding="utf-8")
        Path(folder, "10-test.yaml").write_text(text, encoding="utf-8")
        return load_rules(Path(folder), surroundings)


@dataclass(frozen=True, slots=True)
class Situation:
    """One message before the rules; the defaults are Jane writing to a buyer outside."""

    sender: str | None = "jane@example.com"
    to: Sequence[str] = ("buyer@customer.example",)
    header: Mapping[str, str] = field(default_factory=dict)
    """Besides or instead of From, To, Subject, Date and Message-ID; an empty value leaves the field out."""
    body: str = "Hello\r\n"
    role: ListenerRole = ListenerRole.TRUSTED
    people: Sequence[Person] = PEOPLE
    accepted: Sequence[str] = ("example.com",)
    now: datetime = NOW
    max_variants: int = 50
    reverse_path: str = ""
    """Where it is another address than the sender's."""
    client: Mapping[str, Any] = field(default_factory=dict)
    """What is special about the client: fields of `Client`."""
    authentication: AuthenticationResults | None = None
    known_contacts: frozenset[str] | None = frozenset()
    readers: Readers = field(default_factory=Readers)
    charset: str = "utf-8"
    """By which header and body are encoded."""

    @property
    def message(self) -> bytes:
        fields = {
            "From": f"<{self.sender}>" if self.sender else "<jane@example.com>",
            "To": ", ".join(self.to),
            "Subject": "Offer",
            "Date": "Mon, 23 Nov 2026 10:00:00 +0000",
            "Message-ID": "<1@example.com>",
            **self.header,
        }
        lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value]
        return "".join([*lines, "\r\n", self.body]).encode(self.charset)

    def facts(self) -> Facts:
        message = parse(self.message)
        reverse_path = parse_address(self.reverse_path or self.sender) if self.sender else None
        envelope = Envelope(reverse_path, tuple(parse_address(address) for address in self.to))
        client = replace(Client("192.0.2.1", 2525, "mail.example.com", "test", self.role), **self.client)
        participants = Participants.of(message, envelope, client)
        known = {key: entry for entry in self.people for key in (entry.address, *entry.aliases)}
        people = {key: known[key] for key in participants.directory_keys if key in known}
        organisation = OrganisationFacts.of("default", self.accepted, {"website": "https://www.example.com"})
        classification = classify(message, reverse_path is None, is_trusted=client.is_trusted)
        return Facts(
            message, classification, participants, people, self.now, organisation, client=client,
            authentication=self.authentication, known_contacts=self.known_contacts, readers=self.readers,
        )  # fmt: skip

    def decide(self, text: str, trace: Trace | None = None, surroundings: Surroundings = SURROUNDINGS) -> Outcome:
        """The outcome under rules given as YAML."""
        return decide(rules(text, surroundings), self.facts(), Policy(next_hop, self.max_variants), trace)

    def applied(self, text: str) -> list[tuple[str, ...]]:
        """Per recipient, the names of the rules that applied."""
        return list(self.decide(text).rules)

    def matches(self, when: str) -> bool:
        """Whether a condition holds for the first recipient."""
        return bool(self.applied(rule(f"when: {when}"))[0])


def next_hop(recipient: Address, size_octets: int = 0, named: str = "") -> str:
    return named or "out"


def rule(*lines: str, name: str = "r", actions: str = "[tag-subject: {text: T}]") -> str:
    """One rule as a file; `lines` are more keys."""
    keys = "".join(f"    {line}\n" for line in lines)
    return f"rules:\n  - name: {name}\n{keys}    actions: {actions}\n"


def kinds(entry: RecipientDecision) -> list[str]:
    """The kinds of a recipient's actions."""
    return [action.kind for action in entry.actions]


def actions_of(outcome: Outcome, index: int = 0) -> tuple[Action, ...]:
    return outcome.decision.recipients[index].actions
