"""Files of business rules, good and bad: the bad ones fail for the expected reason, at the expected place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.problems import ConfigurationError
from mta.tracking.record import load_business_rules
from tests.unit.tracking.record.rule_desk import DESK_RULES, rule_settings, write_rules

SINKS = [{"kind": "webhook", "name": "crm", "url": "https://crm.example.com/in", "key": {"env": "K"}}]
SETTINGS = rule_settings(sinks=SINKS, write_back={"audience": {"groups": ["everyone"]}})

GOOD = {
    "no rules": "rules: []",
    "bare actions": "rules: [{name: a, actions: [create, note, close, reopen, delete, write-back, join]}]",
    "short conditions": "rules: [{name: a, when: {subject: invoice, body: [a b, c], sender: '*@example.com'}, "
    "actions: [note]}]",
    "a list of conditions": "rules: [{name: a, when: [{outcome: new}, {not: {kind: forward}}], actions: [create]}]",
    "only to stop": "rules: [{name: a, when: {subject: spam}, on_match: stop}]",
    "fields": "rules: [{name: a, actions: [{read-fields: {lines: {Order number: order}, "
    "regex: '(?P<order>[0-9]+)', within: subject}}]}]",
    "names as fields": "rules: [{name: a, actions: [{read-fields: [Order number, Room]}]}]",
    "wordings": "rules: [{name: a, actions: [{create: {title: '{subject} of {sender_name}', "
    "fields: {room: '{fields.floor}'}}}]}]",
    "by time": "rules: [{name: a, when: {older_than: 4h, state: [open, waiting], unassigned: true}, "
    "actions: [{note: {wording: Late}}, {update: {state: late}}, {notify: [owner, boss@example.com]}]}]",
    "elsewhere": "rules: [{name: a, actions: [{call: crm}, {notify: {to: sender, account: desk, "
    "from: support@desk.example.com}}]}]",
}

BAD = {
    "an empty file": ("", "1:1: the file must hold keys and values (write 'key: value' lines under it)"),
    "not YAML": ("rules: [", "2:1: not YAML: while parsing a flow node"),
    "unknown key": ("rules: [{name: a, acts: []}]", "1:19: unknown key 'acts' (did you mean 'actions'?)"),
    "nothing to do": ("rules: [{name: a}]", "1:9: does nothing (write actions, or on_match: stop)"),
    "two of a name": (
        "rules:\n- {name: a, actions: [note]}\n- {name: a, actions: [note]}",
        "3:10: rule 'a' stands in 10-test.yaml, line 2 too (rename one)",
    ),
    "no such module": (
        "rules: [{name: a, actions: [{create: tiket}]}]",
        "1:38: no module is called 'tiket' (did you mean 'ticket'?)",
    ),
    "no such module in a condition": (
        "rules: [{name: a, when: {module: cas}, actions: [note]}]",
        "1:34: no module is called 'cas' (did you mean 'case'?)",
    ),
    "no such mailbox": (
        "rules: [{name: a, when: {mailbox: suport}, actions: [note]}]",
        "1:35: no mailbox is called 'suport' (did you mean 'support'?)",
    ),
    "no such sink": (
        "rules: [{name: a, actions: [{call: cmr}]}]",
        "1:36: no sink is called 'cmr' (did you mean 'crm'?)",
    ),
    "no such account": (
        "rules: [{name: a, actions: [{notify: {to: owner, account: dsk}}]}]",
        "1:59: no account is called 'dsk' (did you mean 'desk'?)",
    ),
    "not a sender": (
        "rules: [{name: a, actions: [{notify: {to: owner, from: ceo@example.com}}]}]",
        "1:56: ceo@example.com is not among the senders of any account (did you mean 'support@desk.example.com'?)",
    ),
    "nobody": (
        "rules: [{name: a, actions: [{notify: everyone}]}]",
        "1:38: 'everyone' is no address: address needs a local part, an @ and a domain "
        "(write name@example.com, or requester, owner, sender, participants)",
    ),
    "an unknown placeholder": (
        "rules: [{name: a, actions: [{create: {title: '{subjct}'}}]}]",
        "1:46: {subjct} stands for nothing (there are {subject}, {sender}, {sender_name}, {mailbox}, {title}, {state}, "
        "{owner}, {requester}, {source}, {module} and {fields.NAME})",
    ),
    "a lookahead": (
        "rules: [{name: a, when: {subject: {regex: '(?=x)'}}, actions: [note]}]",
        "1:43: regex '(?=x)' is not RE2 (RE2 has no lookahead or lookbehind; use unless, or two conditions under all)",
    ),
    "a group without a name": (
        "rules: [{name: a, actions: [{read-fields: {regex: '([0-9]+)'}}]}]",
        "1:51: regex '([0-9]+)' has no group with a name (write (?P<order>[0-9]+))",
    ),
    "a group that is no field": (
        "rules: [{name: a, actions: [{read-fields: {regex: '(?P<Order>x)'}}]}]",
        "1:51: 'Order' is no name of a field (use lower case letters, digits and `_`)",
    ),
    "a bad field": (
        "rules: [{name: a, actions: [{update: {fields: {Room No: x}}}]}]",
        "1:47: fields: 'Room No' is no name of a field (use lower case letters, digits, `_` and `-`)",
    ),
    "two actions in one": (
        "rules: [{name: a, actions: [{note: {}, close: {}}]}]",
        "1:29: actions, item 1: an item needs exactly one action (write each action behind its own '- ')",
    ),
    "an empty condition": ("rules: [{name: a, when: {sender: {}}, actions: [note]}]", "1:34: sender: says nothing"),
    "a message in a rule by time": (
        "rules: [{name: a, when: {older_than: 1h, state: open, subject: x}, actions: [close]}]",
        "1:64: subject asks about a message, and a rule with older_than or unchanged_for has none "
        "(ask about the record: module, state, field, owner)",
    ),
    "a rule by time without states": (
        "rules: [{name: a, when: {older_than: 1h}, actions: [close]}]",
        "1:25: a rule with older_than or unchanged_for has to say for which states (add state: open)",
    ),
    "a note by time without words": (
        "rules: [{name: a, when: {older_than: 1h, state: open}, actions: [note]}]",
        "1:66: there is no message whose text it could have (write wording: …)",
    ),
    "a record made by time": (
        "rules: [{name: a, when: {older_than: 1h, state: open}, actions: [create]}]",
        "1:66: create needs a message, and a rule with older_than or unchanged_for has none "
        "(choose from call, close, delete, note, notify, reopen, update)",
    ),
    "time inside of any": (
        "rules: [{name: a, when: {any: [{older_than: 1h}]}, actions: [close]}]",
        "1:32: older_than and unchanged_for have no place in all, any and not (write them into when)",
    ),
    "text and wording": (
        "rules: [{name: a, actions: [{note: {text: whole, wording: x}}]}]",
        "1:59: text and wording exclude each other (keep one of the two)",
    ),
    "an update of nothing": (
        "rules: [{name: a, actions: [{update: {}}]}]",
        "1:38: changes nothing (write state, title, owner, requester or fields)",
    ),
    "an owner that is none": (
        "rules: [{name: a, actions: [{update: {owner: jane}}]}]",
        "1:46: 'jane' is no address: address needs a local part, an @ and a domain "
        "(write name@example.com, or {sender})",
    ),
    "aliases that blow up": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nrules: [*d,*d]",
        "aliases repeat too many values (write them out)",
    ),
    "conditions that are too deep": (
        "rules: [{name: a, when: " + "{not: " * 12 + "{subject: x}" + "}" * 12 + ", actions: [note]}]",
        "conditions are nested deeper than 10 levels (write several rules)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_a_good_file_is_read(tmp_path: Path, text: str) -> None:
    rules = load_business_rules(write_rules(tmp_path / "rules", text), SETTINGS)
    assert len(rules) == text.count("name: a")


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_for_its_reason(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_business_rules(write_rules(tmp_path / "rules", text), SETTINGS)
    assert expected in str(refused.value)
    assert str(tmp_path / "rules" / "10-test.yaml") in str(refused.value)


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    write_rules(tmp_path / "rules", "rules: [{name: a, acts: 1}, {name: b, actions: [{create: x}]}]")
    write_rules(tmp_path / "rules", "rules: [{name: b, actions: [note]}]", "20-more.yaml")
    write_rules(tmp_path / "rules", "rules: []", "30-other.yaml")
    with pytest.raises(ConfigurationError) as refused:
        load_business_rules(tmp_path / "rules", SETTINGS)
    told = [problem.what for problem in refused.value.problems]
    assert told == ["unknown key 'acts'", "no module is called 'x'", "rule 'b' stands in 10-test.yaml, line 1 too"]


def test_a_file_that_nobody_would_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"30\.yml:0:0: would not be read \(rename it to 30\.yaml\)"):
        load_business_rules(write_rules(tmp_path / "rules", "rules: []", "30.yml"), SETTINGS)


def test_a_template_that_is_not_there_is_told_where_templates_are_known_and_stops_nothing(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", "rules: [{name: a, actions: [{notify: {to: owner, template: opend}}]}]")
    assert not load_business_rules(folder, SETTINGS).advice
    [said] = load_business_rules(folder, SETTINGS, {"opened"}).advice
    assert "10-test.yaml:1:" in str(said)
    assert "there is no template 'opend': such notices are written in our own words" in str(said)
    assert "did you mean 'opened'?" in str(said)


def test_the_projects_own_rules_are_good() -> None:
    rules = load_business_rules(DESK_RULES, SETTINGS, {"ticket-opened"})
    assert [rule.name for rule in rules.by_time] == ["first-answer-late", "nobody-owns-it"]
