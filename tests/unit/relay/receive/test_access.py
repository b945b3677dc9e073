"""Who may connect and to whom a listener relays."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from mta.model.address import Address, parse_address
from mta.model.envelope import ListenerRole
from mta.relay.receive.access import RELAYING_DENIED, ROUTED_LOCAL_PART, AccessPolicy, counting_key, plain_ip

OURS = frozenset({"example.net", "xn--mnchen-3ya.example"})
INBOUND = AccessPolicy(ListenerRole.INBOUND, accepted_domains=OURS, postmaster="postmaster@mx.example.com")
TRUSTED = AccessPolicy(ListenerRole.TRUSTED, (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")), OURS)


@pytest.mark.parametrize(
    ("ip", "may"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.2.1", True),
        ("::ffff:192.0.3.1", False),
        ("2001:db8::25", True),
        ("2001:db9::25", False),
        ("2001:db8::25%eth0", True),
    ],
)
def test_allowed_networks(ip: str, may: bool) -> None:
    assert TRUSTED.may_connect(ip) is may


def test_without_networks_strangers_reach_inbound_and_nobody_reaches_trusted() -> None:
    assert INBOUND.may_connect("203.0.113.9")
    assert not AccessPolicy(ListenerRole.TRUSTED).may_connect("127.0.0.1")


def test_trusted_listener_relays_anywhere() -> None:
    assert TRUSTED.judge_recipient(parse_address("anybody%x@example.org")) is None


@pytest.mark.parametrize(
    "address", ["jane@example.net", "Jane@EXAMPLE.net", "jane@münchen.example", "a+b=c@example.net"]
)
def test_inbound_listener_takes_accepted_domains(address: str) -> None:
    assert INBOUND.judge_recipient(parse_address(address)) is None


@pytest.mark.parametrize("address", ["jane@example.org", "jane@sub.example.net", "jane@xample.net", "jane@net"])
def test_inbound_listener_takes_nothing_else(address: str) -> None:
    assert INBOUND.judge_recipient(parse_address(address)) == RELAYING_DENIED


@pytest.mark.parametrize("address", ["jane@stra\u00dfe.example", "jane@example\u3002net", "jane@e\uff58ample.net"])
def test_a_domain_that_others_may_read_as_another_is_not_ours(address: str) -> None:
    policy = AccessPolicy(ListenerRole.INBOUND, accepted_domains=OURS | {"strasse.example"})
    assert policy.judge_recipient(parse_address(address)) == RELAYING_DENIED


@pytest.mark.parametrize("address", ["a%b@example.net", "b!a@example.net", '"a@b"@example.net'])
def test_routes_in_local_parts_are_not_passed_on_for_strangers(address: str) -> None:
    assert INBOUND.judge_recipient(parse_address(address)) == ROUTED_LOCAL_PART


def test_postmaster_is_always_a_recipient() -> None:
    assert INBOUND.judge_recipient(Address("Postmaster", "mx.example.com")) is None
    assert INBOUND.judge_recipient(Address("someone", "mx.example.com")) == RELAYING_DENIED


def test_no_accepted_domain_means_no_recipient() -> None:
    assert AccessPolicy(ListenerRole.INBOUND).judge_recipient(Address("a", "example.net")) == RELAYING_DENIED


def test_ipv4_over_ipv6_is_the_same_client() -> None:
    assert plain_ip("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_ip("2001:db8::1") == "2001:db8::1"
    assert plain_ip("192.0.2.1") == "192.0.2.1"


def test_a_network_of_ipv6_counts_as_one_client() -> None:
    assert counting_key("2001:db8::1") == counting_key("2001:db8:0:0:ffff::2%eth0")
    assert counting_key("2001:db8::1") != counting_key("2001:db8:0:1::1")
    assert counting_key("192.0.2.1") != counting_key("192.0.2.2")
