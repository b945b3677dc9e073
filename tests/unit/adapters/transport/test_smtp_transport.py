from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mta import events
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.model.delivery import Misfit
from tests.servers.wait import free_port
from tests.unit.adapters.transport.peer import (
    MAIL,
    Script,
    Session,
    deliver,
    envelope,
    hop,
    leap,
    peer,
    replies,
    transport,
)


async def polite(session: Session) -> None:
    await session.open("PIPELINING", "SIZE 100000000", "8BITMIME")
    await session.serve()


async def test_a_message_arrives_byte_for_byte() -> None:
    async with peer(polite) as server, transport(hop(server.port)) as way:
        [result] = await deliver(way)
        assert server.contents == [MAIL]
        assert str(result.reply) == "250 2.0.0 taken"
        assert result.remote_reply == "250 2.0.0 taken"
        assert result.remote == f"127.0.0.1[127.0.0.1]:{server.port}"
        assert result.tls == ""


async def test_one_connection_carries_many_messages_and_ends_with_quit() -> None:
    async with peer(polite) as server:
        async with transport(hop(server.port)) as way:
            for _ in range(5):
                assert replies(await deliver(way)) == ["250 2.0.0"]
        assert len(server.sessions) == 1
        assert server.commands[-1] == b"QUIT"
        assert b"RSET" not in server.commands
        assert len(server.contents) == 5


async def test_a_large_message_goes_in_chunks_to_a_slow_reader() -> None:
    line = b".dots and more" * 5 + b"\r\n"
    big: list[bytes | memoryview] = [memoryview(MAIL), memoryview(line * 60_000), b"\r", b"\n.", memoryview(b"end")]

    async with peer(polite) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, content=big)) == ["250 2.0.0"]
        assert server.contents == [b"".join(big) + b"\r\n"]


async def test_recipients_are_divided_into_transactions() -> None:
    async with peer(polite) as server, transport(hop(server.port, recipients_per_transaction=3)) as way:
        results = await deliver(way, envelope(*(f"r{i}@example.org" for i in range(7))))
        assert [result.index for result in results] == list(range(7))
        assert len(server.contents) == 3
        assert sum(c.startswith(b"RCPT") for c in server.commands) == 7


async def test_recipients_beyond_the_remotes_limit_go_into_another_transaction() -> None:
    async def two_at_most(session: Session) -> None:
        await session.open("PIPELINING")
        count = 0

        def rcpt(_line: bytes) -> str:
            nonlocal count
            count += 1
            return "250 ok" if count % 5 in (1, 2) else "452 4.5.3 too many recipients"

        await session.serve(rcpt)

    async with peer(two_at_most) as server, transport(hop(server.port)) as way:
        results = await deliver(way, envelope(*(f"r{i}@example.org" for i in range(5))))
        assert sorted(r.index for r in results) == list(range(5))
        assert sorted(r.reply.code for r in results) == [250, 250, 250, 250, 452]
        assert len(server.contents) == 2


async def test_one_refused_recipient_of_many() -> None:
    async def picky(session: Session) -> None:
        await session.open("PIPELINING")
        await session.serve(lambda line: "550 5.1.1 unknown" if b"<b@" in line else "250 ok")

    async with peer(picky) as server, transport(hop(server.port)) as way:
        results = await deliver(way, envelope("a@example.org", "b@example.org", "c@example.org"))
        assert replies(results) == ["250 2.0.0", "550 5.1.1", "250 2.0.0"]
        assert results[1].remote_reply == "550 5.1.1 unknown"
        assert len(server.contents) == 1


async def test_8_bit_content_is_declared_where_it_can_be() -> None:
    content = "Subject: x\r\n\r\nGrüße\r\n".encode()
    async with peer(polite) as server, transport(hop(server.port)) as way:
        await deliver(way, content=[content])
        await deliver(way)
        assert [b"8BITMIME" in c for c in server.commands if c.startswith(b"MAIL")] == [True, False]


