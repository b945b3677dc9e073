"""The walk through the rules: directions, roles, stopping, actions, groups, replies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mta.model.actions import Drop, OnError, Reject, SetHeader, Stamp, TagSubject
from mta.model.decision import Decision, Direction, Role
from mta.model.envelope import ListenerRole
from mta.model.person import Person
from mta.model.reply import INTERNAL_ERROR
from mta.relay.decide import Parties, Policy, Trace, Verdict, undecided
from mta.relay.decide.walk import decide
from tests.unit.relay.decide.situation import Situation, actions_of, kinds, next_hop, rule, rules

NO_RULES = "rules: []\n"
BOTH = Situation(to=("john@example.com", "buyer@customer.example"))
OUTSIDE_ONLY = "when: {recipient: {scope: external}}"


def together(*texts: str) -> str:
    return "rules:\n" + "".join(text.removeprefix("rules:\n") for text in texts)


def test_without_rules_everyone_shares_the_untouched_copy() -> None:
    outcome = BOTH.decide(NO_RULES)
    assert [entry.group for entry in outcome.decision.recipients] == [0, 0]
    assert all(entry.actions == () for entry in outcome.decision.recipients)
    assert outcome.reply is None
    assert outcome.decision.sender == "jane@example.com"


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation(), Direction.OUTBOUND),
        (Situation(to=("john@EXAMPLE.com",)), Direction.INTERNAL),
        (Situation(sender="x@y.example", to=("john@example.com",)), Direction.INBOUND),
        (Situation(sender="x@y.example"), Direction.FORWARDED),
        (Situation(to=("john@example.com",), role=ListenerRole.INBOUND), Direction.INBOUND),
        (Situation(sender="srs0=x@bounce.example", header={"From": "jane@example.com"}), Direction.OUTBOUND),
        (Situation(to=("partner@example.com",)), Direction.OUTBOUND),
        (
            Situation(to=("x@tenant.onmicrosoft.com",), accepted=("example.com", "tenant.onmicrosoft.com")),
            Direction.INTERNAL,
        ),
        (Situation(sender=None, header={"From": "jane@example.com"}), Direction.OUTBOUND),
    ],
)
def test_direction(situation: Situation, expected: Direction) -> None:
    assert situation.decide(NO_RULES).decision.recipients[0].direction is expected


def test_a_stranger_who_writes_our_from_is_judged_by_the_envelope() -> None:
    spoofed = Situation(
        sender="evil@stranger.example", to=("john@example.com",), header={"From": "jane@example.com"},
        role=ListenerRole.INBOUND,
    )  # fmt: skip
    assert not spoofed.matches("{sender: {group: Sales}}")
    assert spoofed.matches("{sender: {domain: stranger.example}}")


@pytest.mark.parametrize(
    ("recipient", "header", "expected"),
    [
        ("john@example.com", {"To": "John <john@example.com>"}, Role.TO),
        ("john@example.com", {"To": "x@y.example", "Cc": "JOHN@example.com"}, Role.CC),
        ("john@example.com", {"To": "x@y.example"}, Role.HIDDEN),
        ("jane@example.com", {"To": "j.doe@example.com"}, Role.TO),
        ("j.doe@example.com", {"To": "x@y.example", "Cc": "jane@example.com"}, Role.CC),
        ("jane@example.com", {"To": "sales@example.com"}, Role.TO),
        ("john@example.com", {"To": "sales@example.com"}, Role.HIDDEN),
        ("john@example.com", {"To": "", "Resent-To": "john@example.com"}, Role.TO),
        ("john@example.com", {"To": "undisclosed-recipients:;"}, Role.HIDDEN),
    ],
)
def test_role(recipient: str, header: dict[str, str], expected: Role) -> None:
    outcome = Situation(to=(recipient,), header=header).decide(NO_RULES)
    assert outcome.decision.recipients[0].role is expected


def test_recipients_with_equal_actions_share_a_group_whatever_their_next_hop_and_direction() -> None:
    text = together(
        rule(name="tag"),
        rule(OUTSIDE_ONLY, name="route", actions="[route: {next_hop: archive}]"),
    )
    decision = BOTH.decide(text).decision
    assert [(entry.group, entry.next_hop) for entry in decision.recipients] == [(0, "out"), (0, "archive")]
    assert Decision.from_json(decision.to_json()) == decision


def test_different_actions_make_different_groups() -> None:
    outcome = BOTH.decide(rule(OUTSIDE_ONLY, actions="[stamp: {template: corporate, place: reply}]"))
    assert [entry.group for entry in outcome.decision.recipients] == [0, 1]
    assert outcome.rules == ((), ("r",))


def test_a_template_that_speaks_of_the_recipient_makes_a_group_for_each() -> None:
    decision = BOTH.decide(rule(actions="[stamp: {template: dear}]")).decision
    assert [entry.group for entry in decision.recipients] == [0, 1]
    stamps = [entry.actions[0] for entry in decision.recipients]
    assert [stamp.recipient for stamp in stamps if isinstance(stamp, Stamp)] == [
        "john@example.com", "buyer@customer.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("on_match: stop", (("a",), ("b",))),
        ("on_match: next", (("a", "b"), ("b",))),
        ("on_no_match: stop", (("a", "b"), ())),
        ("enabled: false", (("b",), ("b",))),
        ("mode: audit", (("b",), ("b",))),
    ],
)
def test_stopping(first: str, expected: tuple[tuple[str, ...], ...]) -> None:
    text = together(rule("when: {recipient: {scope: internal}}", first, name="a"), rule(name="b"))
    assert BOTH.decide(text).rules == expected


@pytest.mark.parametrize("actions", ["", ", actions: []"])
def test_a_rule_may_do_nothing_but_stop(actions: str) -> None:
    stop = f"rules:\n  - {{name: a, when: {{recipient: {{scope: internal}}}}, on_match: stop{actions}}}\n"
    outcome = BOTH.decide(together(stop, rule(name="b")))
    assert outcome.rules == (("a",), ("b",))
    assert [kinds(entry) for entry in outcome.decision.recipients] == [[], ["tag-subject"]]


def test_an_audited_rule_only_tells() -> None:
    outcome = BOTH.decide(rule(OUTSIDE_ONLY, "mode: audit", "on_match: stop", actions="[drop]"))
    assert all(entry.actions == () for entry in outcome.decision.recipients)
    (audited,) = outcome.audited
    assert audited.rule == "r"
    assert [str(address) for address in audited.recipients] == ["buyer@customer.example"]
    assert audited.actions == ("drop",)


def test_reject_for_all_answers_and_ends_the_walk() -> None:
    text = together(
        rule(name="a", actions="[{tag-subject: {text: T}}, {reject: {code: 554, status: 5.7.9, text: No}}]"),
        rule(name="b"),
    )
    outcome = BOTH.decide(text)
    assert str(outcome.reply) == "554 5.7.9 No"
    assert outcome.rules == (("a",), ("a",))
    assert [kinds(entry) for entry in outcome.decision.recipients] == [["reject"], ["reject"]]


def test_reject_for_some_is_no_reply() -> None:
    outcome = BOTH.decide(rule(OUTSIDE_ONLY, actions="[reject]"))
    assert outcome.reply is None
    assert isinstance(actions_of(outcome, 1)[0], Reject)


def test_reject_and_defer_together_defer() -> None:
    text = together(
        rule(OUTSIDE_ONLY, name="a", actions="[reject]"), rule(name="b", actions="[defer: {text: Later please}]")
    )
    assert str(BOTH.decide(text).reply) == "451 4.7.1 Later please"


def test_a_defer_for_one_defers_the_message() -> None:
    # An accepted message is never decided again, so its deferred recipients would wait for nothing.
    assert str(BOTH.decide(rule(OUTSIDE_ONLY, actions="[defer: {text: Later}]")).reply) == "451 4.7.1 Later"


def test_dropped_for_all_is_accepted() -> None:
    outcome = BOTH.decide(rule(actions="[drop]"))
    assert outcome.reply is None
    assert actions_of(outcome) == (Drop(),)


def test_hold_keeps_the_rest_of_the_decision() -> None:
    text = together(rule(name="a", actions="[hold: {reason: large}]"), rule(name="b"))
    assert kinds(Situation().decide(text).decision.recipients[0]) == ["hold", "tag-subject"]


def test_the_last_route_counts() -> None:
    text = together(
        rule(name="a", actions="[route: {next_hop: archive}]"), rule(name="b", actions="[route: {next_hop: out}]")
    )
    assert Situation().decide(text).decision.recipients[0].next_hop == "out"


SIGNED = Situation(
    header={"Content-Type": 'multipart/signed; boundary="b"; protocol="application/pkcs7-signature"; micalg=sha-256'},
    body="--b\r\n\r\nHello\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n",
)


def test_untouchable_mail_keeps_its_bytes_but_not_its_way() -> None:
    outcome = SIGNED.decide(rule(actions="[{tag-subject: {text: T}}, {set-header: {name: X-A, value: b}}, {hold: {}}]"))
    assert kinds(outcome.decision.recipients[0]) == ["hold"]
    assert outcome.withheld[0].rule == "r"


AUTO_REPLY = Situation(header={"Auto-Submitted": "auto-replied"})
OOF_TO_US = Situation(
    sender=None, to=("jane@example.com",), role=ListenerRole.INBOUND,
    header={"From": "x@y.example", "Auto-Submitted": "auto-replied"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "when", "touched"),
    [
        (AUTO_REPLY, "{kind: [new, auto-reply, out-of-office]}", True),
        (AUTO_REPLY, "{direction: outbound}", False),
        (AUTO_REPLY, "{not: {kind: reply}}", False),
        (AUTO_REPLY, "{any: [{kind: auto-reply}, {direction: inbound}]}", True),
        (OOF_TO_US, "{kind: null-reverse-path}", True),
        (OOF_TO_US, "{direction: inbound}", False),
    ],
)
def test_automatic_mail_is_touched_only_by_name(situation: Situation, when: str, touched: bool) -> None:
    outcome = situation.decide(rule(f"when: {when}"))
    assert outcome.rules[0] == ("r",)
    assert bool(actions_of(outcome)) is touched


MANY = Situation(to=tuple(f"p{n}@customer.example" for n in range(4)), max_variants=3)


def test_too_many_variants_lose_what_depends_on_the_recipient() -> None:
    header = "{set-header: {name: X-For, value: '{{ recipient.mail }}'}}"
    actions = f"[{{stamp: {{template: dear}}}}, {header}, {{tag-subject: {{text: T}}}}]"
    outcome = MANY.decide(rule(actions=actions))
    assert outcome.too_many_variants == 4
    assert {entry.group for entry in outcome.decision.recipients} == {0}
    assert actions_of(outcome) == (Stamp(template="dear"), TagSubject(text="T"))


def test_as_many_variants_as_allowed_are_kept() -> None:
    outcome = Situation(to=MANY.to[:3], max_variants=3).decide(rule(actions="[stamp: {template: dear}]"))
    assert outcome.too_many_variants == 0
    assert {entry.group for entry in outcome.decision.recipients} == {0, 1, 2}


def test_hidden_recipients_lose_theirs_before_visible_ones_do() -> None:
    visible = MANY.to[:3]
    outcome = Situation(to=MANY.to, header={"To": ", ".join(visible)}, max_variants=3).decide(
        rule(actions="[stamp: {template: dear}]")
    )
    recipients = [a.recipient for e in outcome.decision.recipients for a in e.actions if isinstance(a, Stamp)]
    assert recipients == [*visible, ""]
    assert outcome.too_many_variants == 4


def header_value(value: str, situation: Situation = BOTH) -> list[str]:
    outcome = situation.decide(rule(actions=f"[set-header: {{name: X-A, value: {value!r}}}]"))
    return [a.value for e in outcome.decision.recipients for a in e.actions if isinstance(a, SetHeader)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("fixed", ["fixed", "fixed"]),
        ("{{ sender.department }}", ["Sales", "Sales"]),
        ("{{ sender.mobile }}", []),
        ("{{ sender.mobile or 'none' }}", ["none", "none"]),
        ("{{ recipient.displayName }}", ["John"]),
        ("{{ recipient.mail }}", ["john@example.com", "buyer@customer.example"]),
        ("{{ message.subject|upper }} of {{ message.from }}", ["OFFER of jane@example.com"] * 2),
        ("{{ message.message_id }}", ["<1@example.com>"] * 2),
        ("{{ organisation.website }}", ["https://www.example.com"] * 2),
        ("{{ organisation.name }} {{ rule }} {{ now.strftime('%Y') }}", ["default r 2026"] * 2),
    ],
)
def test_header_values(value: str, expected: list[str]) -> None:
    assert header_value(value) == expected


def test_header_values_follow_sender_directory_and_message() -> None:
    value = "{{ sender.department }} of {{ manager.displayName }}"
    ruleset = rules(
        "rules:\n"
        f"  - {{name: a, actions: [set-header: {{name: X-A, value: '{value}'}}]}}\n"
        "  - {name: b, actions: [set-header: {name: X-B, value: '{{ message.subject }}'}]}\n"
    )

    def values(sender: str, subject: str, *people: Person) -> list[str]:
        situation = Situation(sender=sender, header={"Subject": subject}, to=["boss@example.com"], people=people)
        (entry,) = decide(ruleset, situation.facts(), Policy(next_hop)).decision.recipients
        return [action.value for action in entry.actions if isinstance(action, SetHeader)]

    boss, chief = (Person("boss@example.com", attributes={"displayName": name}) for name in ("Boss", "Chief"))
    jane = Person("jane@example.com", attributes={"department": "Sales"}, manager="boss@example.com")
    promoted = replace(jane, attributes={"department": "Board"})
    assert values("jane@example.com", "1", jane, boss) == ["Sales of Boss", "1"]
    assert values("jane@example.com", "2", jane, boss) == ["Sales of Boss", "2"]
    assert values("jane@example.com", "3", jane, chief) == ["Sales of Chief", "3"]
    assert values("jane@example.com", "4", promoted, chief) == ["Board of Chief", "4"]
    assert values("john@example.com", "5", promoted, chief) == ["of", "5"]
    assert values("jane@example.com", "6", jane, boss) == ["Sales of Boss", "6"]


def test_equal_header_values_share_a_group() -> None:
    same = Situation(to=("john@example.com", "nobody@example.com"))
    text = rule(actions="[set-header: {name: X-A, value: '{{ recipient.department or \"Support\" }}'}]")
    assert [entry.group for entry in same.decide(text).decision.recipients] == [0, 0]


def test_values_never_add_header_lines() -> None:
    hostile = Situation(header={"Subject": "=?utf-8?b?aGVsbG8NCkJjYzogc3B5QHguZXhhbXBsZQ==?="})
    (value,) = header_value("{{ message.subject }}", hostile)
    assert "\r" not in value
    assert "\n" not in value


LONG = "{{ message.subject }}" * 50


@pytest.mark.parametrize(
    ("on_error", "reply", "applied"),
    [
        (OnError.DELIVER_UNSTAMPED, None, (("b",),)),
        (OnError.DEFER, INTERNAL_ERROR, (("b",),)),
        (OnError.REJECT, "550 5.3.0 Local error in processing", ((),)),
    ],
)
def test_a_rule_that_fails(on_error: OnError, reply: object, applied: tuple[tuple[str, ...], ...]) -> None:
    text = together(
        rule(f"on_error: {on_error.value}", name="a", actions=f"[set-header: {{name: X-A, value: {LONG!r}}}]"),
        rule(name="b"),
    )
    outcome = Situation(header={"Subject": "x" * 60}).decide(text)
    assert outcome.rules == applied
    assert str(outcome.reply) == str(reply)
    assert [(failure.rule, failure.on_error) for failure in outcome.failures] == [("a", on_error)]
    assert "xxx" not in outcome.failures[0].error


def test_undecided_relays_as_it_is() -> None:
    facts = BOTH.facts()
    parties = Parties(facts.participants, facts.people, facts.organisation)
    decision = undecided(parties, Policy(next_hop), already_processed=True)
    assert decision.already_processed
    assert [(entry.group, entry.actions, entry.next_hop) for entry in decision.recipients] == [(0, (), "out")] * 2
    assert [entry.direction for entry in decision.recipients] == [Direction.INTERNAL, Direction.OUTBOUND]


def test_the_explanation_names_test_and_value() -> None:
    text = together(
        rule("enabled: false", name="off"),
        rule("active: {from: 2027-01-01}", name="later"),
        rule("when: {all: [{direction: outbound}, {sender: {group: Support}}]}", name="support"),
        rule("unless: {subject: {phrase: offer}}", name="no-offers"),
        rule("direction: outbound", "on_match: stop", name="last"),
        rule(name="never"),
    )
    trace, ruleset = Trace(), rules(text)
    decide(ruleset, BOTH.facts(), Policy(next_hop), trace)
    steps = {step.rule: step for step in trace.steps(ruleset, 1)}
    assert steps["off"].verdict is Verdict.DISABLED
    assert steps["later"].verdict is Verdict.NOT_ACTIVE
    assert (steps["support"].verdict, steps["support"].test) == (Verdict.NO_MATCH, "sender.group: Support")
    assert steps["support"].value == "jane@example.com is in sales"
    assert steps["no-offers"].test == "unless subject.phrase: offer"
    assert "'Offer'" in steps["no-offers"].value
    assert steps["last"].verdict is Verdict.APPLIED
    assert steps["never"].verdict is Verdict.NOT_REACHED
    inside = {step.rule: step for step in trace.steps(ruleset, 0)}
    assert (inside["support"].test, inside["support"].value) == ("direction: outbound", "internal")
    assert inside["never"].verdict is Verdict.APPLIED


def test_the_explanation_tells_a_recipient_nothing_of_hidden_ones() -> None:
    situation = Situation(to=("john@example.com", "spy@outside.example"), header={"To": "john@example.com"})
    trace, ruleset = Trace(), rules(rule("when: {recipient: {any: {scope: external}}}"))
    decide(ruleset, situation.facts(), Policy(next_hop), trace)
    assert "spy" not in trace.steps(ruleset, 0)[0].value
    assert "spy" in trace.steps(ruleset, 1)[0].value
