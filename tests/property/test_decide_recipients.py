"""Whatever rules add, name and redirect: nobody gets a message twice, nobody who should loses it, no header tells."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.edit import joined
from mta.message.parse import parse
from mta.model.actions import Drop, Reject
from mta.model.decision import Decision, RecipientDecision
from mta.model.person import Person
from mta.relay.decide import Outcome
from mta.relay.stamp.content.header_actions import header_edits
from tests.unit.relay.decide.situation import Situation

PEOPLE = (
    Person("a@example.com", frozenset({"a2@example.com"}), manager="b@example.com"),
    Person("b@example.com", frozenset({"b2@example.com"}), manager="a@example.com"),
)
ADDRESSES = (
    "a@example.com",
    "A2@example.com",
    "b@example.com",
    "b2@example.com",
    "c@x.example",
    "D@x.example",
    "e@y.example",
)
IDENTITY = {"a2@example.com": "a@example.com", "b2@example.com": "b@example.com"}
address = st.sampled_from(ADDRESSES)
listed = st.lists(address, min_size=1, max_size=3).map(lambda some: f"[{', '.join(some)}]")
action = st.one_of(
    st.tuples(st.sampled_from(["forward-copy", "redirect"]), listed).map(lambda pair: f"{pair[0]}: {pair[1]}"),
    st.tuples(st.sampled_from(["to", "cc", "bcc"]), listed).map(
        lambda pair: f"add-recipients: {{{pair[0]}: {pair[1]}}}"
    ),
    st.sampled_from(["drop: {}", "reject: {text: No}", "hold: {}", "tag-subject: {text: T}"]),
)
one_rule = st.tuples(address, action)


def identity(text: object) -> str:
    return IDENTITY.get(str(text).lower(), str(text).lower())


def is_served(entry: RecipientDecision) -> bool:
    return not entry.is_redirected and not any(isinstance(action, Drop | Reject) for action in entry.actions)


def decided(to: list[str], named: list[str], written: list[tuple[str, str]]) -> tuple[Situation, Outcome]:
    text = "rules:\n" + "".join(
        f"- name: r{n}\n  when: {{recipient: {{address: {who}}}}}\n  actions: [{{{what}}}]\n"
        for n, (who, what) in enumerate(written)
    )
    # Cc names them so that the directory is asked for them.
    header = {"To": ", ".join(named), "Cc": "a@example.com, b@example.com"}
    situation = Situation(sender="jane@example.com", to=to, header=header, people=PEOPLE)
    return situation, situation.decide(text)


unique = st.lists(address, min_size=1, max_size=5, unique_by=str.lower)


@settings(deadline=None, max_examples=300)
@given(unique, unique, st.lists(one_rule, min_size=1, max_size=5))
def test_nobody_gets_it_twice_and_nobody_is_forgotten(
    to: list[str], header: list[str], written: list[tuple[str, str]]
) -> None:
    _, outcome = decided(to, header, written)
    entries = outcome.decision.recipients
    assert [str(entry.recipient) for entry in entries[: len(to)]] == to
    assert all(entry.is_added for entry in entries[len(to) :])
    served = [identity(entry.recipient) for entry in entries if is_served(entry)]
    envelope = {identity(entry.recipient) for entry in entries[: len(to)] if is_served(entry)}
    added = [identity(entry.recipient) for entry in entries[len(to) :]]
    assert len(added) == len(set(added))
    assert not envelope & set(added)
    for entry in entries[: len(to)]:
        if entry.is_redirected:
            assert served, "redirected to nobody"
    assert Decision.from_json(outcome.decision.to_json()) == outcome.decision


@settings(deadline=None, max_examples=300)
@given(unique, st.lists(address, max_size=3, unique_by=str.lower), st.lists(one_rule, min_size=1, max_size=5))
def test_no_header_names_who_was_hidden(to: list[str], header: list[str], written: list[tuple[str, str]]) -> None:
    situation, outcome = decided(to, header, written)
    named_by_rules = {
        name.lower()
        for _, what in written
        if re.search(r"\{(?:to|cc):", what)
        for name in re.findall(r"[\w.]+@[\w.]+", what)
    }
    allowed = (
        named_by_rules | {name.lower() for name in header} | {"jane@example.com", "a@example.com", "b@example.com"}
    )
    message = parse(situation.message)
    for entry in outcome.decision.recipients:
        edits, _ = header_edits(message, entry.actions)
        top = joined(message.data, edits).partition(b"\r\n\r\n")[0].decode()
        fields = re.findall(r"(?im)^(?:to|cc|bcc):(.*(?:\r\n[ \t].*)*)", top)
        assert {name.lower() for field in fields for name in re.findall(r"[\w.]+@[\w.]+", field)} <= allowed
