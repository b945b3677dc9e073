"""Limits, time-outs and stopping, over real sockets."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from pathlib import Path

import pytest

from mta import events
from mta.relay.receive import server as server_module
from tests.e2e.receive.running import RememberingReceiver, running

# --- limits ---


async def test_too_many_errors_end_the_session() -> None:
    async with running(limits={"errors": 3}) as server:
        talk = await server.talk()
        talk.write(b"FOO\r\n" * 5)
        assert await talk.codes(4) == ["500", "500", "500", "421"]
        assert await talk.rest() == b""


async def test_refused_recipients_count_as_errors() -> None:
    async with running("inbound", allowed_networks=(), limits={"errors": 3}) as server:
        talk = await server.talk()
        talk.write(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@example.org>\r\n" * 5)
        assert await talk.codes(5) == ["250", "550", "550", "550", "421"]


async def test_junk_ends_the_session_but_a_message_forgives_it() -> None:
    async with running(limits={"junk_commands": 4, "errors": 2}) as server:
        talk = await server.talk()
        for _ in range(3):
            talk.write(b"NOOP\r\nRSET\r\nFOO\r\n")
            assert await talk.codes(3) == ["250", "250", "500"]
            assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        talk.write(b"NOOP\r\n" * 9)
        assert await talk.codes(5) == ["250", "250", "250", "250", "421"]


async def test_recipients_over_the_limit_are_deferred() -> None:
    async with running(limits={"recipients": 2}) as server:
        talk = await server.talk()
        await talk.say(b"MAIL FROM:<>")
        talk.write(b"".join(b"RCPT TO:<u%d@example.net>\r\n" % number for number in range(3)))
        assert await talk.replies(3) == ["250 2.1.5 Recipient ok"] * 2 + ["452 4.5.3 Too many recipients"]
        talk.write(b"RCPT TO:<u1@example.net>\r\nDATA\r\nx\r\n.\r\n")
        assert await talk.codes(3) == ["250", "354", "250"]
        assert len(server.receiver.messages[0].envelope.recipients) == 2


async def test_a_recipient_named_again_and_again_counts_from_some_point_on() -> None:
    async with running(limits={"errors": 3}) as server:
        talk = await server.talk()
        await talk.say(b"MAIL FROM:<>")
        talk.write(b"RCPT TO:<a@example.net>\r\n" * 1010)
        assert await talk.codes(1005) == ["250"] * 1001 + ["452", "452", "452", "421"]


async def test_a_burst_of_commands_leaves_the_others_their_turn() -> None:
    async with running(limits={"junk_commands": 1_000_000}) as server:
        flood, other = await server.talk(), await server.talk()
        flood.write(b"NOOP\r\n" * 10_000)
        assert await other.say(b"NOOP") == "250 2.0.0 Ok"
        assert sum(len(session.buffer) for session in server.listener.sessions) > 6000  # of the 60,000 octets
        assert set(await flood.codes(10_000)) == {"250"}


async def test_connections_per_client_are_limited_and_come_free_again() -> None:
    async with running(limits={"connections_per_client": 2}) as server:
        first, _ = await server.talk(), await server.talk()
        third = await server.connect()
        assert await third.rest() == b"421 4.7.0 Too many connections, try again later\r\n"
        assert (await first.say(b"QUIT")).startswith("221")
        async with asyncio.timeout(60):
            while server.listener.counters.connections > 1:
                await asyncio.sleep(0)
        await server.talk()


async def test_connections_in_all_are_limited() -> None:
    async with running(limits={"connections": 1}) as server:
        await server.talk()
        assert (await (await server.connect()).rest()).startswith(b"421 4.7.0 ")


@pytest.mark.parametrize("ending", [b"\r\n", b" \r\n"])
async def test_long_command_is_refused_and_the_next_one_understood(ending: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        for length in (513, 2000, 5000, 60_000):
            talk.write(b"NOOP " + b"x" * (length - 5) + ending)
            assert await talk.reply() == "500 5.5.6 Line too long"
        assert await talk.say(b"NOOP " + b"x" * 505) == "250 2.0.0 Ok"


async def test_limits_of_commands_do_not_grow_with_each_ehlo() -> None:
    async with running() as server:
        talk = await server.talk()
        for _ in range(50):
            await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"NOOP " + b"x" * 508)).startswith("500 5.5.6")
        assert (await talk.say(b"MAIL FROM:<a@example.com> AUTH=" + b"x" * 1200)).startswith("500 5.5.6")


@pytest.mark.parametrize(
    ("command", "longest", "status"),
    [
        (b"NOOP ", 512, "250 2.0.0"),
        (b"MAIL FROM:<a@example.com> AUTH=", 512 + 26 + 17 + 10 + 500 + 116, "250 2.1.0"),
        (b"RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + b"x" * 493, 512 + 536, "250 2.1.5"),
    ],
)
async def test_extensions_make_room_in_commands_and_no_more(command: bytes, longest: int, status: str) -> None:
    async with running() as server:
        talk = await server.talk()
        if command.startswith(b"RCPT"):
            await talk.say(b"MAIL FROM:<>")
        filling = b" " if command.startswith(b"RCPT") else b"x"
        assert (await talk.say(command + filling * (longest - 1 - len(command)))) == "500 5.5.6 Line too long"
        assert (await talk.say(command + filling * (longest - 2 - len(command)))).startswith(status)


async def test_endless_command_line_is_cut_off() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"x" * 300_000)
        assert (await talk.rest()) in (b"500 5.5.6 Line too long\r\n", b"")
        await server.all_gone()


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NOOP\r\r\n", b"MAIL FROM:<a@example.com>\n"])
async def test_commands_end_with_crlf_only(line: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(line)
        assert (await talk.reply()).startswith("500 5.5.2")
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"


@pytest.mark.parametrize(
    "request_lines", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:25 HTTP/1.1\r\n", b"Host: x\r\nNOOP\r\n"]
)
async def test_other_protocols_are_cut_off(request_lines: bytes) -> None:
    async with running() as server:
        talk = await server.connect()
        await talk.reply()
        talk.write(request_lines)
        assert (await talk.rest()) == b"421 4.7.0 This is not a command of SMTP\r\n"


async def test_a_message_behind_a_refused_data_is_not_read_as_commands() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"DATA\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nx\r\n.\r\n")
        assert await talk.rest() == b"503 5.5.1 Send MAIL first\r\n"
        assert server.receiver.messages == []


async def test_without_file_descriptors_clients_wait_and_are_served_later() -> None:
    lines = _Lines()
    events.configure([lines])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running() as server:
        with socket.socket() as client:
            taken = _take_all_file_descriptors()
            try:
                client.connect(server.listener.address)  # the kernel accepts it
                async with asyncio.timeout(60):
                    while not any("accept-failed" in line for line in lines.lines):
                        await asyncio.sleep(0.01)
            finally:
                for descriptor in taken:
                    os.close(descriptor)
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                events.configure([])
            client.setblocking(False)
            async with asyncio.timeout(60):
                assert (await asyncio.get_running_loop().sock_recv(client, 100)).startswith(b"220 ")


def _take_all_file_descriptors() -> list[int]:
    """As they would be at the limit; which is lowered, so that there are not too many."""
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    taken: list[int] = []
    while True:
        try:
            taken.append(os.dup(0))
        except OSError:
            return taken


class _Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)


# --- time ---


async def test_idle_client_is_told_and_closed() -> None:
    async with running(limits={"idle": 1}) as server:
        talk = await server.talk()
        assert await talk.rest() == b"421 4.4.2 Timed out waiting for the client\r\n"


async def test_dribbling_a_command_does_not_keep_the_session() -> None:
    async with running(limits={"idle": 1}) as server:
        talk = await server.talk()

        async def dribble() -> None:
            while True:
                talk.write(b"x")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(dribble())
        assert (await talk.rest()).startswith(b"421 4.4.2")
        task.cancel()


async def test_few_places_left_leave_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits already is closed soon, and who comes then is, too; until there are places again."""
    monkeypatch.setattr(server_module, "_CROWDED_IDLE_S", 0.7)
    async with running(limits={"connections": 10}) as server:
        waiting = [await server.talk() for _ in range(8)]
        sending = waiting.pop()
        assert server.listener.patience_s(300) == 300
        last = await server.talk()
        assert server.listener.patience_s(300) == 0.7
        await sending.begin()
        for talk in [*waiting, last]:
            assert await talk.rest() == b"421 4.4.2 Timed out waiting for the client\r\n"
        await sending.close()
        await server.all_gone()
        assert server.listener.patience_s(300) == 300


