"""Delivery to the servers of each recipient's domain: real DNS, scripted servers on loopback addresses of one port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mta import events
from mta.adapters.dns.resolver import DnsResolver
from mta.adapters.transport import mx_transport
from mta.adapters.transport.mail_exchangers import Ourselves
from mta.adapters.transport.mx_transport import MxTransport
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import HopTls, Host, MxHop, SmtpHop
from mta.model.address import parse_address
from mta.model.delivery import RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from tests.servers.dns import SERVFAIL, DnsServer, Records, dns_server
from tests.servers.wait import free_port
from tests.unit.adapters.transport.peer import MAIL, Session, peer, replies


async def polite(session: Session) -> None:
    await session.open("PIPELINING")
    await session.serve()


async def busy(session: Session) -> None:
    session.say("421 4.3.2 too many connections")


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with dns_server({}) as running:
        yield running


def publish(dns: DnsServer, **records: object) -> None:
    """Domains below `.example`; `_` stands for a dot."""
    found: Records = {f"{name.replace('_', '.')}.example": entry for name, entry in records.items()}
    dns.records.update(found)


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@asynccontextmanager
async def direct(
    dns: DnsServer, port: int, clock: Clock | None = None, ourselves: Ourselves | None = None, **settings: object
) -> AsyncIterator[MxTransport]:
    resolver = DnsResolver([dns.address], timeout_s=20)
    values: dict[str, object] = {"private_addresses": True, "tls": HopTls(mode="none"), **settings}
    hop = MxHop.model_validate(
        {"name": "direct", "kind": "mx", "port": port, "reply_timeout": timedelta(seconds=10), **values}
    )
    made = MxTransport(
        hop, hostname="relay.example.com", resolver=lambda: resolver, ourselves=ourselves, clock=clock or Clock()
    )
    yield made
    await made.close()
    await resolver.close()


async def deliver(way: MxTransport | SmtpTransport, *recipients: str) -> list[RecipientResult]:
    addresses = tuple(map(parse_address, recipients))
    entries = [RecipientEntry(i, address, 0, "direct") for i, address in enumerate(addresses)]
    of = Envelope(parse_address("jane@example.com"), addresses)
    return sorted(await way.deliver(of, entries, [MAIL], deadline_s=30), key=lambda result: result.index)


async def test_each_domain_has_its_own_servers(dns: DnsServer) -> None:
    port = free_port()
    publish(
        dns, one=[("MX", (10, "mx.one.example"))], mx_one=[("A", "127.0.0.2")], two=[("A", "127.0.0.3")],
        null=[("MX", (0, "."))], broken=SERVFAIL,
    )  # fmt: skip
    async with (
        peer(polite, address="127.0.0.2", port=port) as one, peer(polite, address="127.0.0.3", port=port) as two,
        direct(dns, port) as way,
    ):  # fmt: skip
        results = await deliver(
            way, "a@one.example", "b@two.example", "c@null.example", "d@broken.example", "e@ONE.example"
        )
        assert replies(results) == ["250 2.0.0", "250 2.0.0", "556 5.1.10", "451 4.4.3", "250 2.0.0"]
        assert results[0].remote == f"mx.one.example[127.0.0.2]:{port}"
        assert [c for c in one.commands if c.startswith(b"RCPT")] == [
            b"RCPT TO:<a@one.example>",
            b"RCPT TO:<e@ONE.example>",
        ]
        assert two.contents == [MAIL]


async def test_the_next_server_is_tried_by_preference_and_the_other_addresses_of_one(dns: DnsServer) -> None:
    port = free_port()
    publish(
        dns, a=[("MX", (20, "backup.example")), ("MX", (10, "main.example"))], backup=[("A", "127.0.0.4")],
        main=[("A", "127.0.0.2"), ("A", "127.0.0.3")],
    )  # fmt: skip
    async with (
        peer(busy, address="127.0.0.2", port=port) as first, peer(busy, address="127.0.0.3", port=port) as second,
        peer(polite, address="127.0.0.4", port=port) as backup, direct(dns, port) as way,
    ):  # fmt: skip
        [result] = await deliver(way, "x@a.example")
        assert result.remote == f"backup.example[127.0.0.4]:{port}"
        assert (len(first.sessions), len(second.sessions), len(backup.sessions)) == (1, 1, 1)


async def test_a_dead_domain_stops_alone_and_says_so(dns: DnsServer) -> None:
    port, lines = free_port(), Lines()
    publish(dns, dead=[("A", "127.0.0.2")], live=[("A", "127.0.0.3")])
    events.configure([lines])
    try:
        async with peer(polite, address="127.0.0.3", port=port), direct(dns, port, clock := Clock()) as way:
            for _ in range(3):
                assert replies(await deliver(way, "x@dead.example", "y@live.example")) == ["451 4.4.1", "250 2.0.0"]
            clock.time += 2
            assert list(way.blocked()) == ["dead.example"]
            assert (way.is_blocked("dead.example"), way.is_blocked("live.example")) == (True, False)
            [(domain, stopped)] = way.stopped().items()
            assert (domain, stopped.for_s, stopped.reason[:9]) == ("dead.example", 2.0, "451 4.4.1")
            async with peer(polite, address="127.0.0.2", port=port):
                clock.time += 10
                assert replies(await deliver(way, "x@dead.example")) == ["250 2.0.0"]
            assert not way.stopped()
    finally:
        events.configure([])
    told = [line for line in lines.written if "next_hop=direct/dead.example" in line]
    assert [line.partition("action=")[2].split()[0] for line in told] == ["next-hop-stopped", "next-hop-resumed"]


class Lines:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.written.append(line)


async def test_private_addresses_of_strangers_are_not_connected_to(dns: DnsServer) -> None:
    port = free_port()
    publish(dns, evil=[("A", "127.0.0.2")])
    async with peer(polite, address="127.0.0.2", port=port) as inside:
        async with direct(dns, port, private_addresses=False) as way:
            assert replies(await deliver(way, "x@evil.example")) == ["550 5.4.4"]
        assert inside.sessions == []


async def test_mail_for_ourselves_does_not_go_in_circles(dns: DnsServer) -> None:
    port = free_port()
    publish(dns, ours=[("A", "127.0.0.2")])
    us = Ourselves("relay.example.com", frozenset({("127.0.0.2", port)}))
    async with peer(polite, address="127.0.0.2", port=port) as listener, direct(dns, port, ourselves=us) as way:
        assert replies(await deliver(way, "x@ours.example")) == ["550 5.4.6"]
        assert listener.sessions == []


async def test_thousands_of_domains_are_not_all_remembered(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx_transport, "DOMAINS_KEPT", 5)
    dns.records["*"] = [("A", "127.0.0.2")]
    publish(dns, dead=[("A", "127.0.0.9")])
    port = free_port()
    async with peer(polite, address="127.0.0.2", port=port), direct(dns, port, keep_idle="0s") as way:
        for failure in range(3):
            await deliver(way, "x@dead.example")
            for number in range(20):
                assert replies(await deliver(way, f"x@d{number}-{failure}.example")) == ["250 2.0.0"]
        assert list(way.blocked()) == ["dead.example"], "what fails is not forgotten, nor what stopped"
        assert len(way.domains) < 20


async def test_hosts_of_a_next_hop_may_be_those_of_a_domain(dns: DnsServer) -> None:
    port, other = free_port(), free_port()
    publish(
        dns, company=[("MX", (20, "b.company.example")), ("MX", (10, "a.company.example"))],
        a_company=[("A", "127.0.0.2")], b_company=[("A", "127.0.0.3")],
    )  # fmt: skip
    resolver = DnsResolver([dns.address], timeout_s=20)
    hosts = (Host(host="127.0.0.4", port=other, preference=5), Host(mx="company.example", port=port))
    hop = SmtpHop(name="company", hosts=hosts, tls=HopTls(mode="none"))
    async with (
        peer(busy, address="127.0.0.2", port=port) as first, peer(polite, address="127.0.0.3", port=port) as second,
        peer(busy, address="127.0.0.4", port=other) as own,
    ):  # fmt: skip
        way = SmtpTransport.to_hosts(hop, hostname="relay.example.com", resolver=lambda: resolver)
        [result] = await deliver(way, "x@example.org")
        assert result.remote == f"b.company.example[127.0.0.3]:{port}"
        assert (len(own.sessions), len(first.sessions), len(second.sessions)) == (1, 1, 1)
        await way.close()
    await resolver.close()


@pytest.mark.parametrize("entry", [None, [("MX", (0, "."))], SERVFAIL])
async def test_what_dns_says_of_a_configured_domain_bounces_no_mail(dns: DnsServer, entry: object) -> None:
    if entry is not None:
        publish(dns, company=entry)
    resolver = DnsResolver([dns.address], timeout_s=20)
    hop = SmtpHop(name="company", hosts=(Host(mx="company.example"),), tls=HopTls(mode="none"))
    way = SmtpTransport.to_hosts(hop, hostname="relay.example.com", resolver=lambda: resolver)
    [result] = await deliver(way, "x@example.org")
    assert result.reply.is_temporary
    await way.close()
    await resolver.close()
