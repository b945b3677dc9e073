"""Each condition, holding and not holding."""

from __future__ import annotations

import pytest

from mta.model.envelope import ListenerRole
from tests.unit.relay.decide.situation import Situation, rule

OUT = Situation()
IN = Situation(sender="buyer@customer.example", to=("jane@example.com",), role=ListenerRole.INBOUND)
INTERNAL = Situation(to=("john@example.com",))
REPLY = Situation(
    header={"Subject": "Re: Rechnung [NoSig]", "In-Reply-To": "<0@x.example>", "References": "<0@x.example>"}
)
PDF = (
    "--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="Offer 7.PDF"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
)
WITH_PDF = Situation(header={"MIME-Version": "1.0", "Content-Type": 'multipart/mixed; boundary="b"'}, body=PDF)


@pytest.mark.parametrize(
    ("situation", "when", "expected"),
    [
        (OUT, "{direction: outbound}", True),
        (OUT, "{direction: [inbound, internal]}", False),
        (IN, "{direction: inbound}", True),
        (INTERNAL, "{direction: internal}", True),
        (OUT, "{kind: new}", True),
        (REPLY, "{kind: [reply, forward]}", True),
        (OUT, "{sender: {address: jane@example.com}}", True),
        (OUT, "{sender: {address: 'J*@EXAMPLE.com'}}", True),
        (OUT, "{sender: {address: 'j?ne@example.com'}}", True),
        (OUT, "{sender: {address: 'j?@example.com'}}", False),
        (OUT, "{sender: {domain: example.com}}", True),
        (OUT, "{sender: {domain: '*.com'}}", True),
        (OUT, "{sender: {domain: '*.example.com'}}", False),
        (OUT, "{sender: {person: j.doe@example.com}}", True),
        (OUT, "{sender: {person: john@example.com}}", False),
        (OUT, "{sender: {group: SALES}}", True),
        (OUT, "{sender: {group: [Support, Everyone]}}", False),
        (OUT, "{sender: {scope: internal}}", True),
        (IN, "{sender: {scope: internal}}", False),
        (OUT, "{sender: {attribute: {name: department, equals: [finance, sales]}}}", True),
        (OUT, "{sender: {attribute: {name: department, matches: '^fin'}}}", False),
        (OUT, "{sender: {attribute: {name: mobile, empty: true}}}", True),
        (OUT, "{sender: {attribute: {name: department, empty: true}}}", False),
        (Situation(sender="gone@example.com"), "{sender: {disabled: true}}", True),
        (OUT, "{sender: {disabled: false}}", True),
        (OUT, "{recipient: {scope: external}}", True),
        (INTERNAL, "{recipient: {group: Support}}", True),
        (INTERNAL, "{recipient: {this: {group: Sales}}}", False),
        (INTERNAL, "{recipient: {domain: example.com, role: to}}", True),
        (INTERNAL, "{recipient: {domain: example.com, role: cc}}", False),
        (REPLY, "{subject: {phrase: 'rechnung  [nosig]'}}", True),
        (REPLY, "{subject: {phrase: 'rech*sig'}}", True),
        (REPLY, "{subject: {phrase: 'rech?sig'}}", False),
        (REPLY, "{subject: {keywords: [invoice, rechnung]}}", True),
        (REPLY, "{subject: {keywords: rech}}", False),
        (REPLY, "{subject: {keywords: 'rech*'}}", True),
        (REPLY, r"{subject: {regex: '\[no ?sig\]$'}}", True),
        (REPLY, r"{subject: {regex: '(?-i)\[nosig\]'}}", False),
        (Situation(header={"Subject": ""}), "{subject: {empty: true}}", True),
        (OUT, "{subject: {empty: true}}", False),
        (OUT, "{header: {name: message-id, present: true}}", True),
        (OUT, "{header: {name: X-Spam, absent: true}}", True),
        (OUT, "{header: {name: X-Spam, present: false}}", True),
        (Situation(header={"X-Spam": "YES, 5.0"}), "{header: {name: x-spam, contains: 'yes'}}", True),
        (Situation(header={"X-Spam": "YES, 5.0"}), "{header: {name: x-spam, equals: 'yes'}}", False),
        (Situation(header={"X-Spam": "YES, 5.0"}), r"{header: {name: x-spam, matches: '\d\.0$'}}", True),
        (OUT, "{header: {name: X-Spam, matches: '.*'}}", False),
        (OUT, "{size: {over: 100B, under: 1kB}}", True),
        (OUT, "{size: {over: 1kB}}", False),
        (OUT, "{attachments: none}", True),
        (WITH_PDF, "{attachments: any}", True),
        (WITH_PDF, "{attachments: {count: {over: 1}}}", False),
        (WITH_PDF, "{attachments: {name: 'offer*'}}", True),
        (WITH_PDF, "{attachments: {extension: [exe, pdf]}}", True),
        (WITH_PDF, "{attachments: {extension: df}}", False),
        (OUT, "{all: [{direction: outbound}, {kind: reply}]}", False),
        (OUT, "{any: [{direction: inbound}, {kind: new}]}", True),
        (OUT, "{not: {any: [{kind: reply}, {kind: forward}]}}", True),
        (OUT, "[{direction: outbound}, {kind: new}]", True),
        (OUT, "{direction: outbound, kind: reply}", False),
    ],
)
def test_condition(situation: Situation, when: str, expected: bool) -> None:
    assert situation.matches(when) is expected


