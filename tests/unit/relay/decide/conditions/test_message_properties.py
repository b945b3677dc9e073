"""Conditions of what the header says, how the message came, and how it is protected."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mta.config.problems import ConfigurationError
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import ListenerRole
from tests.unit.relay.decide.situation import Situation, rule, rules

OUT = Situation()
IN = Situation(sender="buyer@customer.example", to=("jane@example.com",), role=ListenerRole.INBOUND)
LABEL = "MSIP_Label_0f2e4b6a-1111-2222-3333-444455556666_"


def having(situation: Situation = OUT, **fields: str) -> Situation:
    return replace(situation, header={name.replace("_", "-"): value for name, value in fields.items()})


def labelled(*values: str, situation: Situation = OUT) -> Situation:
    return replace(situation, header={"msip_labels": "; ".join(LABEL + value for value in values)})


@pytest.mark.parametrize(
    ("situation", "when", "expected"),
    [
        (OUT, "{importance: normal}", True),
        (OUT, "{importance: [low, high]}", False),
        (having(Importance="High"), "{importance: high}", True),
        (having(X_Priority="1 (Highest)"), "{importance: high}", True),
        (having(X_Priority="5"), "{importance: low}", True),
        (having(X_Priority="3"), "{importance: normal}", True),
        (having(X_MSMail_Priority="Low"), "{importance: low}", True),
        (having(Priority="non-urgent"), "{importance: low}", True),
        (having(Importance="normal", X_Priority="2"), "{importance: high}", True),
        (OUT, "{sensitivity: normal}", True),
        (having(Sensitivity="Company-Confidential"), "{sensitivity: [private, confidential]}", True),
        (having(Sensitivity="Personal"), "{sensitivity: personal}", True),
        (having(Sensitivity="Private"), "{sensitivity: normal}", False),
        (having(X_Microsoft_Classification="A/C Privileged"), "{classification: 'a/c *'}", True),
        (having(X_MS_Exchange_Organization_Classification="0f2e"), "{classification: 0F2E}", True),
        (having(IN, X_MS_Exchange_Organization_Classification="0f2e"), "{classification: 0f2e}", False),
        (labelled("Enabled=True", "Name=Highly Confidential"), "{classification: '*confidential'}", True),
        (labelled("Enabled=True", "Name=X"), "{classification: 0f2e4b6a-1111-2222-3333-444455556666}", True),
        (labelled("Enabled=False", "Name=Confidential"), "{classification: confidential}", False),
        (labelled("Enabled=True", "Name=Confidential", situation=IN), "{classification: confidential}", True),
        (OUT, "{classification: '?*'}", False),
        (having(X_MS_Exchange_Organization_SCL="6"), "{scl: {over: 4}}", True),
        (having(X_MS_Exchange_Organization_SCL="-1"), "{scl: {under: 0}}", True),
        (having(X_MS_Exchange_Organization_SCL="-1"), "{scl: {over: -1}}", False),
        (having(X_MS_Exchange_Organization_SCL="high"), "{scl: {over: -1}}", False),
        (having(IN, X_MS_Exchange_Organization_SCL="9"), "{scl: {over: 4}}", False),
        (OUT, "{scl: {under: 9}}", False),
    ],
)
def test_what_the_header_says(situation: Situation, when: str, expected: bool) -> None:
    assert situation.matches(when) is expected


MANY = Situation(to=("a@x.example", "b@x.example", "c@x.example"), header={"To": "a@x.example", "Cc": "d@x.example"})


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ("over: 1", True),
        ("over: 2", False),
        ("under: 3", True),
        ("{over: 0, under: 2}", False),
        ("{over: 2, by: envelope}", True),
        ("{over: 3, by: envelope}", False),
    ],
)
def test_recipient_count(count: str, expected: bool) -> None:
    written = count if count.startswith("{") else f"{{{count}}}"
    text = rule(f"when: {{recipients: {written}}}", actions="[hold: {reason: many}]")
    assert [bool(names) for names in MANY.applied(text)] == [expected] * 3


def test_a_count_of_hidden_recipients_shapes_no_content() -> None:
    """A banner that comes with the number of Bcc recipients would tell of them."""
    when = "when: {any: [{not: {recipients: {over: 10, by: envelope}}}]}"
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(when, actions="[hold: {reason: r}, tag-subject: {text: T}]"))
    (problem,) = caught.value.problems
    assert problem.what == "by: envelope counts hidden recipients, and tag-subject would tell of them"
    assert "by: header" in problem.mend
    assert len(rules(rule(when, actions="[hold: {reason: r}]"))) == 1


@pytest.mark.parametrize(
    ("now", "time", "expected"),
    [
        ("2026-11-23T10:00+00:00", "{hours: '08:00-18:00', weekdays: mon-fri}", True),
        ("2026-11-23T10:00+00:00", "{hours: '08:00-18:00', timezone: Asia/Tokyo}", False),
        ("2026-11-22T10:00+00:00", "{weekdays: mon-fri}", False),
        ("2026-12-24T23:30+00:00", "{from: 2026-12-01, until: 2026-12-24}", True),
        ("2026-12-24T23:30+00:00", "{until: 2026-12-24, timezone: Europe/Berlin}", False),
    ],
)
def test_time_of_acceptance(now: str, time: str, expected: bool) -> None:
    assert replace(OUT, now=datetime.fromisoformat(now).astimezone(UTC)).matches(f"{{time: {time}}}") is expected


SIGNED = Situation(
    header={"Content-Type": 'multipart/signed; protocol="application/pkcs7-signature"; boundary="b"'},
    body="--b\r\n\r\nHello\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII\r\n--b--\r\n",
)
PGP = Situation(body="-----BEGIN PGP MESSAGE-----\r\n\r\nhQEM\r\n-----END PGP MESSAGE-----\r\n")
RIGHTS = having(Content_Class="rpmsg.message")


@pytest.mark.parametrize(
    ("situation", "security", "expected"),
    [
        (SIGNED, "signed", True),
        (SIGNED, "smime", True),
        (SIGNED, "[encrypted, pgp]", False),
        (PGP, "[encrypted]", True),
        (PGP, "pgp", True),
        (RIGHTS, "rights-protected", True),
        (OUT, "[signed, encrypted, smime, pgp, rights-protected]", False),
    ],
)
def test_security(situation: Situation, security: str, expected: bool) -> None:
    assert situation.matches(f"{{security: {security}}}") is expected


CLIENT = replace(OUT, client={"ip": "10.1.2.3", "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384", "authenticated_as": "app@x"})


@pytest.mark.parametrize(
    ("situation", "client", "expected"),
    [
        (CLIENT, "network: 10.0.0.0/8", True),
        (CLIENT, "network: [192.0.2.0/24, 10.1.2.3]", True),
        (CLIENT, "network: [192.0.2.0/24, '2001:db8::/32']", False),
        (replace(OUT, client={"ip": "::ffff:10.1.2.3"}), "network: 10.0.0.0/8", True),
        (replace(OUT, client={"ip": "2001:db8::1"}), "network: '2001:db8::/32'", True),
        (replace(OUT, client={"ip": "fe80::1%eth0"}), "network: 'fe80::/10'", True),
        (replace(OUT, client={"ip": "local"}), "network: [0.0.0.0/0, '::/0']", False),
        (CLIENT, "tls: true", True),
        (OUT, "tls: true", False),
        (OUT, "tls: false", True),
        (CLIENT, "listener: [other, TEST]", True),
        (CLIENT, "helo: '*.example.com'", True),
        (CLIENT, "helo: '*.example.net'", False),
        (CLIENT, "authenticated: true", True),
        (OUT, "authenticated: true", False),
        (CLIENT, "authenticated_as: 'app@*'", True),
        (OUT, "authenticated_as: '*'", False),
        (CLIENT, "network: 10.0.0.0/8, tls: false", False),
    ],
)
def test_client(situation: Situation, client: str, expected: bool) -> None:
    assert situation.matches(f"{{client: {{{client}}}}}") is expected


RESULTS = AuthenticationResults(spf="softfail", dkim="pass", dmarc="fail", dkim_domains=("mail.customer.example",))


@pytest.mark.parametrize(
    ("results", "authentication", "expected"),
    [
        (RESULTS, "spf: [fail, softfail]", True),
        (RESULTS, "spf: fail", False),
        (RESULTS, "dkim: pass, dmarc: fail", True),
        (RESULTS, "dkim: pass, dmarc: pass", False),
        (RESULTS, "arc: none", False),
        (RESULTS, "dkim_domain: '*.customer.example'", True),
        (RESULTS, "dkim_domain: customer.example", False),
        (None, "dmarc: [fail, none, permerror]", False),
        (None, "dkim_domain: '*'", False),
    ],
)
def test_authentication(results: AuthenticationResults | None, authentication: str, expected: bool) -> None:
    situation = replace(IN, authentication=results)
    assert situation.matches(f"{{authentication: {{{authentication}}}}}") is expected


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("{importance: urgent}", "high"),
        ("{scl: {over: 12}}", "9"),
        ("{recipients: {by: header}}", "says nothing"),
        ("{client: {network: 10.0.0.1/8}}", "is no network"),
        ("{client: {network: exchange}}", "is no network"),
        ("{authentication: {spf: bad}}", "softfail"),
        ("{security: secret}", "rights-protected"),
        ("{time: {timezone: Europe/Berlin}}", "says nothing"),
        ("{time: {hours: '8-18'}}", "are no hours"),
    ],
)
def test_what_makes_no_sense_is_reported(when: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules(rule(f"when: {when}"))
    assert what in str(caught.value)
    assert all((problem.line, bool(problem.mend)) == (3, True) for problem in caught.value.problems)


def calendar(method: str) -> Situation:
    content_type = f"text/calendar; method={method}" if method else "text/calendar"
    header = {"Content-Type": content_type, "Content-Class": "urn:content-classes:calendarmessage"}
    return Situation(header=header, body="BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("REQUEST", "meeting-request"),
        ("REPLY", "meeting-response"),
        ("COUNTER", "meeting-response"),
        ("CANCEL", "meeting-cancellation"),
        ("PUBLISH", "calendar"),
        ("", "calendar"),
    ],
)
def test_mail_of_a_calendar(method: str, kind: str) -> None:
    kinds = ["meeting", "meeting-request", "meeting-response", "meeting-cancellation", "calendar", "new"]
    assert [name for name in kinds if calendar(method).matches(f"{{kind: {name}}}")] == ["meeting", kind]


@pytest.mark.parametrize(("kind", "is_touched"), [("meeting-request", True), ("meeting", True), ("[new, dsn]", False)])
def test_a_meeting_is_changed_only_by_a_rule_that_names_it(kind: str, is_touched: bool) -> None:
    when = rule(f"when: {{any: [{{kind: {kind}}}, {{direction: outbound}}]}}")
    outcome = calendar("REQUEST").decide(when)
    assert bool(outcome.decision.recipients[0].actions) is is_touched
    assert bool(outcome.withheld) is not is_touched