async def test_pause_in_data_is_limited_by_the_idle_time() -> None:
    async with running(limits={"idle": 1}) as server:
        talk = await server.talk()
        await talk.begin()
        talk.write(b"Subject: x\r\n")
        assert (await talk.rest()).startswith(b"421 4.4.2")
        await server.all_gone()
        assert server.receiver.messages == []


async def test_data_is_limited_in_all() -> None:
    async with running(limits={"idle": 30, "data": 0.5}) as server:
        talk = await server.talk()
        await talk.begin()

        async def dribble() -> None:
            while True:
                talk.write(b"line\r\n")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(dribble())
        assert (await talk.rest()).startswith(b"421 4.4.2")
        task.cancel()


async def test_no_clock_runs_while_a_message_is_handed_over() -> None:
    receiver = RememberingReceiver(hold=asyncio.Event())
    async with running(receiver=receiver, limits={"idle": 1, "data": 1}) as server:
        talk, other = await server.talk(), await server.talk()
        await talk.begin()
        talk.write(b"x\r\n.\r\n")
        await receiver.started.wait()
        assert (await other.rest()).startswith(b"421 4.4.2")  # so the time-out has passed for both
        assert receiver.hold is not None
        receiver.hold.set()
        assert (await talk.reply()).startswith("250")


