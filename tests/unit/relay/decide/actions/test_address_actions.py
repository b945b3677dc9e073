"""Actions that name somebody: who is meant, who gets a copy, and who is not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mta.config.problems import ConfigurationError
from mta.model.actions import (
    Action,
    Archive,
    AutoRespond,
    NameRecipients,
    Notify,
    RewriteSender,
    SetReplyTo,
    Stamp,
)
from mta.model.address import parse_address
from mta.model.decision import Decision, Direction, Role
from mta.model.envelope import ListenerRole
from mta.model.person import Person
from mta.relay.decide import Outcome
from mta.relay.decide.surroundings import Surroundings
from tests.unit.relay.decide.situation import SURROUNDINGS, Situation, actions_of, rule, rules

BOSS = Person("boss@example.com", frozenset({"b@example.com"}), {"displayName": "Boss"})
JANE = Person(
    "jane@example.com", frozenset({"j.doe@example.com"}),
    {"displayName": "Jane Döe", "mobile": "not an address", "department": "Sales", "mail": "jane.doe@example.com"},
    frozenset({"sales"}), manager="boss@example.com",
)  # fmt: skip
JOHN = Person("john@example.com", attributes={"displayName": "John"}, manager="jane@example.com")
PEOPLE = (BOSS, JANE, JOHN)
LOOSE = replace(SURROUNDINGS, attributes=None)
ONE = Situation(people=PEOPLE)
TWO = Situation(people=PEOPLE, to=("john@example.com", "buyer@customer.example"))


def outcome(situation: Situation, *actions: str, lines: tuple[str, ...] = ()) -> Outcome:
    """Under one rule with these actions."""
    return situation.decide(rule(*lines, actions=f"[{', '.join(actions)}]"))


def added(decision: Decision) -> list[tuple[str, str]]:
    """Who is added, and instead of whom."""
    return [(str(entry.recipient), entry.in_place_of) for entry in decision.recipients if entry.is_added]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("legal@example.com", "legal@example.com"),
        ("manager", "boss@example.com"),
        ("sender.manager", "boss@example.com"),
        ("recipient.manager", "jane@example.com"),
        ("sender", "jane@example.com"),
        ("sender.mail", "jane.doe@example.com"),
        ('"{{ sender.department | lower }}@example.com"', "sales@example.com"),
        ('"{{ manager.address }}"', "boss@example.com"),
        ("Legal@EXÄMPLE.com", "Legal@xn--exmple-cua.com"),
    ],
)
def test_whom_an_address_means(who: str, expected: str) -> None:
    situation = Situation(people=PEOPLE, to=("john@example.com",))
    text = rule(actions=f"[archive: {who}]")
    (once,) = situation.decide(text, surroundings=LOOSE).decision.once
    assert isinstance(once.action, Archive)
    assert once.action.address == expected


@pytest.mark.parametrize("who", ["recipient.manager", "recipient.mobile", "sender.mobile", "manager.mobile"])
def test_a_missing_or_wrong_value_fails_the_rule(who: str) -> None:
    found = outcome(ONE, f"forward-copy: {who}", "tag-subject: {text: T}", lines=("on_error: deliver-unstamped",))
    assert actions_of(found) == ()
    assert added(found.decision) == []
    (failure,) = found.failures
    assert failure.error.startswith(f"{who}: ")
    assert "not an address" not in failure.error
    assert found.reply is None


@pytest.mark.parametrize(("on_error", "code"), [("defer", 451), ("reject", 550)])
def test_on_error_says_what_a_missing_value_means(on_error: str, code: int) -> None:
    found = outcome(ONE, "redirect: recipient.manager", lines=(f"on_error: {on_error}",))
    assert found.reply is not None
    assert found.reply.code == code


def test_a_copy_that_nobody_is_told_of() -> None:
    decision = outcome(TWO, "forward-copy: [legal@example.com, manager]").decision
    assert added(decision) == [("legal@example.com", ""), ("boss@example.com", "")]
    assert [entry.group for entry in decision.recipients] == [0, 0, 0, 0]
    assert all(entry.actions == () for entry in decision.recipients)
    assert [entry.role for entry in decision.recipients[2:]] == [Role.HIDDEN, Role.HIDDEN]
    assert [entry.added_by for entry in decision.recipients] == ["", "", "r", "r"]


@pytest.mark.parametrize(("key", "role"), [("to", Role.TO), ("cc", Role.CC), ("bcc", Role.HIDDEN)])
def test_recipients_are_added_and_named(key: str, role: Role) -> None:
    decision = outcome(ONE, f"add-recipients: {{{key}: legal@example.com}}").decision
    assert [(str(e.recipient), e.role) for e in decision.recipients[1:]] == [("legal@example.com", role)]
    named = [action for action in decision.recipients[0].actions if isinstance(action, NameRecipients)]
    assert [action.header for action in named] == ([] if role is Role.HIDDEN else [key])


def test_who_gets_it_already_is_not_added_by_whatever_address() -> None:
    situation = Situation(people=PEOPLE, to=("j.doe@example.com", "B@example.com"))
    decision = outcome(situation, "forward-copy: [Jane@example.com, boss@example.com, new@x.example, NEW@X.example]")
    assert added(decision.decision) == [("new@x.example", "")]


def test_the_added_share_the_copy_of_those_for_whom_the_rule_holds() -> None:
    text = (
        "rules:\n"
        "- {name: out, when: [{recipient: {scope: external}}], actions: [{tag-subject: {text: T}}]}\n"
        "- {name: copy, when: [{recipient: {scope: external}}], actions: [{forward-copy: legal@example.com}]}\n"
    )
    decision = TWO.decide(text).decision
    assert [entry.group for entry in decision.recipients] == [0, 1, 1]
    assert decision.recipients[2].actions == decision.recipients[1].actions != ()
    assert decision.recipients[2].direction is Direction.INTERNAL


def test_the_added_are_not_taken_through_the_rules() -> None:
    text = (
        "rules:\n"
        "- {name: copy, when: [{recipient: {scope: external}}], actions: [{forward-copy: john@example.com}]}\n"
        "- {name: johns, when: [{recipient: {address: john@example.com}}], actions: [{redirect: boss@example.com}]}\n"
    )
    assert added(ONE.decide(text).decision) == [("john@example.com", "")]


def test_a_redirection_takes_the_recipients_place() -> None:
    decision = outcome(TWO, "redirect: manager", lines=("when: {recipient: {address: john@example.com}}",)).decision
    assert added(decision) == [("boss@example.com", "john@example.com")]
    assert [entry.redirected_by for entry in decision.recipients] == ["r", "", ""]


def test_a_redirection_to_oneself_is_none() -> None:
    situation = Situation(people=PEOPLE, to=("j.doe@example.com",))
    decision = outcome(situation, "redirect: [jane@example.com, legal@example.com]").decision
    assert [entry.is_redirected for entry in decision.recipients] == [False, False]
    assert added(decision) == [("legal@example.com", "j.doe@example.com")]


def test_two_who_redirect_to_each_other_get_each_others_mail() -> None:
    text = (
        "rules:\n"
        "- {name: a, when: [{recipient: {address: john@example.com}}], actions: [{redirect: boss@example.com}]}\n"
        "- {name: b, when: [{recipient: {address: boss@example.com}}], actions: [{redirect: john@example.com}]}\n"
    )
    decision = Situation(people=PEOPLE, to=("john@example.com", "boss@example.com")).decide(text).decision
    assert added(decision) == [
        ("boss@example.com", "john@example.com"),
        ("john@example.com", "boss@example.com"),
    ]


@pytest.mark.parametrize("last", ["drop", "reject: {text: No}"])
def test_who_gets_no_mail_has_none_to_share(last: str) -> None:
    text = (
        "rules:\n"
        "- {name: copy, actions: [{forward-copy: legal@example.com}, {redirect: boss@example.com}]}\n"
        f"- name: end\n  when: [{{recipient: {{scope: external}}}}]\n  actions:\n  - {last}\n"
    )
    assert added(ONE.decide(text).decision) == []


def test_no_more_than_a_hundred_are_added() -> None:
    one_rule = "- {{name: r{n}, actions: [{{forward-copy: [{who}]}}]}}\n"
    text = "rules:\n" + "".join(
        one_rule.format(n=n, who=", ".join(f"a{n}-{m}@x.example" for m in range(15))) for n in range(10)
    )
    found = ONE.decide(text)
    assert len(added(found.decision)) == 100
    assert {failure.rule for failure in found.failures} == {"r6", "r7", "r8", "r9"}


def test_signed_mail_gets_more_recipients_but_no_other_header() -> None:
    header = {"Content-Type": 'multipart/signed; protocol="application/pkcs7-signature"; boundary=b'}
    body = "--b\r\n\r\nx\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n"
    found = outcome(Situation(people=PEOPLE, header=header, body=body), "add-recipients: {cc: legal@example.com}")
    assert added(found.decision) == [("legal@example.com", "")]
    assert actions_of(found) == ()
    assert found.withheld


def test_tls_is_required_of_the_next_hop_and_of_the_added() -> None:
    decision = outcome(
        TWO, "require-tls", "forward-copy: legal@example.com", lines=("when: {recipient: {scope: external}}",)
    ).decision
    assert [entry.next_hop for entry in decision.recipients] == ["out", "out+tls", "out+tls"]
    assert [entry.group for entry in decision.recipients] == [0, 0, 0]
    routed = outcome(ONE, "route: {next_hop: archive}", "require-tls").decision
    assert routed.recipients[0].next_hop == "archive+tls"


def test_a_new_author_and_where_replies_go() -> None:
    actions = actions_of(
        outcome(
            ONE,
            'rewrite-sender: {address: sales@example.com, name: "{{ sender.displayName }}", keep_as_reply_to: true}',
            "rewrite-sender: {address: bounce@example.com, where: envelope}",
            'set-reply-to: {address: desk@example.com, name: "{{ sender.department }}"}',
        )
    )
    expected: tuple[Action, ...] = (
        RewriteSender(address="sales@example.com", display_name="Jane Döe", keep_as_reply_to=True),
        RewriteSender(address="bounce@example.com", header=False, envelope=True),
        SetReplyTo(address="desk@example.com", display_name="Sales"),
    )
    assert actions == expected


def test_equal_values_share_a_copy_and_others_do_not() -> None:
    shared = outcome(TWO, "rewrite-sender: sales@example.com").decision
    assert [entry.group for entry in shared.recipients] == [0, 0]
    personal = outcome(
        Situation(people=PEOPLE, to=("john@example.com", "jane@example.com")),
        'set-reply-to: {address: desk@example.com, name: "{{ recipient.displayName }}"}',
    ).decision
    assert [entry.group for entry in personal.recipients] == [0, 1]


def test_what_is_done_once_shapes_no_copy() -> None:
    found = outcome(
        TWO,
        "archive: {to: archive@example.com, next_hop: archive}",
        "notify: {template: corporate, to: [manager, security@example.com]}",
        "auto-respond: {template: compact, limit: 3, period: 2d, from: desk@example.com}",
        lines=("when: {recipient: {scope: external}}",),
    )
    assert [entry.group for entry in found.decision.recipients] == [0, 0]
    assert [(type(once.action), once.recipients) for once in found.decision.once] == [
        (Archive, (1,)), (Notify, (1,)), (AutoRespond, (1,)),
    ]  # fmt: skip
    assert found.decision.once[2].action == AutoRespond(
        template="compact", limit=3, period_s=172_800, sender="desk@example.com"
    )


def test_one_archive_for_all_recipients_one_notice_for_each_of_whom_it_speaks() -> None:
    found = outcome(TWO, "archive: archive@example.com", "notify: {template: dear, to: manager}")
    assert [once.recipients for once in found.decision.once] == [(0, 1), (0,), (1,)]
    responses = outcome(TWO, "auto-respond: corporate").decision.once
    assert [once.action for once in responses] == [
        AutoRespond(template="corporate", recipient="john@example.com"),
        AutoRespond(template="corporate", recipient="buyer@customer.example"),
    ]


def test_a_notice_of_a_rejection_stays() -> None:
    found = outcome(ONE, "reject: {text: No}", "notify: {template: corporate, to: manager}")
    assert found.reply is not None
    assert [type(once.action) for once in found.decision.once] == [Notify]


def test_audited_rules_add_nobody() -> None:
    found = outcome(ONE, "forward-copy: legal@example.com", "archive: a@example.com", lines=("mode: audit",))
    assert added(found.decision) == []
    assert found.decision.once == ()
    assert found.audited[0].actions == ("forward-copy: legal@example.com", "archive: a@example.com")


def test_a_decision_reads_back_as_it_was_committed() -> None:
    found = outcome(
        TWO, "add-recipients: {cc: legal@example.com}", "redirect: boss@example.com", "require-tls",
        "dkim-key: s1", "archive: a@example.com", "auto-respond: corporate", "set-reply-to: x@example.com",
        "rewrite-sender: y@example.com", "set-importance: high",
    )  # fmt: skip
    assert Decision.from_json(found.decision.to_json()) == found.decision


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "set-importance: high",
            [("Importance", "high"), ("X-Priority", "1"), ("X-MSMail-Priority", "High"), ("Priority", "urgent")],
        ),
        (
            "set-importance: normal",
            [("Importance", ""), ("X-Priority", ""), ("X-MSMail-Priority", ""), ("Priority", "")],
        ),
        ("set-sensitivity: confidential", [("Sensitivity", "Company-Confidential")]),
        ("set-sensitivity: normal", [("Sensitivity", "")]),
        (
            "set-classification: {name: Internal, id: '{1A2B3C4D-0000-4000-8000-123456789ABC}', keep: false}",
            [
                ("X-Microsoft-Classified", "true"), ("X-Microsoft-Classification", "Internal"),
                ("X-Microsoft-ClassDesc", ""), ("X-Microsoft-ClassID", "1a2b3c4d-0000-4000-8000-123456789abc"),
                ("X-Microsoft-ClassKeep", ""),
            ],
        ),
    ],
)  # fmt: skip
def test_marks_are_header_fields(value: str, expected: list[tuple[str, str]]) -> None:
    found = [(getattr(action, "name", ""), getattr(action, "value", "")) for action in actions_of(outcome(ONE, value))]
    assert found == expected


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("forward-copy: no-address", "'no-address' is no address"),
        ("forward-copy: jürgen@example.com", "letters beyond ASCII"),
        ("forward-copy: sender.unknown", "sender has no attribute 'unknown'"),
        ("forward-copy: '{{ sender.unknown }}'", "sender has no attribute 'unknown'"),
        ("forward-copy: []", "at least 1"),
        ("add-recipients: {}", "names nobody"),
        ("archive: {}", "says not where"),
        ("archive: {next_hop: outt}", "no next hop is called 'outt'"),
        ("rewrite-sender: {keep_as_reply_to: true}", "says not who"),
        ("rewrite-sender: {name: N, where: both}", "says not who"),
        ("rewrite-sender: {address: a@example.com, name: N, where: envelope}", "the envelope holds an address alone"),
        ("notify: {template: gone, to: a@example.com}", "there is no template 'gone'"),
        ("notify: {template: compact, to: a@example.com}", "has no subject"),
        ("auto-respond: {template: corporate, limit: 0}", "limit"),
        ("auto-respond: {template: corporate, period: 1s}", "period"),
        ("dkim-key: s3", "no DKIM key has the selector 's3'"),
        ("set-importance: urgent", "value"),
        ("set-classification: {name: N, id: x5}", "is no GUID"),
        ("plugin: nowhere", "there is no plug-in 'nowhere'"),
        ("set-header: {name: From, value: x}", "From can't be changed"),
        ("drop}, {forward-copy: a@example.com", "forward-copy comes to nothing beside drop"),
    ],
)
def test_what_check_says_of_mistakes(action: str, what: str) -> None:
    around = Surroundings(
        SURROUNDINGS.templates, None, SURROUNDINGS.next_hops, SURROUNDINGS.attributes, None, frozenset({"s1", "s2"})
    )
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(actions=f"[{{{action}}}]"), around)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.mend
    assert problem.line == 3


def test_strangers_get_their_mail_redirected_all_the_same() -> None:
    stranger = Situation(
        sender="x@stranger.example", to=("john@example.com",), role=ListenerRole.INBOUND, people=PEOPLE
    )
    decision = outcome(stranger, "redirect: boss@example.com").decision
    assert [entry.direction for entry in decision.recipients] == [Direction.INBOUND, Direction.INBOUND]
    assert decision.recipients[1].recipient == parse_address("boss@example.com")


def test_who_stands_for_somebody_does_so_though_a_rule_before_copies_to_them() -> None:
    """Else nobody would tell the sender that the redirected mail did not arrive."""
    text = (
        "rules:\n- {name: a, actions: [forward-copy: boss@example.com]}\n"
        "- {name: b, when: {recipient: {address: john@example.com}}, actions: [redirect: boss@example.com]}\n"
    )
    found = TWO.decide(text)
    assert added(found.decision) == [("boss@example.com", "john@example.com")]


def test_the_added_get_the_copy_of_somebody_whom_the_header_names() -> None:
    """A hidden recipient's copy may speak of them."""
    situation = Situation(
        people=PEOPLE, to=("secret@customer.example", "buyer@customer.example"),
        header={"To": "buyer@customer.example"},
    )  # fmt: skip
    found = outcome(situation, "forward-copy: boss@example.com", "stamp: {template: dear}")
    (copy,) = [entry for entry in found.decision.recipients if entry.is_added]
    assert [action.recipient for action in copy.actions if isinstance(action, Stamp)] == ["buyer@customer.example"]
