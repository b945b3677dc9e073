"""`splitting: off`: everybody gets the content that one recipient's rules decide."""

from __future__ import annotations

from collections.abc import Sequence

from mta.model.decision import Direction
from mta.relay.decide import Outcome, Policy, decide
from tests.unit.relay.decide.situation import Situation, kinds, next_hop, rules

TAGS = """
rules:
  - name: inside
    when: {recipient: {scope: internal}}
    actions: [tag-subject: {text: Inside}]
  - name: outside
    when: {recipient: {scope: external}}
    actions: [tag-subject: {text: Outside}]
  - name: archive
    when: {recipient: {address: john@example.com}}
    actions: [route: {next_hop: archive}]
  - name: no-auditor
    when: {recipient: {address: auditor@other.example}}
    actions: [reject: {}]
"""


def decided(situation: Situation, text: str = TAGS) -> Outcome:
    policy = Policy(next_hop, is_splitting=False)
    return decide(rules(text), situation.facts(), policy)


def tags(outcome: Outcome) -> list[list[str]]:
    return [[getattr(action, "text", "") for action in entry.actions] for entry in outcome.decision.recipients]


def test_one_external_recipient_makes_it_the_external_one() -> None:
    outcome = decided(Situation(to=("john@example.com", "buyer@customer.example", "jane@example.com")))
    assert tags(outcome) == [["Outside"], ["Outside"], ["Outside"]]
    assert {entry.group for entry in outcome.decision.recipients} == {0}
    assert outcome.decision.recipients[0].direction is Direction.INTERNAL


def test_where_it_goes_stays_each_recipients_own() -> None:
    outcome = decided(Situation(to=("john@example.com", "buyer@customer.example")))
    assert [entry.next_hop for entry in outcome.decision.recipients] == ["archive", "out"]


def test_who_is_refused_stays_so_and_decides_nothing() -> None:
    outcome = decided(Situation(to=("auditor@other.example", "john@example.com")))
    assert outcome.reply is None
    assert kinds(outcome.decision.recipients[0]) == ["reject"]
    assert tags(outcome)[1] == ["Inside"]


BY_NAME = """
rules:
  - name: john
    when: {recipient: {address: john@example.com}}
    actions: [tag-subject: {text: John}]
  - name: gone
    when: {recipient: {address: gone@example.com}}
    actions: [tag-subject: {text: Gone}]
"""


def who_decides(envelope: Sequence[str], header: dict[str, str]) -> str:
    outcome = decided(Situation(to=envelope, header=header), BY_NAME)
    (text,) = {texts[0] if texts else "" for texts in tags(outcome)}
    return text


def test_to_comes_before_cc_and_the_header_before_the_envelope() -> None:
    envelope = ("gone@example.com", "john@example.com")
    assert who_decides(envelope, {"To": "john@example.com, gone@example.com"}) == "John"
    assert who_decides(envelope, {"To": "gone@example.com", "Cc": "john@example.com"}) == "Gone"
    assert who_decides(envelope, {"To": "john@example.com", "Cc": "gone@example.com"}) == "John"
    assert who_decides(envelope, {"To": "someone@example.com"}) == "Gone"


def test_a_rule_may_say_it_for_itself_alone() -> None:
    text = TAGS.replace(
        "    actions: [tag-subject: {text: Inside}]", "    splitting: off\n    actions: [tag-subject: {text: Inside}]"
    )
    situation = Situation(to=("john@example.com", "jane@example.com"))
    assert [entry[0] for entry in tags(situation.decide(text))] == ["Inside", "Inside"]
    mixed = Situation(to=("john@example.com", "buyer@customer.example"))
    assert tags(mixed.decide(text)) == [[], ["Outside"]]


def test_a_rule_without_splitting_still_stops_only_those_who_match() -> None:
    text = """
rules:
  - name: customers
    splitting: off
    when: {recipient: {domain: customer.example}}
    actions: [tag-subject: {text: Customer}, route: {next_hop: archive}]
    on_match: stop
  - name: all
    actions: [tag-subject: {text: All}]
"""
    outcome = Situation(to=("john@example.com", "buyer@customer.example")).decide(text)
    assert tags(outcome) == [["Customer", "All"], ["Customer"]]
    assert [entry.next_hop for entry in outcome.decision.recipients] == ["out", "archive"]


def test_a_stamp_that_speaks_of_the_recipient_speaks_of_the_one_who_decides() -> None:
    text = "rules:\n  - name: dear\n    actions: [stamp: {template: dear}]\n"
    outcome = decided(Situation(to=("john@example.com", "buyer@customer.example")), text)
    stamps = [entry.actions[0] for entry in outcome.decision.recipients]
    assert {getattr(stamp, "recipient", "") for stamp in stamps} == {"buyer@customer.example"}


HIDDEN = Situation(to=("john@example.com", "buyer@customer.example"), header={"To": "john@example.com"})
SPEAKING = """
rules:
  - name: dear
    when: {recipient: {scope: external}}
    actions:
      - stamp: {template: dear}
      - set-header: {name: X-For, value: "{{ recipient.mail }}"}
      - tag-subject: {text: Outside}
"""


def test_a_hidden_recipient_may_decide_and_is_not_told_of() -> None:
    for outcome in (
        decided(HIDDEN, SPEAKING),
        HIDDEN.decide(SPEAKING.replace("    when", "    splitting: off\n    when")),
    ):
        for entry in outcome.decision.recipients:
            assert kinds(entry) == ["stamp", "tag-subject"]
            assert "buyer" not in repr(entry.actions)


def test_a_hidden_recipient_who_is_alone_is_spoken_of() -> None:
    outcome = decided(Situation(header={"To": "undisclosed-recipients:;"}), SPEAKING)
    assert kinds(outcome.decision.recipients[0]) == ["stamp", "set-header", "tag-subject"]
    assert getattr(outcome.decision.recipients[0].actions[0], "recipient", "") == "buyer@customer.example"


UNSPLIT = """
rules:
  - name: r
    splitting: "off"
    on_error: {on_error}
    actions: [set-reply-to: manager, hold: {{}}{more}]
"""


def test_whom_a_failing_rule_rejects_is_not_held_instead() -> None:
    outcome = Situation(to=("john@example.com", "jane@example.com")).decide(UNSPLIT.format(on_error="reject", more=""))
    assert [kinds(entry) for entry in outcome.decision.recipients] == [["reject"], ["reject"]]
    assert outcome.reply is not None
    assert outcome.reply.is_permanent


def test_a_rule_that_fails_does_nothing_else_either() -> None:
    text = UNSPLIT.format(on_error="deliver-unstamped", more=", forward-copy: legal@example.com")
    outcome = Situation(to=("john@example.com", "jane@example.com")).decide(text)
    assert [kinds(entry) for entry in outcome.decision.recipients] == [[], []]
