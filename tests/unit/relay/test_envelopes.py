"""What the next hop is asked to report, of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mta.model.address import parse_address
from mta.model.delivery import AcceptedMessage
from mta.model.envelope import DsnRequest, Envelope, ListenerRole, Notify
from mta.relay.envelopes import envelopes
from mta.relay.split.variants import Variant
from tests.unit.relay.deliver.samples import message

POSTMASTER = parse_address("postmaster@relay.example.com")
THREE = ("a@example.org", "b@example.org", "c@example.org")
NEVER = DsnRequest(Notify.NEVER)
ASKED = {
    "a@example.org": DsnRequest(Notify.SUCCESS | Notify.FAILURE, "rfc822;a+2Bx@example.org"),
    "d@example.org": DsnRequest(Notify.SUCCESS | Notify.DELAY),
}


def by_rules(asked: Mapping[str, DsnRequest], **settings: object) -> AcceptedMessage:
    """To a, whom the envelope names, b, whom a rule added, and c, who stands for d."""
    of = message(THREE, ret="HDRS", envid="QQ1", dsn=asked, **settings)  # type: ignore[arg-type]
    a, b, c = of.decision.recipients
    decided = (a, replace(b, added_by="copy"), replace(c, added_by="away", in_place_of="d@example.org"))
    return replace(of, decision=replace(of.decision, recipients=decided))


def made(of: AcceptedMessage, *, postmaster: bool = True) -> list[tuple[Envelope, list[str]]]:
    found = envelopes(of, Variant(0, (), of.recipients), of.recipients, POSTMASTER if postmaster else None)
    return [(envelope, [str(entry.address) for entry in served]) for envelope, served in found]


def test_without_rules_or_requests_the_envelope_is_the_senders() -> None:
    of = message(THREE)
    assert made(of) == [(of.envelope, list(THREE))]


def test_requests_are_handed_on() -> None:
    of = message(THREE, ret="FULL", envid="QQ1", dsn=ASKED)
    [(envelope, _)] = made(of)
    assert (envelope.ret, envelope.envid) == ("FULL", "QQ1")
    assert envelope.dsn == {"a@example.org": ASKED["a@example.org"]}, "of those who get this copy, for them alone"


def test_of_those_whom_rules_added_the_sender_is_told_nothing() -> None:
    (sent, to), (ours, added) = made(by_rules(ASKED))
    assert (to, added) == (["a@example.org", "c@example.org"], ["b@example.org"])
    assert (ours.reverse_path, ours.ret, ours.envid, ours.dsn) == (POSTMASTER, "", "", {})
    assert str(sent.reverse_path) == "jane@example.com"
    [(alone, _)] = made(by_rules(ASKED), postmaster=False)
    assert alone.dsn["b@example.org"] == NEVER


@pytest.mark.parametrize(
    ("asked", "handed_on"),
    [
        (ASKED, DsnRequest(Notify.DELAY, "rfc822;d@example.org")),
        ({}, DsnRequest(None, "rfc822;d@example.org")),
        ({"d@example.org": DsnRequest(Notify.SUCCESS)}, DsnRequest(Notify.NEVER, "rfc822;d@example.org")),
        ({"d@example.org": DsnRequest(None, "rfc822;dd@example.org")}, DsnRequest(None, "rfc822;dd@example.org")),
    ],
    ids=["success and delay", "nothing", "success", "a name of the sender's own"],
)
def test_who_stands_for_another_goes_by_their_name(asked: Mapping[str, DsnRequest], handed_on: DsnRequest) -> None:
    assert made(by_rules(asked))[0][0].dsn["c@example.org"] == handed_on


@pytest.mark.parametrize(("results", "is_asked"), [("spf=fail smtp.mailfrom=example.net", False), ("none", True)])
def test_of_mail_in_a_strangers_name_nobody_behind_us_reports(results: str, is_asked: bool) -> None:
    trace = f"Authentication-Results: relay.example.com;\r\n\t{results}\r\nReceived: from x by y\r\n".encode()
    of = message(("a@example.org",), sender="s@example.net", role=ListenerRole.INBOUND, dsn=ASKED)
    [(envelope, _)] = made(replace(of, trace=trace))
    assert envelope.dsn == {"a@example.org": ASKED["a@example.org"] if is_asked else NEVER}