def test_group_of_a_group_address_that_is_addressed_itself() -> None:
    assert Situation(to=("sales@example.com",)).matches("{recipient: {group: Sales}}")


def test_undecodable_text_does_not_stop_a_regex() -> None:
    situation = Situation(header={"Subject": "=?utf-8?b?7aCA?= offer"})
    assert situation.matches("{subject: {regex: 'offer'}}")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{recipient: {any: {scope: external}}}", [True, True]),
        ("{recipient: {any: {domain: nowhere.example}}}", [False, False]),
        ("{recipient: {every: {scope: internal}}}", [False, False]),
        ("{recipient: {every: {role: to}}}", [True, True]),
        ("{recipient: {scope: internal}}", [True, False]),
    ],
)
def test_quantifiers_over_visible_recipients(when: str, expected: list[bool]) -> None:
    situation = Situation(to=("john@example.com", "buyer@customer.example"))
    assert [bool(names) for names in situation.applied(rule(f"when: {when}"))] == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        # The hidden one is outside: only their own judgement sees it.
        ("{recipient: {any: {scope: external}}}", [False, True]),
        ("{recipient: {every: {scope: internal}}}", [True, False]),
    ],
)
def test_quantifiers_do_not_tell_of_hidden_recipients(when: str, expected: list[bool]) -> None:
    situation = Situation(to=("john@example.com", "spy@outside.example"), header={"To": "john@example.com"})
    assert [bool(names) for names in situation.applied(rule(f"when: {when}"))] == expected


def test_the_null_reverse_path_is_no_sender() -> None:
    situation = Situation(sender=None, to=("jane@example.com",), role=ListenerRole.INBOUND)
    assert not situation.matches("{sender: {scope: external}}")
    assert situation.matches("{kind: null-reverse-path}")


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ("{from: 2026-11-23, until: 2026-11-23}", True),
        ("{from: 2026-11-24}", False),
        ("{until: 2026-11-22}", False),
        ("{weekdays: mon-fri}", True),
        ("{weekdays: 'tue,sat-sun'}", False),
        ("{weekdays: fri-mon}", True),
        ("{hours: '08:00-18:00'}", True),
        ("{hours: '08:00-10:00'}", False),
        ("{hours: '10:00-24:00'}", True),
        ("{hours: '22:00-11:00', weekdays: sun}", True),
        ("{hours: '22:00-11:00', weekdays: mon}", False),
        ("{hours: '08:00-10:30', timezone: Europe/Berlin}", False),
        ("{hours: '11:00-11:30', timezone: Europe/Berlin}", True),
    ],
)
def test_schedule(active: str, expected: bool) -> None:
    assert bool(Situation().applied(rule(f"active: {active}"))[0]) is expected