@pytest.mark.parametrize("size", [100, 3_000_000])
async def test_8_bit_content_is_a_misfit_where_it_can_not_be_declared(size: int) -> None:
    async def old(session: Session) -> None:
        await session.open("PIPELINING")
        await session.serve()

    plain = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (size // 12)
    content = plain + "Grüße\r\n".encode()
    async with peer(old) as server, transport(hop(server.port)) as way:
        [result] = await deliver(way, content=[content])
        assert (replies([result]), result.misfit) == (["554 5.6.3"], Misfit.EIGHT_BIT)
        assert server.commands == [b"EHLO relay.example.com"]
        [result] = await deliver(way, content=[plain])
        assert (replies([result]), result.misfit) == (["250 2.0.0"], None)
        [result] = await deliver(way, content=[content], overlook=[Misfit.EIGHT_BIT])
        assert replies([result]) == ["250 2.0.0"]
        assert server.contents == [plain, content]
        assert len(server.sessions) == 1, "a misfit leaves the connection as it was"


async def test_a_declared_utf8_header_needs_smtputf8_only_if_there_is_one() -> None:
    of = replace(envelope(), smtputf8=True)
    async with peer(polite) as server, transport(hop(server.port)) as way:
        header, body = "Subject: Grüße\r\n\r\nx\r\n".encode(), "Subject: x\r\n\r\nGrüße\r\n".encode()
        assert replies(await deliver(way, of, [header[:9], header[9:]])) == ["553 5.6.7"]
        assert replies(await deliver(way, of, [body[:9], body[9:]])) == ["250 2.0.0"]


# --- connections that end --------------------------------------------------------------------------------------------


async def test_a_kept_connection_that_the_remote_closed_is_replaced() -> None:
    async def one_message(session: Session) -> None:
        await session.open("PIPELINING")
        for verb in ("MAIL", "RCPT"):
            await session.expect(verb, "250 ok")
        await session.expect("DATA", "354 go")
        await session.content()
        session.say("250 2.0.0 taken")

    async with peer(one_message) as server, transport(hop(server.port)) as way:
        for _ in range(3):
            assert replies(await deliver(way)) == ["250 2.0.0"]
        assert len(server.contents) == 3


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle too long", None])
async def test_a_kept_connection_that_fails_at_the_next_message_is_retried_once(farewell: str | None) -> None:
    async def stale(session: Session) -> None:
        await session.open("PIPELINING")
        for verb in ("MAIL", "RCPT"):
            await session.expect(verb, "250 ok")
        await session.expect("DATA", "354 go")
        await session.content()
        session.say("250 2.0.0 taken")
        await session.command()
        if farewell:
            session.say(farewell)

    async with peer(stale, polite) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert len(server.sessions) == 2
        assert len(server.contents) == 2


async def test_a_fresh_connection_that_fails_is_not_retried() -> None:
    async def hangs_up(session: Session) -> None:
        await session.open("PIPELINING")
        await session.command()

    async with peer(hangs_up) as server, transport(hop(server.port)) as way:
        [result] = await deliver(way)
        assert replies([result]) == ["451 4.4.2"]
        assert result.remote_reply == ""
        assert len(server.sessions) == 1


async def test_a_drop_after_the_dot_is_unknown_and_not_repeated() -> None:
    async def forgetful(session: Session) -> None:
        await session.open("PIPELINING")
        while True:
            for verb in ("MAIL", "RCPT"):
                await session.expect(verb, "250 ok")
            await session.expect("DATA", "354 go")
            await session.content()
            if len(session.contents) == 2:
                return
            session.say("250 2.0.0 taken")

    async with peer(forgetful) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert replies(await deliver(way)) == ["451 4.4.2"]
        assert len(server.sessions) == 1


async def test_messages_per_connection() -> None:
    async with peer(polite) as server, transport(hop(server.port, messages_per_connection=2)) as way:
        for _ in range(5):
            await deliver(way)
        assert [len(session.contents) for session in server.sessions] == [2, 2, 1]


async def test_an_idle_connection_is_ended_with_quit() -> None:
    quits = asyncio.Event()

    async def watched(session: Session) -> None:
        await session.open("PIPELINING")
        await session.serve()
        quits.set()

    async with peer(watched) as server, transport(hop(server.port, keep_idle=timedelta(seconds=0.05))) as way:
        await deliver(way)
        await asyncio.wait_for(quits.wait(), 60)
        assert server.commands[-1] == b"QUIT"
        assert replies(await deliver(way)) == ["250 2.0.0"]


async def test_early_refusal_of_a_large_message() -> None:
    async def enough(session: Session) -> None:
        await session.open("PIPELINING")
        for verb in ("MAIL", "RCPT"):
            await session.expect(verb, "250 ok")
        await session.expect("DATA", "354 go")
        await session.reader.readexactly(100_000)
        session.say("552 5.3.4 that is enough")
        await session.writer.drain()
        await asyncio.Event().wait()

    async with peer(enough) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, content=[b"x" * 998 + b"\r\n"] * 50_000)) == ["552 5.3.4"]


# --- time-outs -------------------------------------------------------------------------------------------------------


async def never(_session: Session) -> None:
    await asyncio.Event().wait()


