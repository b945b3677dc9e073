"""The resolver against a DNS server on the loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from mta.adapters.dns.resolver import DnsResolver
from mta.config.authentication_schema import address_and_port
from mta.ports.resolver import Answer, MailExchanger, Outcome
from tests.servers.dns import BLACK_HOLE, SERVFAIL, DnsServer, dns_server

RECORDS = {
    "example.com": [("TXT", "v=spf1 -all"), ("TXT", ["in two ", "strings"]), ("A", "192.0.2.1"), ("A", "192.0.2.2")],
    "mail.example.com": [("AAAA", "2001:db8::1"), ("MX", (20, "B.example.com")), ("MX", (10, "a.example.com"))],
    "alias.example.com": [("CNAME", "example.com")],
    "1.2.0.192.in-addr.arpa": [("PTR", "Mail.Example.com")],
    "huge.example.com": [("TXT", "x" * 9000)],
    "broken.example.com": SERVFAIL,
}


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server(RECORDS) as running:
        yield running


@pytest.fixture
async def resolver(server: DnsServer) -> AsyncIterator[DnsResolver]:
    made = DnsResolver([server.address], timeout_s=20)
    yield made
    await made.close()


async def test_records_of_each_type(resolver: DnsResolver) -> None:
    txt = await resolver.txt("Example.com.")
    assert txt.outcome is Outcome.ANSWER
    assert sorted(txt.records) == [b"in two strings", b"v=spf1 -all"]
    assert sorted((await resolver.a("example.com")).records) == ["192.0.2.1", "192.0.2.2"]
    assert (await resolver.aaaa("mail.example.com")).records == ("2001:db8::1",)
    assert (await resolver.mx("mail.example.com")).records == (
        MailExchanger(10, "a.example.com"),
        MailExchanger(20, "b.example.com"),
    )
    assert (await resolver.ptr("192.0.2.1")).records == ("mail.example.com",)


async def test_an_alias_is_followed(resolver: DnsResolver) -> None:
    assert b"v=spf1 -all" in (await resolver.txt("alias.example.com")).records


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("mail.example.com", Outcome.NODATA),
        ("nobody.example.com", Outcome.NXDOMAIN),
        ("broken.example.com", Outcome.TEMPFAIL),
        ("a..example.com", Outcome.NXDOMAIN),
        ("x" * 64 + ".example.com", Outcome.NXDOMAIN),
        ("", Outcome.NXDOMAIN),
        (".".join(["x" * 60] * 5), Outcome.NXDOMAIN),
    ],
)
async def test_outcomes(resolver: DnsResolver, name: str, outcome: Outcome) -> None:
    assert await resolver.txt(name) == Answer(outcome)


async def test_a_long_answer_comes_over_tcp(resolver: DnsResolver, server: DnsServer) -> None:
    assert (await resolver.txt("huge.example.com")).records == (b"x" * 9000,)
    assert server.over_tcp == 1


async def test_an_answer_is_asked_for_once(resolver: DnsResolver, server: DnsServer) -> None:
    await asyncio.gather(*(resolver.txt("example.com") for _ in range(20)))
    await resolver.txt("example.com")
    await resolver.txt("nobody.example.com")
    await resolver.txt("nobody.example.com")
    assert server.asked["example.com", "TXT"] == 1
    assert server.asked["nobody.example.com", "TXT"] == 1


async def test_one_who_gives_up_takes_the_answer_from_nobody(resolver: DnsResolver) -> None:
    first = asyncio.create_task(resolver.txt("example.com"))
    second = asyncio.create_task(resolver.txt("example.com"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).outcome is Outcome.ANSWER
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_dead_server_costs_the_timeout_and_no_more() -> None:
    with dns_server({"*": BLACK_HOLE}) as server:
        resolver = DnsResolver([server.address], timeout_s=0.3)
        async with asyncio.timeout(40):  # one after another they would take a minute
            answers = await asyncio.gather(*(resolver.txt(f"d{n}.example.com") for n in range(200)))
        assert {answer.outcome for answer in answers} == {Outcome.TEMPFAIL}
        await resolver.close()


async def test_the_next_server_is_asked_where_one_is_gone(server: DnsServer) -> None:
    resolver = DnsResolver(["127.0.0.1:9", server.address], timeout_s=20)
    assert (await resolver.txt("example.com")).outcome is Outcome.ANSWER
    await resolver.close()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_servers_as_they_are_written(written: str, meant: tuple[str, int]) -> None:
    assert address_and_port(written) == meant


@pytest.mark.parametrize("written", ["", "dns.example.com", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:x", "[::1]"])
def test_what_is_no_server(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        address_and_port(written)
