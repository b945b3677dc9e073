"""What deciding costs: 500 rules, 50 recipients, in ms of CPU for a message: `python -m tests.bench.decide`.

Three sets of rules: tests of addresses and the directory only; every kind of test; 100 rules that look into a body of
10 kB. The figures are the fastest of several rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mta.message.classify import classify
from mta.message.parse import parse
from mta.model.address import Address, parse_address
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client, Envelope, ListenerRole
from mta.model.person import Person
from mta.relay.decide import Facts, OrganisationFacts, Participants, Policy, RuleSet, Surroundings, decide, load_rules

RULES = 500
RECIPIENTS = 50
ROUNDS = 30
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
GROUPS = [f"group{n}" for n in range(100)]
WORDS = "the offer that you asked for is attached and valid until the end of this month with kind regards "
ADDRESSES = (
    "recipient: {{address: '*{n}@example.com'}}",
    "sender: {{group: group{n}}}",
    "recipient: {{group: group{n}}}",
    "recipient: {{domain: ['d{n}.example', '*.e{n}.example']}}",
    "recipient: {{attribute: {{name: department, equals: Dept{n}}}}}",
    "sender: {{attribute: {{name: department, matches: 'dept{n}$'}}}}",
    "subject: {{phrase: 'word{n}'}}",
    "all: [{{recipient: {{scope: external}}}}, {{not: {{recipient: {{domain: 'x{n}.example'}}}}}}]",
)
EVERYTHING = (
    *ADDRESSES,
    "recipient: {{ldap: '(&(department=dept{n})(!(title=*head*)))'}}",
    "recipient: {{unit: corp.example/site{n}}}",
    "recipient: {{same: department, is: peer-of-sender}}",
    "recipient: {{between: [group{n}, group{m}]}}",
    "sender: {{by: envelope, address: 'list{n}@*'}}",
    "recipient: {{attribute: {{name: title, matches: 'head.*{n}'}}}}",
    "header: {{name: X-Tag{n}, contains: 'value'}}",
    "importance: high",
    "classification: 'Secret {n}'",
    "recipients: {{over: {n}}}",
    "time: {{hours: '22:00-06:00', nth_weekday: first mon, timezone: Europe/Berlin}}",
    "client: {{network: 10.{n}.0.0/16}}",
    "authentication: {{dmarc: fail}}",
    "body: {{phrase: 'project {n} falcon'}}",
    "body: {{keywords: [iban{n}, 'konto{n}*'], within: newest}}",
    "body: {{regex: '\\b{n}\\d{{4}}-\\d{{4}}\\b'}}",
    "subject: {{keywords: [offer{n}, invoice{n}]}}",
    "recipient: {{any: {{group: group{n}}}}}",
)
BODIES = (
    "body: {{phrase: 'project {n} falcon'}}",
    "body: {{keywords: [iban{n}, konto{n}, bic{n}, account{n}]}}",
    "body: {{regex: '\\b{n}\\d{{4}}-\\d{{4}}\\b'}}",
    "body: {{regex: '\\b[A-Z]{{2}}{n}[0-9 ]{{10,20}}\\b'}}",
)


def rule_set(kinds: Sequence[str], count: int) -> RuleSet:
    """Rules that use these tests in turn, each with other values."""
    lines = ["rules:"]
    for n in range(count):
        condition = kinds[n % len(kinds)].format(n=n % 97, m=(n + 1) % 97)
        lines += [
            f"- name: r{n}",
            f"  when: {{{condition}}}",
            f"  actions: [{{set-header: {{name: X-R{n}, value: v}}}}]",
        ]
    with tempfile.TemporaryDirectory() as name:
        Path(name, "rules.yaml").write_text("\n".join(lines))
        return load_rules(Path(name), Surroundings(None, None, None, None, None))


def facts_of_a_message() -> Callable[[], Facts]:
    """Makes the facts of the same message anew each time, as an arrival does."""
    recipients = tuple(parse_address(f"r{n}@{'example.com' if n % 2 else f'd{n}.example'}") for n in range(RECIPIENTS))
    body = (WORDS * 110)[:10_240]
    names = ", ".join(str(address) for address in recipients)
    data = (
        f"From: jane@example.com\r\nTo: {names}\r\nSubject: Offer word\r\nX-Tag1: value\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n{body}\r\n"
    ).encode()
    people = {
        key: Person(
            key, attributes={"department": f"Dept{n % 20}", "title": "Head of this"},
            groups=frozenset(GROUPS[(n * k) % 100] for k in range(1, 6)), manager="boss@example.com",
            unit=f"corp.example/site{n % 7}/team",
        )
        for n, key in enumerate(["jane@example.com", *(address.key for address in recipients[1::2])])
    }  # fmt: skip
    client = Client("192.0.2.1", 1, "exchange.example.com", "exchange", ListenerRole.TRUSTED)
    envelope = Envelope(parse_address("jane@example.com"), recipients)
    organisation = OrganisationFacts.of("default", ["example.com"], {})

    def make() -> Facts:
        message = parse(data)
        return Facts(
            message, classify(message, False), Participants.of(message, envelope, client), people, NOW, organisation,
            client=client, authentication=AuthenticationResults(), known_contacts=frozenset(),
        )  # fmt: skip

    return make


def fastest_ms(rules: RuleSet, make: Callable[[], Facts]) -> float:
    def next_hop(recipient: Address, size_octets: int = 0, named: str = "") -> str:
        return named or "out"

    policy = Policy(next_hop)
    times = []
    for _ in range(ROUNDS):
        facts = make()
        began = time.process_time_ns()
        decide(rules, facts, policy)
        times.append(time.process_time_ns() - began)
    return min(times) / 1e6


def main() -> None:
    make = facts_of_a_message()
    for name, kinds, count in (
        ("addresses and directory", ADDRESSES, RULES),
        ("every kind of test", EVERYTHING, RULES),
        ("100 rules on the body", BODIES, 100),
    ):
        print(f"{name:<26} {fastest_ms(rule_set(kinds, count), make):6.2f} ms: {count} rules, {RECIPIENTS} recipients")


if __name__ == "__main__":
    main()
