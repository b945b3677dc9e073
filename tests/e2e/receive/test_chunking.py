"""BDAT over real sockets (RFC 3030): what arrives, what is refused, and that no octet of a chunk becomes a command."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from mta.model.reply import Reply
from tests.e2e.receive.running import RememberingReceiver, Talk, running

OPENING = b"MAIL FROM:<sender@example.com>\r\nRCPT TO:<rcpt@example.net>\r\n"
BARE = "550 5.6.11 "
INJECTED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nsmuggled\r\n.\r\n"


def _chunks(*contents: bytes, last: bool = True) -> bytes:
    """BDAT commands with their octets; the last one says LAST."""
    wire = b"".join(b"BDAT %d\r\n%s" % (len(content), content) for content in contents[:-1])
    return wire + b"BDAT %d%s\r\n%s" % (len(contents[-1]), b" LAST" if last else b"", contents[-1])


async def _begin(talk: Talk) -> None:
    talk.write(OPENING)
    assert await talk.codes(2) == ["250", "250"]


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ([b"Subject: a\r\n\r\nbody\r\n"], b"Subject: a\r\n\r\nbody\r\n"),
        ([b"Subject: a\r\n\r\n", b"body\r\n"], b"Subject: a\r\n\r\nbody\r\n"),
        ([b"a\r", b"\nb\r\n"], b"a\r\nb\r\n"),
        ([b"a\r\nb\r\n", b""], b"a\r\nb\r\n"),
        ([b"", b"", b"a\r\n"], b"a\r\n"),
        ([b""], b""),
        ([b"no line end"], b"no line end\r\n"),
        ([b"no line end", b""], b"no line end\r\n"),
        ([b".\r\n..\r\n.dot\r\n"], b".\r\n..\r\n.dot\r\n"),
        ([b"a\r\n.\r\nQUIT\r\n"], b"a\r\n.\r\nQUIT\r\n"),
        ([b"\xff\xfe 8bit\r\n"], b"\xff\xfe 8bit\r\n"),
        ([bytes([octet]) for octet in b"octet by octet\r\n"], b"octet by octet\r\n"),
        ([b"x" * 70_000, b"y" * 70_000 + b"\r\n"], b"x" * 70_000 + b"y" * 70_000 + b"\r\n"),
    ],
)
async def test_content_is_what_the_chunks_hold(chunks: list[bytes], content: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(*chunks) + b"NOOP\r\n")
        assert await talk.codes(3 + len(chunks)) == ["250"] * (3 + len(chunks))
        await _begin(talk)
        for octet in (wire := _chunks(*chunks))[:40]:
            talk.write(bytes([octet]))
            await talk.writer.drain()
        talk.write(wire[40:])
        assert await talk.codes(len(chunks)) == ["250"] * len(chunks)
        assert server.receiver.contents == [content, content]


async def test_replies_say_what_became_of_each_chunk() -> None:
    async with running() as server:
        talk = await server.talk()
        await _begin(talk)
        assert await talk.say(b"bdat 3\r\na") == "250 2.0.0 Chunk received"
        assert await talk.say(b"bdat 3 last\r\nb") == "250 2.0.0 Queued as Q1"


async def test_a_message_by_chunks_and_one_by_data_take_turns() -> None:
    async with running() as server:
        talk = await server.talk()
        for number in range(3):
            talk.write(OPENING + _chunks(b"%d\r\n" % number))
            assert await talk.codes(3) == ["250"] * 3
            assert (await talk.submit(b"data\r\n.\r\n")).startswith("250")
        assert server.receiver.contents == [b"0\r\n", b"data\r\n", b"1\r\n", b"data\r\n", b"2\r\n", b"data\r\n"]


# --- order ---


async def test_data_and_recipients_have_no_place_between_chunks() -> None:
    async with running() as server:
        talk = await server.talk()
        await _begin(talk)
        assert (await talk.say(b"BDAT 3\r\na")).startswith("250")
        assert (await talk.say(b"DATA")).startswith("503 5.5.1")
        assert (await talk.say(b"RCPT TO:<other@example.net>")).startswith("503 5.5.1")
        assert (await talk.say(b"MAIL FROM:<other@example.com>")).startswith("503 5.5.1")
        talk.write(b"BDAT 3 LAST\r\nb\r\n")
        assert (await talk.reply()).startswith("250")
        assert server.receiver.contents == [b"a\r\nb\r\n"]
        assert len(server.receiver.messages[0].envelope.recipients) == 1


@pytest.mark.parametrize("reset", [b"RSET", b"EHLO client.example.com"])
async def test_a_reset_between_chunks_ends_the_message(reset: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        await _begin(talk)
        assert (await talk.say(b"BDAT 3\r\na")).startswith("250")
        assert (await talk.say(reset)).startswith("250")
        talk.write(_chunks(b"b\r\n"))
        assert await talk.reply() == "503 5.5.1 Send MAIL first"
        talk.write(OPENING + _chunks(b"c\r\n"))
        assert await talk.codes(3) == ["250"] * 3
        assert server.receiver.contents == [b"c\r\n"]
        assert server.listener.counters.held_octets == 0


async def test_chunks_without_a_transaction_are_read_and_refused() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(_chunks(INJECTED))
        assert await talk.reply() == "503 5.5.1 Send MAIL first"
        assert (await talk.say(b"MAIL FROM:<sender@example.com>")).startswith("250")
        talk.write(_chunks(INJECTED, INJECTED))
        assert await talk.replies(2) == ["554 5.5.1 No valid recipients"] * 2
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"
        assert server.receiver.messages == []


# --- refusals ---


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"\n", b"\r", b"a\r\r\n", b"x" * 200_000 + b"\n"])
async def test_bare_line_ends_fail_the_message(bare: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"first\r\n", bare + b"x", INJECTED) + OPENING + _chunks(b"next\r\n"))
        replies = await talk.replies(8)
        assert [reply[:3] for reply in replies[5:]] == ["250"] * 3
        assert sum(reply.startswith(BARE) for reply in replies[2:5]) == 1
        assert server.receiver.contents == [b"next\r\n"]


async def test_line_ends_across_chunks_are_normalised_as_they_are_within_one() -> None:
    async with running(bare_line_ends="normalise") as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"a\r", b"\nb\r", b"c\n", b"\r\nd\r"))
        assert await talk.codes(6) == ["250"] * 6
        assert server.receiver.contents == [b"a\r\nb\r\nc\r\n\r\nd\r\n"]


async def test_nul_fails_the_message() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"a\0b\r\n"))
        assert (await talk.replies(3))[2] == "550 5.6.11 NUL in the message"


async def test_chunks_behind_a_failed_one_are_read_and_refused_until_the_next_message() -> None:
    async with running(limits={"size": 10, "errors": 5}) as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"x" * 11, *[INJECTED] * 8))
        assert (await talk.replies(11))[2:] == [
            "552 5.3.4 Message is larger than the limit",
            *["503 5.5.1 A chunk of this message failed: send RSET"] * 8,
        ]
        assert (await talk.say(b"RCPT TO:<other@example.net>")).startswith("503 5.5.1")
        talk.write(OPENING + _chunks(b"fits\r\n"))
        assert await talk.codes(3) == ["250"] * 3
        assert server.receiver.contents == [b"fits\r\n"]


async def test_the_limit_counts_all_chunks_and_is_exact() -> None:
    async with running(limits={"size": 1000}) as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"x" * 500, b"x" * 498 + b"\r\n"))
        assert await talk.codes(4) == ["250"] * 4
        talk.write(OPENING + _chunks(b"x" * 500, b"x" * 499 + b"\r\n"))
        assert await talk.codes(4) == ["250", "250", "250", "552"]
        assert len(server.receiver.messages) == 1


@pytest.mark.parametrize("command", [b"BDAT 99999999999999999999 LAST", b"BDAT 1003000"])
@pytest.mark.parametrize("opening", [OPENING, b""])
async def test_absurd_sizes_end_the_session(command: bytes, opening: bytes) -> None:
    async with running(limits={"size": 1000}) as server:
        talk = await server.talk()
        talk.write(opening + command + b"\r\n" + INJECTED)
        lines = (await talk.rest()).split(b"\r\n")
        assert lines[-2][:4] == (b"552 " if opening else b"503 ")
        await server.all_gone()
        assert server.receiver.messages == []


async def test_chunks_that_go_on_far_over_the_limit_end_the_session() -> None:
    async with running(limits={"size": 1000}) as server:
        talk = await server.talk()
        await _begin(talk)
        said: list[str] = []
        while not said or said[-1]:
            talk.write(b"BDAT 100000\r\n" + b"x" * 100_000)
            said.append(await talk.reply())
        assert [reply[:3] for reply in said] == ["552", *["503"] * 9, "552", ""]


@pytest.mark.parametrize(
    "command",
    [
        b"BDAT",
        b"BDAT LAST",
        b"BDAT -1 LAST",
        b"BDAT +5 LAST",
        b"BDAT 5 LAST LAST",
        b"BDAT 5 FIRST",
        b"BDAT 5.0",
        b"BDAT 0x5",
        b"BDAT \xd9\xa5 LAST",
        b"BDAT 5LAST",
        b"BDAT 5 LAST\x00",
        b"BDAT\t5 LAST",
        b"BDAT \xff LAST",
        b"BDAT 5 LAST\rx",
        b"BDAT 5 " + b" " * 600 + b"LAST",
        b"BDAT 5 " + b" " * 20_000 + b"LAST",
        b"BDAT 5 LAST\n" + b"NOOP",
        b"BDAT 123456789012345678901 LAST",
    ],
)
async def test_a_bdat_that_can_not_be_read_ends_the_session(command: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + command + b"\r\n" + INJECTED)
        lines = (await talk.rest()).split(b"\r\n")
        assert [line[:4] for line in lines[:2]] == [b"250 ", b"250 "]
        assert [line[:3] for line in lines[2:-1]] in ([b"501"], [b"500"])
        assert server.receiver.messages == []


async def test_ends_after_so_many_chunks_that_they_hold_nothing() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + b"BDAT 0\r\n" * 100_001)
        assert (await talk.rest()).endswith(
            b"250 2.0.0 Chunk received\r\n552 5.3.4 Message comes in too many chunks\r\n"
        )


async def test_refusal_of_the_rest_of_the_relay_is_the_answer_to_the_last_chunk() -> None:
    async with running(receiver=RememberingReceiver(message_answer=Reply(451, "4.3.0", "Later"))) as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"a\r\n", b"b\r\n"))
        assert (await talk.replies(4))[2:] == ["250 2.0.0 Chunk received", "451 4.3.0 Later"]
        assert await talk.say(b"DATA") == "503 5.5.1 Send MAIL first"


# --- large messages, time, and ends ---


@pytest.mark.parametrize("size", [4_000_000, 65_536, 100_001])
async def test_large_message_goes_to_a_file_unchanged(tmp_path: Path, size: int) -> None:
    content = (b"x" * 76 + b"\r\n.dot\r\n") * 60_000
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    async with running(receiver=RememberingReceiver(folder=tmp_path)) as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(*pieces))
        assert await talk.codes(2 + len(pieces)) == ["250"] * (2 + len(pieces))
        (received,) = server.receiver.messages
        assert received.was_spilled
        assert received.content == content
        assert server.listener.counters.held_octets == 0


@pytest.mark.parametrize("leave", ["close", "RSET", "fail"])
async def test_the_file_goes_with_the_message(tmp_path: Path, leave: str) -> None:
    async with running(receiver=RememberingReceiver(folder=tmp_path)) as server:
        talk = await server.talk()
        talk.write(OPENING + _chunks(b"x" * 5_000_000, last=False))
        assert await talk.codes(3) == ["250"] * 3
        assert len(list(tmp_path.iterdir())) == 1
        if leave == "close":
            await talk.close()
            await server.all_gone()
        elif leave == "RSET":
            await talk.say(b"RSET")
        else:
            talk.write(_chunks(b"\0"))
            assert (await talk.reply()).startswith("550")
        assert list(tmp_path.iterdir()) == []
        assert server.listener.counters.held_octets == 0


async def test_a_chunk_has_the_time_of_the_whole_message() -> None:
    async with running(limits={"idle": 30, "data": 0.2}) as server:
        talk = await server.talk()
        await _begin(talk)
        talk.write(b"BDAT 100000 LAST\r\n")

        async def dribble() -> None:
            while True:
                talk.write(b"x")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(dribble())
        assert (await talk.reply()).startswith("421 4.4.2")
        task.cancel()


async def test_half_a_chunk_and_then_the_end_is_no_message() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(OPENING + b"BDAT 100 LAST\r\nhalf")
        talk.writer.write_eof()
        assert len((await talk.rest()).split(b"\r\n")) == 3
        await server.all_gone()
        assert server.receiver.messages == []


async def test_stop_lets_a_message_by_chunks_finish() -> None:
    async with running() as server:
        talk = await server.talk()
        await _begin(talk)
        assert (await talk.say(b"BDAT 3\r\na")).startswith("250")
        stopping = asyncio.create_task(server.listener.stop(10))
        await asyncio.sleep(0)
        talk.write(b"BDAT 3 LAST\r\nb\r\n")
        assert await talk.rest() == b"250 2.0.0 Queued as Q1\r\n421 4.3.2 Service is shutting down\r\n"
        assert await stopping == 0
        assert server.receiver.contents == [b"a\r\nb\r\n"]


# --- whatever comes, in whatever pieces ---

HOSTILE = [
    INJECTED,
    b"\r\n.\r\n",
    b"\r\nRSET\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nBDAT 0 LAST\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"",
    b"x" * 3000,
]
COMMANDS = [
    OPENING,
    OPENING,
    b"MAIL FROM:<sender@example.com>\r\n",
    b"RCPT TO:<rcpt@example.net>\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"EHLO client.example.com\r\n",
    b"HELO client.example.com\r\n",
]


def _dialogue(chance: random.Random) -> bytes:
    """Good and bad commands and chunks in any order."""
    parts = []
    for _ in range(chance.randrange(1, 25)):
        content = chance.choice(HOSTILE)
        chunk = b"BDAT %d%s\r\n%s" % (len(content), chance.choice([b"", b" LAST", b" last"]), content)
        parts.append(chance.choice([chunk, chance.choice(COMMANDS)]))
    return b"".join(parts) + b"QUIT\r\n"


@pytest.mark.parametrize("policy", ["refuse", "normalise"])
@pytest.mark.parametrize("seed", range(5))
async def test_no_octet_of_a_chunk_is_ever_a_command(seed: int, policy: str) -> None:
    chance = random.Random(seed)
    async with running(
        bare_line_ends=policy, limits={"size": 5000, "errors": 10_000, "junk_commands": 10_000}
    ) as server:
        for _ in range(40):
            talk, wire = await server.talk(), _dialogue(chance)
            while wire:
                cut = chance.choice([1, 3, 50, 1000, 100_000])
                talk.write(wire[:cut])
                wire = wire[cut:]
                await talk.writer.drain()
            assert (await talk.rest()).endswith(b"221 2.0.0 Bye\r\n")
        await server.all_gone()
        assert server.receiver.messages
        assert {str(received.envelope.reverse_path) for received in server.receiver.messages} == {"sender@example.com"}
        assert server.listener.counters.held_octets == 0
