"""Rules while the directory can't be asked about somebody: what doesn't depend on them goes on, the rest fails."""

from __future__ import annotations

import pytest

from mta.model.actions import OnError
from mta.model.decision import Role
from mta.model.person import UnansweredPerson
from mta.ports.directory import DirectoryDownError
from mta.relay.decide import Outcome, Trace
from tests.unit.relay.decide.situation import PEOPLE, Situation

UNKNOWN = UnansweredPerson("new@example.com", DirectoryDownError())
DOWN = (*PEOPLE, UNKNOWN)


def outcome(
    when: str, *, sender: str = "new@example.com", on_error: str = "reject", trace: Trace | None = None
) -> Outcome:
    text = f"rules:\n- name: x\n  when: {when}\n  on_error: {on_error}\n  actions: [route: {{next_hop: archive}}]\n"
    return Situation(sender=sender, people=DOWN).decide(text, trace)


@pytest.mark.parametrize(
    "when",
    [
        "{sender: {group: Sales}}",
        "{not: {sender: {group: Sales}}}",
        "{sender: {attribute: {name: department, equals: Sales}}}",
        "{sender: {disabled: true}}",
        "{all: [{subject: {phrase: offer}}, {sender: {group: Sales}}]}",
        "{all: [{sender: {group: Sales}}, {subject: {phrase: offer}}]}",
        "{any: [{sender: {group: Sales}}, {subject: {phrase: nothing like it}}]}",
    ],
)
def test_what_depends_on_the_answer_fails_as_the_rule_says(when: str) -> None:
    found = outcome(when)
    (failure,) = found.failures
    assert (failure.rule, failure.on_error) == ("x", OnError.REJECT)
    assert "DirectoryDownError" in failure.error
    assert found.reply is not None
    assert outcome(when, on_error="defer").reply is not None
    open_ = outcome(when, on_error="deliver-unstamped")
    assert open_.reply is None
    assert open_.decision.recipients[0].next_hop == "out"


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ("{sender: {address: new@example.com}}", True),
        ("{sender: {domain: example.com}}", True),
        ("{sender: {scope: internal}}", True),
        ("{all: [{subject: {phrase: nothing like it}}, {sender: {group: Sales}}]}", False),
        ("{all: [{sender: {group: Sales}}, {subject: {phrase: nothing like it}}]}", False),
        ("{any: [{sender: {group: Sales}}, {subject: {phrase: offer}}]}", True),
        ("{not: {any: [{sender: {group: Sales}}, {subject: {phrase: offer}}]}}", False),
    ],
)
def test_what_does_not_depend_on_it_goes_on(when: str, applies: bool) -> None:
    trace = Trace()
    found = outcome(when, trace=trace)
    assert found.failures == ()
    assert found.rules == ((("x",),) if applies else ((),))


def test_others_are_not_concerned() -> None:
    assert outcome("{sender: {group: Sales}}", sender="jane@example.com").rules == (("x",),)


def test_a_recipient_without_an_answer_is_ours_and_named_as_the_header_says() -> None:
    facts = Situation(to=("new@example.com", "buyer@customer.example"), people=DOWN).facts()
    assert [party.ours for party in facts.recipients] == [True, False]
    assert facts.recipients[0].role is Role.TO


def test_actions_that_print_the_unknown_fail_as_the_rule_says() -> None:
    text = (
        "rules:\n  - name: x\n    on_error: deliver-unstamped\n"
        "    actions: [{set-header: {name: X-Department, value: '{{ sender.department }}'}}]\n"
        "  - name: y\n    actions: [{set-header: {name: X-Seen, value: 'yes'}}]\n"
    )
    found = Situation(sender="new@example.com", people=DOWN).decide(text)
    assert [failure.rule for failure in found.failures] == ["x"]
    assert found.rules == (("y",),)