async def test_slow_client_beside_fast_ones() -> None:
    async with running() as server:
        slow = await server.talk()
        await slow.begin()
        slow.write(b"half a mess")
        for _ in range(20):
            fast = await server.talk()
            assert (await fast.submit(b"x\r\n.\r\n")).startswith("250")
        slow.write(b"age\r\n.\r\n")
        assert (await slow.reply()).startswith("250")
        assert server.receiver.contents == [b"x\r\n"] * 20 + [b"half a message\r\n"]


async def test_client_that_reads_no_replies_is_read_no_further_and_cut_off() -> None:
    async with running(limits={"idle": 1, "junk_commands": 10_000_000}) as server:
        talk = await server.talk()
        sent = 0
        with pytest.raises(ConnectionError):  # noqa: PT012 - which of the writes fails depends on buffers
            while sent < 30_000_000:
                talk.write(b"HELP\r\n" * 5000)
                await talk.writer.drain()
                sent += 30_000
        assert sent < 15_000_000  # what the buffers of both kernels hold
        await server.all_gone()


# --- stopping ---


async def test_stop_ends_idle_sessions_and_lets_messages_finish() -> None:
    async with running() as server:
        idle, between, sending = await server.talk(), await server.talk(), await server.talk()
        await between.say(b"MAIL FROM:<a@example.com>")
        await sending.begin()
        stopping = asyncio.create_task(server.listener.stop(10))
        assert await idle.rest() == b"421 4.3.2 Service is shutting down\r\n"
        assert (await between.rest()).startswith(b"421 4.3.2")
        sending.write(b"x\r\n.\r\nMAIL FROM:<>\r\n")
        assert await sending.rest() == b"250 2.0.0 Queued as Q1\r\n421 4.3.2 Service is shutting down\r\n"
        assert await stopping == 0
        with pytest.raises(ConnectionError):
            await server.connect()


async def test_stop_waits_no_longer_than_it_may() -> None:
    receiver = RememberingReceiver(hold=asyncio.Event())
    async with running(receiver=receiver) as server:
        sending, handed_over = await server.talk(), await server.talk()
        await sending.begin()
        await handed_over.begin()
        handed_over.write(b"x\r\n.\r\n")
        await receiver.started.wait()
        assert await server.listener.stop(0.05) == 2
        assert await sending.rest() == b""
        assert server.listener.counters.connections == 0


async def test_listens_on_a_socket_that_was_handed_over() -> None:
    sock = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    expected = sock.getsockname()
    async with running() as server:
        await server.listener.stop(0)
        server.listener._stopping = False
        await server.listener.start(sock)
        assert server.listener.address == expected
        assert (await (await server.talk()).submit(b"x\r\n.\r\n")).startswith("250")
