"""Which servers take a domain's mail, asked of a real DNS server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from mta.adapters.dns.resolver import DnsResolver
from mta.adapters.transport.connect_errors import ConnectError, NoRouteError
from mta.adapters.transport.mail_exchangers import ADDRESSES_MAX, HOSTS_MAX, MailExchangers, Ourselves
from tests.servers.dns import BLACK_HOLE, SERVFAIL, DnsServer, dns_server

PRIVATE = (
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255",
)  # fmt: skip
PRIVATE6 = (
    "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:7f00:1", "::ffff:a00:1", "64:ff9b::7f00:1",
    "2002:7f00:1::", "::7f00:1", "2001:db8::1",
)  # fmt: skip

RECORDS = {
    "plain.example": [("MX", (20, "mx2.plain.example")), ("MX", (10, "mx1.plain.example"))],
    "mx1.plain.example": [("A", "9.9.9.1"), ("AAAA", "2620:fe::1")],
    "mx2.plain.example": [("A", "9.9.9.2")],
    "implicit.example": [("A", "9.9.9.3")],
    "implicit6.example": [("AAAA", "2620:fe::3")],
    "alias.example": [("CNAME", "implicit.example")],
    "nobody.example": [("TXT", "nothing else")],
    "null.example": [("MX", (0, "."))],
    "null-and-more.example": [("MX", (0, ".")), ("MX", (10, "mx1.plain.example"))],
    "dangling.example": [("MX", (10, "gone.example")), ("MX", (20, "mx2.plain.example"))],
    "all-dangling.example": [("MX", (10, "gone.example"))],
    "broken.example": SERVFAIL,
    "silent.example": BLACK_HOLE,
    "half.example": [("MX", (10, "broken.example")), ("MX", (20, "mx2.plain.example"))],
    "unknown.example": [("MX", (10, "silent.example")), ("MX", (20, "gone.example"))],
    "number.example": [("MX", (10, "9.9.9.9"))],
    "backup.example": [
        ("MX", (10, "mx1.plain.example")),
        ("MX", (20, "relay.example.com")),
        ("MX", (20, "implicit.example")),
        ("MX", (30, "mx2.plain.example")),
    ],
    "relay.example.com": [("A", "9.9.9.77")],
    "ours.example": [("MX", (10, "relay.example.com")), ("MX", (20, "mx2.plain.example"))],
    "ours-unresolved.example": [("MX", (10, "gone.example")), ("MX", (10, "nowhere.relay.test"))],
    "ours-by-address.example": [("MX", (10, "other-name.example"))],
    "other-name.example": [("A", "9.9.9.78")],
    "this-machine.example": [("MX", (10, "local-name.example"))],
    "local-name.example": [("A", "127.0.0.1")],
    "private.example": [("MX", (10, "inside.example")), ("MX", (20, "mx2.plain.example"))],
    "inside.example": [*(("A", address) for address in PRIVATE), *(("AAAA", address) for address in PRIVATE6)],
    "only-private.example": [("MX", (10, "inside.example"))],
    "many.example": [("MX", (number, f"mx{number}.many.example")) for number in range(30)],
    "crowd.example": [("A", f"9.9.8.{number}") for number in range(40)],
    "xn--bcher-kva.example": [("MX", (10, "mx1.plain.example"))],
    **{f"private{number}.example": [("A", address)] for number, address in enumerate(PRIVATE)},
    **{f"private{number}.six.example": [("AAAA", address)] for number, address in enumerate(PRIVATE6)},
    **{f"mx{number}.many.example": [("A", f"9.9.7.{number}")] for number in range(30)},
}


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with dns_server(RECORDS) as running:
        yield running


@asynccontextmanager
async def exchangers(
    server: DnsServer, *, ourselves: Ourselves | None = None, port: int = 25, may_be_private: bool = False,
    timeout_s: float = 20,
) -> AsyncIterator[MailExchangers]:  # fmt: skip
    resolver = DnsResolver([server.address], timeout_s=timeout_s)
    yield MailExchangers(
        lambda: resolver, ourselves=ourselves, port=port, may_be_private=may_be_private, chance=lambda: 0.5
    )
    await resolver.close()


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("plain.example", {"mx1.plain.example": ("9.9.9.1", "2620:fe::1"), "mx2.plain.example": ("9.9.9.2",)}),
        ("implicit.example", {"implicit.example": ("9.9.9.3",)}),
        ("implicit6.example", {"implicit6.example": ("2620:fe::3",)}),
        ("alias.example", {"alias.example": ("9.9.9.3",)}),
        ("null-and-more.example", {"mx1.plain.example": ("9.9.9.1", "2620:fe::1")}),
        ("dangling.example", {"mx2.plain.example": ("9.9.9.2",)}),
        ("half.example", {"mx2.plain.example": ("9.9.9.2",)}),
        ("private.example", {"mx2.plain.example": ("9.9.9.2",)}),
        ("xn--bcher-kva.example", {"mx1.plain.example": ("9.9.9.1", "2620:fe::1")}),
    ],
)
async def test_the_servers_of_a_domain_in_their_order(
    server: DnsServer, domain: str, found: dict[str, tuple[str, ...]]
) -> None:
    async with exchangers(server) as of:
        servers = await of.of(domain)
        assert {each.name: each.addresses for each in servers} == found
        assert [each.name for each in servers] == list(found)


@pytest.mark.parametrize(
    ("domain", "reply"),
    [
        ("no-such.example", "550 5.1.2"),
        ("nobody.example", "550 5.4.4"),
        ("null.example", "556 5.1.10"),
        ("all-dangling.example", "550 5.4.4"),
        ("number.example", "550 5.4.4"),
        ("only-private.example", "550 5.4.4"),
    ],
)
async def test_domains_that_take_no_mail(server: DnsServer, domain: str, reply: str) -> None:
    async with exchangers(server) as of:
        with pytest.raises(NoRouteError) as caught:
            await of.of(domain)
        assert str(caught.value).startswith(reply)


@pytest.mark.parametrize("domain", ["broken.example", "silent.example", "unknown.example"])
async def test_what_dns_does_not_tell_is_no_reason_to_give_up(server: DnsServer, domain: str) -> None:
    async with exchangers(server, timeout_s=0.5) as of:
        with pytest.raises(ConnectError) as caught:
            await of.of(domain)
        assert str(caught.value).startswith("451 4.4.3")


US = Ourselves("relay.example.com", frozenset({("9.9.9.78", 25), ("127.0.0.2", 2525)}))


async def test_where_we_are_a_backup_only_better_ones_are_tried(server: DnsServer) -> None:
    async with exchangers(server, ourselves=US) as of:
        assert [each.name for each in await of.of("backup.example")] == ["mx1.plain.example"]


@pytest.mark.parametrize("domain", ["ours.example", "ours-by-address.example"])
async def test_mail_that_would_come_back_is_given_up(server: DnsServer, domain: str) -> None:
    async with exchangers(server, ourselves=US) as of:
        with pytest.raises(NoRouteError, match=r"550 5\.4\.6"):
            await of.of(domain)


async def test_we_are_known_by_name_even_where_it_has_no_address(server: DnsServer) -> None:
    async with exchangers(server, ourselves=Ourselves("nowhere.relay.test")) as of:
        with pytest.raises(NoRouteError, match=r"550 5\.4\.6"):
            await of.of("ours-unresolved.example")


@pytest.mark.parametrize(("port", "is_us"), [(2525, True), (25, False)])
async def test_a_listener_on_all_addresses_is_on_those_of_this_machine(
    server: DnsServer, port: int, is_us: bool
) -> None:
    everywhere = Ourselves("relay.example.com", frozenset({("0.0.0.0", 2525)}))
    async with exchangers(server, ourselves=everywhere, port=port, may_be_private=True) as of:
        if is_us:
            with pytest.raises(NoRouteError, match=r"550 5\.4\.6"):
                await of.of("this-machine.example")
        else:
            assert len(await of.of("this-machine.example")) == 1
        assert len(await of.of("plain.example")) == 2


async def test_an_internal_domain_may_have_private_addresses(server: DnsServer) -> None:
    async with exchangers(server, may_be_private=True) as of:
        [found] = await of.of("only-private.example")
        assert len(found.addresses) == 2 * ADDRESSES_MAX
        assert set(found.addresses[::2]) <= set(PRIVATE), "both families in turn"


@pytest.mark.parametrize(
    "domain",
    [f"private{number}.example" for number in range(len(PRIVATE))]
    + [f"private{number}.six.example" for number in range(len(PRIVATE6))],
)
async def test_a_stranger_does_not_lead_us_into_our_network(server: DnsServer, domain: str) -> None:
    async with exchangers(server) as of:
        with pytest.raises(NoRouteError, match=r"550 5\.4\.4 .* private"):
            await of.of(domain)


async def test_hostile_answers_are_bounded(server: DnsServer) -> None:
    async with exchangers(server) as of:
        assert [each.name for each in await of.of("many.example")] == [
            f"mx{number}.many.example" for number in range(HOSTS_MAX)
        ]
        [crowd] = await of.of("crowd.example")
        assert len(crowd.addresses) == ADDRESSES_MAX


async def test_equals_are_in_random_order(server: DnsServer) -> None:
    chances = iter([0.9, 0.1] + [0.5] * 20)
    resolver = DnsResolver([server.address], timeout_s=20)
    of = MailExchangers(lambda: resolver, chance=lambda: next(chances))
    server.records["equal.example"] = [("MX", (10, "mx1.plain.example")), ("MX", (10, "mx2.plain.example"))]
    first = (await of.of("equal.example"))[0].name
    chances = iter([0.1, 0.9] + [0.5] * 20)
    assert (await of.of("equal.example"))[0].name != first
    await resolver.close()
