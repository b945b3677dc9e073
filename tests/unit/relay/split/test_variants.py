from __future__ import annotations

from mta.model.actions import Action, Drop, Reject, Stamp, TagSubject
from mta.model.address import parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import RecipientEntry
from mta.relay.split import variants

TAG = TagSubject(text="[External]")


def decided(*groups: tuple[Action, ...]) -> tuple[Decision, list[RecipientEntry]]:
    """One recipient per group, in order."""
    addresses = [parse_address(f"r{index}@example.net") for index in range(len(groups))]
    decisions = tuple(
        RecipientDecision(address, Direction.OUTBOUND, Role.TO, actions, index, "hop")
        for index, (address, actions) in enumerate(zip(addresses, groups, strict=True))
    )
    entries = [RecipientEntry(index, address, index, "hop") for index, address in enumerate(addresses)]
    return Decision(decisions), entries


def test_each_group_is_one_variant_with_its_actions() -> None:
    decision, entries = decided((TAG,), (Stamp(template="a"),), ())
    made = variants(decision, entries)
    assert [(variant.group, variant.actions) for variant in made] == [(0, (TAG,)), (1, (Stamp(template="a"),)), (2, ())]


def test_recipients_of_a_group_share_its_variant() -> None:
    decision, entries = decided((TAG,), ())
    late = RecipientEntry(7, parse_address("late@example.net"), 0, "hop")
    made = variants(decision, [*entries, late])
    assert [entry.index for entry in made[0].recipients] == [0, 7]


def test_only_groups_of_the_recipients_that_are_still_to_be_served() -> None:
    decision, entries = decided((TAG,), ())
    assert [variant.group for variant in variants(decision, entries[1:])] == [1]


def test_what_is_rejected_or_dropped_has_no_copy() -> None:
    decision, entries = decided((TAG, Reject()), (Drop(),), (TAG,))
    assert [variant.group for variant in variants(decision, entries)] == [2]


def test_nobody_to_serve() -> None:
    decision, _ = decided((TAG,))
    assert variants(decision, []) == []
