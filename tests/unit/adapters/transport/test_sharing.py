"""Who gets a connection, and when: senders in turn, a pace that is kept, addresses that take too long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mta.adapters.transport.reach import reach
from tests.servers.wait import free_port
from tests.unit.adapters.transport.peer import Session, deliver, envelope, hop, peer, replies, transport


async def polite(session: Session) -> None:
    await session.open("PIPELINING")
    await session.serve()


async def test_a_sender_with_one_message_does_not_wait_for_anothers_many() -> None:
    async with peer(polite) as server, transport(hop(server.port, connections=1)) as way:
        bulk = [asyncio.create_task(deliver(way, envelope(sender="bulk@example.com"))) for _ in range(50)]
        await asyncio.sleep(0)
        single = asyncio.create_task(deliver(way, envelope(sender="jane@example.com")))
        await asyncio.gather(*bulk, single)
        senders = [command for command in server.commands if command.startswith(b"MAIL")]
        assert senders.index(b"MAIL FROM:<jane@example.com>") <= 2
        assert len(senders) == 51


async def test_the_pace_is_kept_and_who_can_not_go_soon_is_left_in_the_queue() -> None:
    async with peer(polite) as server, transport(hop(server.port, messages="100/1s", connections=2)) as way:
        began = asyncio.get_running_loop().time()
        results = await asyncio.gather(*(deliver(way) for _ in range(120)))
        assert [replies(result) for result in results] == [["250 2.0.0"]] * 120
        assert asyncio.get_running_loop().time() - began > 1, "not 120 within a second"
    async with peer(polite) as server, transport(hop(server.port, messages="1/1h")) as way:
        assert not way.blocked()
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert list(way.blocked()) == [""]
        assert not way.stopped(), "it is not out of order"
        assert replies(await deliver(way, deadline_s=0.05)) == ["451 4.4.5"]


async def test_a_failed_connection_uses_nothing_of_the_pace_up() -> None:
    port = free_port()
    async with transport(hop(port, messages="1/1h")) as way:
        assert replies(await deliver(way)) == ["451 4.4.1"]
        async with peer(polite, port=port):
            assert replies(await deliver(way)) == ["250 2.0.0"]


@contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """An address where connecting hangs: a listener whose backlog is full."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, port))
            fillers.append(filler)
        yield
        for filler in fillers:
            filler.close()


async def test_an_address_that_does_not_answer_is_overtaken() -> None:
    async with peer(polite, address="127.0.0.3") as server:
        with black_hole("127.0.0.2", server.port):
            reached = await reach(["127.0.0.2", "127.0.0.3"], server.port, 10, stagger_s=0.05)
            assert (reached.address, sorted(reached.used)) == ("127.0.0.3", ["127.0.0.3"])
            reached.socket.close()
            with pytest.raises(TimeoutError):
                await reach(["127.0.0.2"], server.port, 0.05)
            with pytest.raises(TimeoutError):
                await reach(["127.0.0.2", "127.0.0.2"], server.port, 0.1, stagger_s=0.05)


async def test_addresses_that_refuse_are_passed_over_at_once() -> None:
    async with peer(polite, address="127.0.0.4") as server:
        reached = await reach(["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"], server.port, 10, stagger_s=9)
        assert (reached.address, sorted(reached.used)) == ("127.0.0.4", ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
        reached.socket.close()
        with pytest.raises(ConnectionRefusedError):
            await reach(["127.0.0.2", "127.0.0.3"], server.port, 10, stagger_s=9)
