"""Which of a listener's clients somebody is, and what strangers hear."""

from __future__ import annotations

import pytest

from mta.config.listener_schema import Peer
from mta.relay.receive.access import RELAYING_DENIED
from mta.relay.receive.peers import SIGN_IN_FIRST, PeerPolicy, Shown, Stranger, identify

PEERS = tuple(
    PeerPolicy.of(Peer.model_validate(each))
    for each in (
        {"name": "exchange", "networks": ["192.0.2.0/28", "2001:db8::/64"], "certificates": ["ex.example.com"]},
        {"name": "printers", "networks": ["192.0.2.64/28"], "accounts": ["Printer"]},
        {"name": "staff", "accounts": ["*"]},
        {"name": "monitor", "networks": ["198.51.100.7"]},
    )
)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (Shown("192.0.2.1", ("ex.example.com",)), "exchange"),
        (Shown("2001:db8::1", ("*.example.com",)), "exchange"),
        (Shown("::ffff:192.0.2.1", ("ex.example.com",)), "exchange"),
        (Shown("192.0.2.65", account="pRINTER"), "printers"),
        (Shown("192.0.2.65", account="jane"), "staff"),
        (Shown("203.0.113.1", account="printer"), "staff"),
        (Shown("198.51.100.7"), "monitor"),
    ],
)
def test_the_first_whose_demands_are_all_met(shown: Shown, name: str) -> None:
    found = identify(PEERS, shown)
    assert isinstance(found, PeerPolicy)
    assert found.name == name


def test_what_is_missing_is_told_to_the_log() -> None:
    found = identify(PEERS, Shown("192.0.2.1"))
    assert isinstance(found, Stranger)
    assert found.missing == "exchange: certificate; printers: network, account; staff: account; monitor: network"
    assert found.reply == SIGN_IN_FIRST


@pytest.mark.parametrize(
    ("peers", "shown"),
    [
        (PEERS[:1], Shown("192.0.2.1")),
        (PEERS[:1], Shown("203.0.113.1", ("ex.example.com",))),
        (PEERS[:2], Shown("203.0.113.1")),  # signing in alone would not help
        (PEERS[1:2], Shown("192.0.2.65", account="jane")),  # has signed in, as somebody else
        (PEERS[3:], Shown("198.51.100.8")),
        ((), Shown("192.0.2.1", ("ex.example.com",), "printer")),
    ],
)
def test_where_signing_in_does_not_help_relaying_is_denied(peers: tuple[PeerPolicy, ...], shown: Shown) -> None:
    found = identify(peers, shown)
    assert isinstance(found, Stranger)
    assert found.reply == RELAYING_DENIED
