from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.actions import Action, Drop, Reject, TagSubject
from mta.model.address import parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import RecipientEntry
from mta.relay.split import variants

ACTIONS = st.lists(st.sampled_from([TagSubject(text="a"), TagSubject(text="b"), Drop(), Reject()]), max_size=3).map(
    tuple
)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Decision, list[RecipientEntry]]:
    actions: list[tuple[Action, ...]] = draw(st.lists(ACTIONS, min_size=1, max_size=4))
    groups = draw(st.lists(st.integers(0, len(actions) - 1), max_size=12))
    addresses = [parse_address(f"r{index}@example.net") for index in range(len(groups))]
    decision = Decision(
        tuple(
            RecipientDecision(address, Direction.INBOUND, Role.HIDDEN, actions[group], group, "hop")
            for address, group in zip(addresses, groups, strict=True)
        )
    )
    entries = [RecipientEntry(i, addresses[i], group, "hop") for i, group in enumerate(groups)]
    return decision, draw(st.permutations(entries))


@given(decisions())
@settings(max_examples=150, deadline=None)
def test_variants_partition_the_recipients_who_get_a_copy(made: tuple[Decision, list[RecipientEntry]]) -> None:
    decision, entries = made
    found = variants(decision, entries)
    served = [entry for variant in found for entry in variant.recipients]
    actions = decision.group_actions()
    due = [entry for entry in entries if not any(isinstance(a, Drop | Reject) for a in actions[entry.group])]
    assert sorted(entry.index for entry in served) == sorted(entry.index for entry in due)
    assert len({variant.group for variant in found}) == len(found)
    for variant in found:
        assert {entry.group for entry in variant.recipients} == {variant.group}
        assert variant.actions == actions[variant.group]
        order = [entries.index(entry) for entry in variant.recipients]
        assert order == sorted(order)
