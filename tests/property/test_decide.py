"""What holds of every decision, whatever the rules and recipients."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.actions import Action
from mta.relay.decide import Policy, RuleSet, decide
from tests.unit.relay.decide.situation import Situation, next_hop, rules

VISIBLE = ("jane@example.com", "john@example.com", "a@customer.example", "b@customer.example", "j.doe@example.com")
HIDDEN = ("gone@example.com", "c@customer.example", "sales@example.com", "x@outside.example", "y@outside.example")

TESTS = (
    "direction: outbound",
    "recipient: {scope: internal}",
    "recipient: {domain: customer.example}",
    "recipient: {group: sales}",
    "recipient: {role: hidden}",
    "recipient: {address: '*a*@*'}",
    "recipient: {any: {scope: external}}",
    "recipient: {every: {scope: internal}}",
    "recipient: {any: {role: hidden}}",
    "recipient: {every: {role: [to, cc]}}",
    "sender: {group: sales}",
    "subject: {phrase: offer}",
    "kind: reply",
)
ACTIONS = (
    "stamp: {template: corporate}",
    "stamp: {template: dear}",
    "tag-subject: {text: T}",
    "set-header: {name: X-A, value: '{{ recipient.department }}'}",
    "set-header: {name: X-B, value: '{{ recipient.mail }}'}",
    "reject: {}",
    "drop: {}",
    "hold: {}",
    "route: {next_hop: archive}",
)

conditions = st.recursive(
    st.sampled_from([f"{{{test}}}" for test in TESTS]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{all: [{', '.join(parts)}]}}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{any: [{', '.join(parts)}]}}"),
        inner.map(lambda part: f"{{not: {part}}}"),
    ),
    max_leaves=4,
)
bodies = st.tuples(
    conditions,
    st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True),
    st.sampled_from(["next", "stop"]),
    st.sampled_from(["next", "next", "stop"]),
)


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    lines = ["rules:"]
    for number, (when, actions, on_match, on_no_match) in enumerate(draw(st.lists(bodies, max_size=4))):
        listed = ", ".join(f"{{{action}}}" for action in actions)
        lines += [
            f"  - name: r{number}", f"    when: {when}", f"    actions: [{listed}]", f"    on_match: {on_match}",
            f"    on_no_match: {on_no_match}",
        ]  # fmt: skip
    return rules("\n".join(lines) + "\n" if len(lines) > 1 else "rules: []\n")


visible_lists = st.lists(st.sampled_from(VISIBLE), min_size=1, unique=True)
hidden_lists = st.lists(st.sampled_from(HIDDEN), min_size=1, unique=True)
limits = st.sampled_from([1, 2, 50])
modest = settings(max_examples=120, deadline=None)


def decided(
    ruleset: RuleSet, recipients: Sequence[str], visible: Sequence[str], limit: int
) -> dict[str, tuple[tuple[Action, ...], str]]:
    situation = Situation(to=recipients, header={"To": ", ".join(visible)})
    outcome = decide(ruleset, situation.facts(), Policy(next_hop, limit))
    return {str(entry.recipient): (entry.actions, entry.next_hop) for entry in outcome.decision.recipients}


@modest
@given(rule_sets(), visible_lists, hidden_lists, limits)
def test_groups_partition_the_recipients(ruleset: RuleSet, visible: list[str], hidden: list[str], limit: int) -> None:
    situation = Situation(to=[*visible, *hidden], header={"To": ", ".join(visible)})
    decision = decide(ruleset, situation.facts(), Policy(next_hop, limit)).decision
    assert [str(entry.recipient) for entry in decision.recipients] == [*visible, *hidden]
    assert set(decision.group_actions()) == set(range(len(decision.group_actions())))
    for one in decision.recipients:
        for other in decision.recipients:
            assert (one.group == other.group) is (one.actions == other.actions)


@modest
@given(rule_sets(), visible_lists, st.data(), limits)
def test_the_order_of_recipients_changes_no_decision(
    ruleset: RuleSet, visible: list[str], data: st.DataObject, limit: int
) -> None:
    shuffled = data.draw(st.permutations(visible))
    assert decided(ruleset, visible, visible, limit) == decided(ruleset, shuffled, visible, limit)


@modest
@given(rule_sets(), visible_lists, hidden_lists, limits)
def test_hidden_recipients_never_change_what_visible_ones_get(
    ruleset: RuleSet, visible: list[str], hidden: list[str], limit: int
) -> None:
    without = decided(ruleset, visible, visible, limit)
    beside = decided(ruleset, [*hidden, *visible], visible, limit)
    assert {key: beside[key] for key in without} == without


@modest
@given(rule_sets(), visible_lists, hidden_lists)
def test_hidden_recipients_do_not_change_each_other_either(
    ruleset: RuleSet, visible: list[str], hidden: list[str]
) -> None:
    together = decided(ruleset, [*visible, *hidden], visible, 50)
    for address in hidden:
        alone = decided(ruleset, [*visible, address], visible, 50)
        assert alone[address] == together[address]