async def silent_after_ehlo(session: Session) -> None:
    await session.open("PIPELINING")
    await asyncio.Event().wait()


async def silent_for_long_after_ehlo(session: Session) -> None:
    await session.open("PIPELINING")
    await session.command()
    leap(30)
    await asyncio.Event().wait()


async def silent_for_long_after_dot(session: Session) -> None:
    await session.open("PIPELINING")
    for verb in ("MAIL", "RCPT"):
        await session.expect(verb, "250 ok")
    await session.expect("DATA", "354 go")
    await session.content()
    leap(50)
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("script", "patience_s", "words"),
    [
        (never, 0.1, "the greeting"),
        (silent_for_long_after_ehlo, 20, "the reply to MAIL FROM"),
        (silent_for_long_after_dot, 20, "the end of the"),
    ],
)
async def test_silence_ends_in_a_deferral(script: Script, patience_s: float, words: str) -> None:
    patience = timedelta(seconds=patience_s)
    async with peer(script) as server, transport(hop(server.port, reply_timeout=patience)) as way:
        [result] = await deliver(way, deadline_s=600)
        assert replies([result]) == ["451 4.4.2"]
        assert words in result.reply.text


async def test_the_deadline_ends_an_attempt() -> None:
    patience = timedelta(hours=1)
    async with peer(silent_for_long_after_ehlo) as server, transport(hop(server.port, reply_timeout=patience)) as way:
        assert replies(await deliver(way, deadline_s=20)) == ["451 4.4.2"]


async def test_a_reader_that_stalls_ends_in_a_deferral() -> None:
    async def stalls(session: Session) -> None:
        await session.open("PIPELINING")
        for verb in ("MAIL", "RCPT"):
            await session.expect(verb, "250 ok")
        await session.expect("DATA", "354 go")
        await asyncio.Event().wait()

    async with peer(stalls) as server, transport(hop(server.port, reply_timeout=timedelta(seconds=0.2))) as way:
        assert replies(await deliver(way, content=[b"x" * 998 + b"\r\n"] * 50_000)) == ["451 4.4.2"]


async def test_a_slow_server_that_keeps_answering_is_waited_for() -> None:
    """The time-out is for each reply, not for all that were pipelined."""

    async def slow(session: Session) -> None:
        await session.open("PIPELINING")
        for verb in ("MAIL", *["RCPT"] * 6):
            leap(4)
            await session.expect(verb, "250 ok")
            await asyncio.sleep(0.01)  # so that most of them are seen one by one
        await session.expect("DATA", "354 go")
        await session.content()
        session.say("250 taken")

    of = envelope(*(f"r{i}@example.org" for i in range(6)))
    async with peer(slow) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, of, deadline_s=600)) == ["250 2.0.0"] * 6


async def test_cancelling_drops_the_connection() -> None:
    async with peer(silent_after_ehlo, polite) as server, transport(hop(server.port, connections=1)) as way:
        task = asyncio.create_task(deliver(way))
        while b"DATA" not in server.commands and len(server.commands) < 1:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert replies(await deliver(way)) == ["250 2.0.0"]


# --- the pool --------------------------------------------------------------------------------------------------------


async def test_no_more_connections_than_allowed_and_first_come_first_served() -> None:
    async with peer(polite) as server, transport(hop(server.port, connections=2)) as way:
        content = [b"Subject: %d\r\n\r\n" % i for i in range(20)]
        await asyncio.gather(*(deliver(way, content=[data]) for data in content))
        assert len(server.sessions) == 2
        assert sorted(server.contents) == sorted(content)
        for session in server.sessions:
            order = [content.index(each) for each in session.contents]
            assert order == sorted(order)


async def test_a_caller_that_waits_too_long_for_a_connection_is_deferred() -> None:
    async with peer(silent_after_ehlo) as server, transport(hop(server.port, connections=1)) as way:
        first = asyncio.create_task(deliver(way, deadline_s=60))
        while not server.commands:
            await asyncio.sleep(0)
        assert replies(await deliver(way, deadline_s=0.1)) == ["451 4.4.5"]
        first.cancel()


async def test_the_next_host_is_tried_when_one_is_down_or_busy() -> None:
    async def busy(session: Session) -> None:
        session.say("421 4.3.2 too busy")

    async with (
        peer(busy) as first,
        peer(polite) as second,
        transport(hop(free_port(), first.port, second.port)) as way,
    ):
        [result] = await deliver(way)
        assert replies([result]) == ["250 2.0.0"]
        assert result.remote.endswith(f":{second.port}")
        assert len(first.sessions) == 1


