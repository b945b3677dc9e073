"""Mail that only claims to be ours, by every trick: it is never internal or outbound, and a rule can tell it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mta.model.envelope import ListenerRole
from tests.unit.relay.decide.situation import Situation

STRANGER = Situation(sender="x@stranger.example", to=("john@example.com",), role=ListenerRole.INBOUND)


@pytest.mark.parametrize(
    ("header", "reverse_path", "claims"),
    [
        ({"From": "Jane <jane@example.com>"}, "x@stranger.example", True),
        ({"From": "Jane <jane@example.com>"}, "jane@example.com", True),
        ({"From": "jane@EXAMPLE.com"}, "x@stranger.example", True),
        ({"From": "Jane <x@stranger.example>"}, "jane@example.com", False),
        ({"From": '"jane@example.com" <x@stranger.example>'}, "x@stranger.example", True),
        ({"From": '"Jane (jane @ example.com)" <x@stranger.example>'}, "x@stranger.example", True),
        ({"From": "=?utf-8?q?jane=40example=2Ecom?= <x@stranger.example>"}, "x@stranger.example", True),
        ({"From": "x@stranger.example, jane@example.com"}, "x@stranger.example", True),
        ({"From": "x@stranger.example\r\nFrom: jane@example.com"}, "x@stranger.example", True),
        ({"From": "x@stranger.example", "Sender": "jane@example.com"}, "x@stranger.example", True),
        ({"From": "x@stranger.example", "Resent-From": "jane@example.com"}, "x@stranger.example", True),
        ({"From": "jane@payroll.example.com"}, "x@stranger.example", True),
        ({"From": "<jane@example.com.>, <x@stranger.example>"}, "x@stranger.example", True),
        ({"From": "<x@stranger.example> <jane@example.com>"}, "x@stranger.example", True),
        ({"From": "=?utf-8?b?amFuZUBleGFtcGxlLmNvbQ==?="}, "x@stranger.example", True),
        ({"From": "jane\uff20example.com <x@stranger.example>"}, "x@stranger.example", True),
        ({"From": "jane@examp1e.com"}, "x@stranger.example", False),
        ({"From": "jane@notexample.com"}, "x@stranger.example", False),
        ({"From": "jane@example.com.stranger.example"}, "x@stranger.example", False),
        ({"From": "x@stranger.example", "Reply-To": "jane@example.com"}, "x@stranger.example", False),
    ],
)
def test_a_stranger_is_never_ours(header: dict[str, str], reverse_path: str, claims: bool) -> None:
    situation = replace(STRANGER, header=header, reverse_path=reverse_path)
    assert situation.matches("{sender: {claims: internal}}") is claims
    assert situation.matches("{sender: {scope: external}}")
    assert situation.matches("{direction: inbound}")


def test_with_the_null_reverse_path() -> None:
    situation = replace(STRANGER, sender=None, header={"From": "jane@example.com"})
    assert situation.matches("{sender: {claims: internal}}")
    assert situation.matches("{direction: inbound}")


def test_our_own_people_claim_nothing() -> None:
    assert not Situation().matches("{sender: {claims: internal}}")
    assert not replace(Situation(), to=("john@example.com",)).matches("{sender: {claims: internal}}")
