"""What every transport owes its callers, whatever lies behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mta.adapters.transport.maildir import MaildirTransport
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import HopTls, Host, MaildirHop, SmtpHop
from mta.model.address import Address, parse_address
from mta.model.delivery import RecipientEntry
from mta.model.envelope import Envelope
from mta.ports.transport import Transport
from tests.servers.sink import Sink

CONTENT = b"From: jane@example.com\r\nSubject: x\r\n\r\n.dots\r\n..more\r\n" + b"line\r\n" * 2000


@dataclass
class Case:
    """A transport, and how to read what arrived at its far end."""

    transport: Transport
    arrived: Callable[[], list[bytes]]


@asynccontextmanager
async def smtp(tmp_path: Path) -> AsyncIterator[Case]:
    with Sink() as sink:
        hop = SmtpHop(name="far", hosts=(Host(host="127.0.0.1", port=sink.port),), tls=HopTls(mode="none"))
        yield Case(
            SmtpTransport.to_hosts(hop, hostname="relay.example.com"),
            lambda: [each.data for each in sink.arrived for _ in each.rcpt_to],
        )


@asynccontextmanager
async def maildir(tmp_path: Path) -> AsyncIterator[Case]:
    hop = MaildirHop(name="far", kind="maildir", folder=tmp_path / "{domain}" / "{local}")

    def arrived() -> list[bytes]:
        files = [path.read_bytes() for path in tmp_path.rglob("new/*")]
        return [data.split(b"\r\n", 2)[2] for data in files]

    yield Case(MaildirTransport(hop, hostname="relay.example.com"), arrived)


Opener = Callable[[Path], AbstractAsyncContextManager[Case]]


@pytest.fixture(params=[smtp, maildir], ids=["smtp", "maildir"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    opener: Opener = request.param
    async with opener(tmp_path) as made:
        yield made
        await made.transport.close()


def envelope(*recipients: str, sender: Address | None = None) -> Envelope:
    return Envelope(sender or parse_address("jane@example.com"), tuple(parse_address(r) for r in recipients))


def entries(of: Envelope, first: int = 0) -> list[RecipientEntry]:
    return [RecipientEntry(first + i, address, 0, "far") for i, address in enumerate(of.recipients)]


async def test_the_content_arrives_as_it_was(case: Case) -> None:
    of = envelope("joe@example.org")
    segments: list[bytes | memoryview] = [CONTENT[:60], memoryview(CONTENT)[60:61], memoryview(CONTENT)[61:]]
    [result] = await case.transport.deliver(of, entries(of), segments, deadline_s=30)
    assert result.reply.is_success
    assert case.arrived() == [CONTENT]


async def test_there_is_one_result_for_each_recipient_with_its_index(case: Case) -> None:
    of = envelope(*(f"r{i}@example.org" for i in range(7)))
    results = await case.transport.deliver(of, entries(of, first=3), [CONTENT], deadline_s=30)
    assert [(r.index, r.address) for r in results] == [(3 + i, address) for i, address in enumerate(of.recipients)]
    assert all(r.reply.is_success and r.reply.status for r in results)
    assert len(case.arrived()) == 7


async def test_the_null_reverse_path_is_delivered(case: Case) -> None:
    of = Envelope(None, (parse_address("joe@example.org"),))
    [result] = await case.transport.deliver(of, entries(of), [CONTENT], deadline_s=30)
    assert result.reply.is_success


async def test_many_deliveries_at_once(case: Case) -> None:
    async def one(number: int) -> None:
        of = envelope(f"r{number}@example.org")
        [result] = await case.transport.deliver(of, entries(of), [b"Subject: %d\r\n\r\n" % number], deadline_s=30)
        assert result.reply.is_success

    await asyncio.gather(*(one(number) for number in range(40)))
    assert sorted(case.arrived()) == sorted(b"Subject: %d\r\n\r\n" % number for number in range(40))


async def test_a_message_without_segments_can_be_delivered(case: Case) -> None:
    of = envelope("joe@example.org")
    [result] = await case.transport.deliver(of, entries(of), [], deadline_s=30)
    assert result.reply.is_success
    assert case.arrived() == [b""]


async def test_a_hostile_address_harms_nobody_else(case: Case) -> None:
    good = parse_address("joe@example.org")
    of = Envelope(parse_address("jane@example.com"), (Address("../../x>\r\nRCPT TO:<eve", "example.org"), good))
    results = await case.transport.deliver(of, entries(of), [CONTENT], deadline_s=30)
    assert results[1].reply.is_success
    assert [result.address for result in results] == list(of.recipients)


async def test_it_is_not_blocked_before_anything_failed(case: Case) -> None:
    assert not case.transport.blocked()
    assert not case.transport.stopped()


async def test_close_can_be_called_twice(case: Case) -> None:
    await case.transport.close()
    await case.transport.close()


async def test_a_delivery_that_begins_after_close_still_gets_through(case: Case) -> None:
    """A reload closes a transport while somebody may be about to use it."""
    await case.transport.close()
    of = envelope("joe@example.org")
    [result] = await case.transport.deliver(of, entries(of), [CONTENT], deadline_s=30)
    assert result.reply.is_success
    assert case.arrived() == [CONTENT]