async def test_the_preferred_host_is_taken_first_and_shunned_after_failing() -> None:
    down = free_port()
    async with peer(polite) as first, peer(polite) as second:
        async with transport(hop(first.port, second.port)) as way:
            await deliver(way)
        assert (len(first.sessions), len(second.sessions)) == (1, 0)
    async with peer(polite) as other:
        async with transport(hop(down, other.port, messages_per_connection=1)) as way:
            await deliver(way)
            async with peer(polite):
                assert replies(await deliver(way)) == ["250 2.0.0"]
        assert len(other.sessions) == 2


async def test_names_and_literals_are_connected_to() -> None:
    async with peer(polite) as server:
        async with transport(hop(server.port, host="localhost")) as way:
            [result] = await deliver(way)
            assert result.remote == f"localhost[127.0.0.1]:{server.port}"
        async with transport(hop(server.port, host="[127.0.0.1]")) as way:
            assert replies(await deliver(way)) == ["250 2.0.0"]
        async with transport(hop(server.port, host="[::1]")) as way:
            assert replies(await deliver(way)) == ["451 4.4.1"], "nobody listens there"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
async def test_a_host_that_does_not_resolve_defers(host: str) -> None:
    async with transport(hop(25, host=host)) as way:
        assert replies(await deliver(way)) == ["451 4.4.3"]


async def test_a_remote_that_limits_connections_is_served_with_those_it_allows() -> None:
    gate = asyncio.Event()

    async def first(session: Session) -> None:
        await session.open("PIPELINING")
        await session.expect("MAIL", "250 ok")
        await gate.wait()
        await session.expect("RCPT", "250 ok")
        await session.expect("DATA", "354 go")
        await session.content()
        session.say("250 taken")
        await session.serve()

    async def refused(session: Session) -> None:
        session.say("421 4.7.0 too many connections")
        gate.set()

    async with peer(first, refused) as server, transport(hop(server.port)) as way:
        one = asyncio.create_task(deliver(way))
        while not server.commands:
            await asyncio.sleep(0)
        others = await asyncio.gather(*(deliver(way) for _ in range(5)))
        assert [replies(results) for results in (*others, await one)] == [["250 2.0.0"]] * 6
        assert not blocked(way)


def blocked(way: SmtpTransport) -> bool:
    return bool(way.blocked())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Actions:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.seen.append(action)


async def test_a_dead_next_hop_is_left_alone_and_probed() -> None:
    clock, log = Clock(), Actions()
    port = free_port()
    events.configure([log])
    try:
        async with transport(hop(port), clock) as way:
            for _ in range(3):
                assert not blocked(way)
                assert replies(await deliver(way)) == ["451 4.4.1"]
            assert blocked(way)
            clock.now += 4.9
            assert blocked(way)
            clock.now += 0.2
            assert not blocked(way)
            await deliver(way)
            clock.now += 9.9
            assert blocked(way), "the second wait is twice as long"
        assert log.seen == ["next-hop-stopped", "next-hop-stopped"]
    finally:
        events.configure([])


async def test_a_single_probe_wakes_the_next_hop_for_all() -> None:
    clock, log, ready = Clock(), Actions(), asyncio.Event()
    refusing = True

    async def moody(session: Session) -> None:
        if refusing:
            session.say("421 4.3.2 not now")
            return
        if session.number == 4:
            await ready.wait()
        await session.open("PIPELINING")
        await session.serve()

    events.configure([log])
    try:
        async with peer(moody) as server, transport(hop(server.port), clock) as way:
            for _ in range(3):
                await deliver(way)
            refusing = False
            clock.now += 10
            tasks = [asyncio.create_task(deliver(way)) for _ in range(6)]
            while len(server.sessions) < 4:
                await asyncio.sleep(0)
            assert blocked(way), "while the probe is under way"
            assert len(server.sessions) == 4
            ready.set()
            assert [replies(await task) for task in tasks] == [["250 2.0.0"]] * 6
            assert not blocked(way)
        assert log.seen == ["next-hop-stopped", "next-hop-resumed"]
    finally:
        events.configure([])


async def test_closing_lets_deliveries_under_way_finish() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(session: Session) -> None:
        await session.open("PIPELINING")
        await session.expect("MAIL", "250 ok")
        arrived.set()
        await go.wait()
        await session.serve()

    async with peer(slow) as server, transport(hop(server.port)) as way:
        task = asyncio.create_task(deliver(way))
        await arrived.wait()
        await way.close()
        go.set()
        assert replies(await task) == ["250 2.0.0"]
        assert replies(await deliver(way)) == ["250 2.0.0"], "a reload may close it under a caller's hands"
        assert len(server.sessions) == 2
