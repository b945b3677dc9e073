"""Conditions of sender and recipient beyond the address: who counts as the sender, units, groups, relations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mta.config.problems import ConfigurationError
from mta.model.envelope import ListenerRole
from mta.model.person import Person
from mta.relay.decide import Trace, Verdict
from tests.unit.relay.decide.situation import PEOPLE, SURROUNDINGS, Situation, rule, rules

BOSS = Person("boss@example.com", groups=frozenset({"board"}), unit="example.com/berlin")
JANE = replace(PEOPLE[0], manager="boss@example.com", unit="example.com/berlin/sales")
JOHN = replace(PEOPLE[1], manager="boss@example.com", unit="example.com/vienna/support")
LISA = Person(
    "lisa@example.com", attributes={"department": " SALES ", "company": "Example"}, groups=frozenset({"sales"}),
    manager="j.doe@example.com",
)  # fmt: skip
STAFF = (BOSS, JANE, JOHN, LISA, *PEOPLE[2:])
OUT = Situation(people=STAFF)
TO_BOSS = replace(OUT, to=("boss@example.com",))
TO_JOHN = replace(OUT, to=("john@example.com",))
TO_LISA = replace(OUT, to=("lisa@example.com",))
AS_GROUP = replace(OUT, header={"From": "sales@example.com", "Sender": "jane@example.com"})
FOR_BOSS = replace(OUT, header={"From": "Boss <boss@example.com>", "Sender": "Jane <jane@example.com>"})
SPOOF = replace(
    OUT, sender="evil@stranger.example", to=("john@example.com",), header={"From": "boss@example.com"},
    role=ListenerRole.INBOUND,
)  # fmt: skip

WITH_BOARD = replace(SURROUNDINGS, groups=frozenset({"sales", "support", "board"}))


@pytest.mark.parametrize(
    ("situation", "when", "expected"),
    [
        (OUT, "{sender: {unit: example.com/berlin}}", True),
        (OUT, "{sender: {unit: Example.com/Berlin/Sales/}}", True),
        (OUT, "{sender: {unit: example.com/ber}}", False),
        (OUT, "{sender: {unit: '*/sales'}}", True),
        (OUT, "{sender: {unit: 'example.com/*/support'}}", False),
        (TO_JOHN, "{recipient: {unit: [example.com/rome, example.com/vienna]}}", True),
        (OUT, "{recipient: {unit: '*'}}", False),
        (AS_GROUP, "{sender: {group_address: Sales}}", True),
        (AS_GROUP, "{sender: {group_address: '*'}}", True),
        (AS_GROUP, "{sender: {group_address: Support}}", False),
        (OUT, "{sender: {group_address: '*'}}", False),
        (replace(OUT, to=("sales@example.com",)), "{recipient: {group_address: Sal*}}", True),
        (TO_LISA, "{recipient: {group_address: '*'}}", False),
        (OUT, "{sender: {ldap: '(&(department=sales)(!(title=*)))'}}", True),
        (OUT, "{sender: {ldap: '(memberOf=CN=Support,OU=Groups,DC=example,DC=com)'}}", False),
        (OUT, "{recipient: {ldap: '(!(cn=nobody))'}}", False),
    ],
)
def test_directory(situation: Situation, when: str, expected: bool) -> None:
    assert situation.matches(when) is expected


@pytest.mark.parametrize(
    ("situation", "when", "expected"),
    [
        (FOR_BOSS, "{sender: {address: boss@example.com}}", True),
        (FOR_BOSS, "{sender: {by: delegate, group: Sales}}", True),
        (FOR_BOSS, "{sender: {by: header, group: Sales}}", False),
        (FOR_BOSS, "{sender: {on_behalf_of: true}}", True),
        (OUT, "{sender: {on_behalf_of: false}}", True),
        (replace(OUT, header={"Sender": "jane@example.com"}), "{sender: {on_behalf_of: true}}", False),
        (OUT, "{sender: {by: delegate, group: Sales}}", True),
        (replace(OUT, reverse_path="bounce@list.example"), "{sender: {by: envelope, domain: list.example}}", True),
        (replace(OUT, reverse_path="bounce@list.example"), "{sender: {domain: list.example}}", False),
        (replace(OUT, reverse_path="john@example.com"), "{sender: {by: envelope, group: Support}}", True),
        (SPOOF, "{sender: {by: header, group: Board}}", True),
        (SPOOF, "{sender: {by: header, scope: internal}}", False),
        (
            SPOOF,
            "{all: [{sender: {by: header, domain: example.com}}, {sender: {by: envelope, scope: external}}]}",
            True,
        ),
        (SPOOF, "{sender: {group: Board}}", False),
        (replace(SPOOF, sender=None), "{sender: {by: envelope, address: '*@*'}}", False),
    ],
)
def test_who_counts_as_the_sender(situation: Situation, when: str, expected: bool) -> None:
    assert bool(rules_applied(situation, when)) is expected


def rules_applied(situation: Situation, when: str) -> tuple[str, ...]:
    return situation.decide(rule(f"when: {when}"), surroundings=WITH_BOARD).rules[0]


@pytest.mark.parametrize(
    ("situation", "recipient", "expected"),
    [
        (TO_LISA, "same: department", True),
        (TO_JOHN, "same: department", False),
        (TO_JOHN, "different: department", True),
        (TO_LISA, "different: department", False),
        # Who has no department has neither the same nor a different one.
        (TO_BOSS, "same: department", False),
        (TO_BOSS, "different: department", False),
        (OUT, "different: department", False),
        (TO_LISA, "same: [department, displayName]", False),
        (TO_BOSS, "is: manager-of-sender", True),
        (TO_BOSS, "is: report-of-sender", False),
        (TO_LISA, "is: report-of-sender", True),
        (TO_LISA, "is: [manager-of-sender, report-of-sender]", True),
        (TO_JOHN, "is: peer-of-sender", True),
        (TO_LISA, "is: peer-of-sender", False),
        (replace(OUT, to=("j.doe@example.com",)), "is: sender", True),
        (replace(OUT, to=("j.doe@example.com",)), "is: peer-of-sender", False),
        (OUT, "is: sender", False),
        (TO_JOHN, "between: [Sales, Support]", True),
        (TO_JOHN, "between: [Support, Sales]", True),
        (TO_JOHN, "between: {from: Sales, to: [Support, Board]}", True),
        (TO_JOHN, "between: {from: Support, to: Sales}", False),
        (TO_LISA, "between: [Sales, Support]", False),
        (OUT, "first_contact: true", True),
        (replace(OUT, known_contacts=frozenset({"buyer@customer.example"})), "first_contact: true", False),
        (replace(OUT, known_contacts=frozenset({"buyer@customer.example"})), "first_contact: false", True),
    ],
)
def test_relations(situation: Situation, recipient: str, expected: bool) -> None:
    assert bool(rules_applied(situation, f"{{recipient: {{{recipient}}}}}")) is expected
    of_nobody = replace(situation, sender=None, role=ListenerRole.INBOUND, header={"From": ""})
    assert not rules_applied(of_nobody, f"{{recipient: {{{recipient}}}}}")


def test_relations_hold_for_each_recipient_by_itself() -> None:
    situation = replace(OUT, to=("lisa@example.com", "john@example.com", "buyer@customer.example"))
    names = situation.applied(rule("when: {recipient: {any: {same: department}}}"))
    assert [bool(each) for each in names] == [True, True, True]
    assert [bool(each) for each in situation.applied(rule("when: {recipient: {same: department}}"))] == [
        True, False, False,
    ]  # fmt: skip


def test_contacts_that_nobody_looked_up_fail_the_rule() -> None:
    situation = replace(OUT, known_contacts=None)
    outcome = situation.decide(rule("when: {recipient: {first_contact: true}}", "on_error: defer"))
    assert [failure.rule for failure in outcome.failures] == ["r"]
    assert outcome.reply is not None
    assert outcome.reply.code == 451


def test_only_a_rule_that_asks_needs_the_contacts() -> None:
    assert rules(rule("when: {any: [{not: {recipient: {any: {first_contact: true}}}}]}")).asks_first_contact
    assert not rules(rule("when: {recipient: {role: to}}")).asks_first_contact
    assert not rules(rule("when: {recipient: {first_contact: true}}", "enabled: false")).asks_first_contact


@pytest.mark.parametrize(
    ("lines", "what", "mend"),
    [
        ("when: {sender: {by: header}}", "says nothing", "write one or more of address"),
        ("when: {sender: {unit: 'OU=Sales,DC=example'}}", "is no path of a unit", "outermost first"),
        ("when: {sender: {ldap: '(&(cn=x)'}}", "LDAP filter: a ) is missing at character 9", "close each"),
        ("when: {recipient: {same: departmnt}}", "no attribute 'departmnt'", "department"),
        ("when: {recipient: {between: [Sales]}}", "needs two groups", "write [Sales, Support]"),
        ("when: {recipient: {between: [Sales, Supprt]}}", "no group 'Supprt'", "support"),
        ("when: {sender: {group_address: Seles}}", "no group 'Seles'", "sales"),
        ("when: {recipient: {is: boss}}", "boss", "manager-of-sender"),
        ("pilot: Seles", "no group 'Seles'", "sales"),
    ],
)
def test_what_makes_no_sense_is_reported(lines: str, what: str, mend: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(lines))
    problems = caught.value.problems
    assert any(what in problem.what and mend in f"{problem.what} {problem.mend}" for problem in problems), problems
    assert all(problem.line == 3 for problem in problems)


# --- pilot ------------------------------------------------------------------------------------------------------------

PILOT = rule("pilot: Sales", "when: {subject: {phrase: offer}}")
INBOUND = Situation(
    sender="buyer@customer.example", to=("jane@example.com", "john@example.com"), role=ListenerRole.INBOUND,
)  # fmt: skip


def test_a_pilot_is_live_for_its_senders_and_audited_for_others() -> None:
    assert Situation().applied(PILOT) == [("r",)]
    other = Situation(sender="john@example.com").decide(PILOT)
    assert other.rules == ((),)
    assert [str(address) for audited in other.audited for address in audited.recipients] == ["buyer@customer.example"]


def test_a_pilot_is_live_for_recipients_of_mail_from_outside() -> None:
    trace = Trace()
    outcome = INBOUND.decide(PILOT, trace)
    assert outcome.rules == (("r",), ())
    assert [str(address) for audited in outcome.audited for address in audited.recipients] == ["john@example.com"]
    verdicts = [trace.steps(rules(PILOT), index)[0].verdict for index in (0, 1)]
    assert verdicts == [Verdict.APPLIED, Verdict.AUDITED]


@pytest.mark.parametrize(
    ("subject", "stop", "of_member"),
    [("offer", "on_match: stop", ("r",)), ("nothing like it", "on_no_match: stop", ())],
)
def test_a_pilot_ends_no_walk_but_its_own(subject: str, stop: str, of_member: tuple[str, ...]) -> None:
    first = rule("pilot: Sales", f"when: {{subject: {{phrase: {subject}}}}}", stop)
    both = first + rule(name="second").removeprefix("rules:\n")
    assert INBOUND.applied(both) == [of_member, ("second",)]


def test_a_failing_pilot_fails_gently_for_the_rest() -> None:
    failing = rule("pilot: Sales", "when: {recipient: {first_contact: true}}", "on_error: reject")
    outcome = replace(INBOUND, known_contacts=None).decide(failing)
    assert [entry.actions[0].kind if entry.actions else "" for entry in outcome.decision.recipients] == ["reject", ""]
    assert {failure.on_error.value for failure in outcome.failures} == {"reject", "deliver-unstamped"}
