"""Messages over real sockets: where they end, what is refused in them, how large they may be."""

from __future__ import annotations

import asyncio
import itertools
import resource
from pathlib import Path

import pytest

from mta.model.reply import Reply
from mta.relay.receive.counters import SPILL_ABOVE_OCTETS
from tests.e2e.receive.running import RememberingReceiver, Running, Talk, running
from tests.servers.small_disk import small_disk

REFUSED = "550 5.6.11 Bare CR or LF in the message: lines end with CRLF (RFC 5321 section 2.3.8)"


async def _in_pieces(talk: Talk, *pieces: bytes) -> None:
    """Send each piece in a segment of its own."""
    for piece in pieces:
        talk.write(piece)
        await talk.writer.drain()
        await asyncio.sleep(0.002)  # lets the loop send it before the next; no outcome depends on it


@pytest.mark.parametrize(
    ("on_wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\r\n..\r\n..b\r\n.\r\n", b"a\r\n.\r\n.b\r\n"),
        (b"\xff\xfe 8bit\r\n.\r\n", b"\xff\xfe 8bit\r\n"),
        (b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\r\n"),
        (b"a .\r\n. \r\n.\r\n", b"a .\r\n \r\n"),
        (b"VT\x0b FF\x0c NEL\xc2\x85 LS\xe2\x80\xa8\r\n.\r\n", b"VT\x0b FF\x0c NEL\xc2\x85 LS\xe2\x80\xa8\r\n"),
    ],
)
async def test_content_is_what_was_sent_less_the_stuffing(on_wire: bytes, content: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        assert (await talk.submit(on_wire)).startswith("250")
        await talk.begin()
        await _in_pieces(talk, *(on_wire[i : i + 1] for i in range(min(len(on_wire), 40))), on_wire[40:])
        assert (await talk.reply()).startswith("250")
        assert server.receiver.contents == [content, content]


async def test_empty_message_pipelined_with_its_data_command() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"MAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n.\r\n")
        assert await talk.codes(4) == ["250", "250", "354", "250"]
        assert server.receiver.contents == [b""]


SMUGGLED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nsmuggled\r\n.\r\n"
LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\x00\n"]
FALSE_ENDS = [
    before + b"." + after
    for before, after in itertools.product(LINE_ENDS, repeat=2)
    if (before, after) not in ((b"\r\n", b"\r\n"), (b"\r\r\n", b"\r\n"))
]


@pytest.mark.parametrize("false_end", FALSE_ENDS)
async def test_nothing_but_crlf_dot_crlf_ends_a_message(false_end: bytes) -> None:
    """SMTP smuggling (CVE-2023-51764 and its kin): what follows a false end never becomes commands."""
    async with running() as server:
        whole = b"Subject: a\r\n\r\nbody" + false_end + SMUGGLED
        talk = await server.talk()
        assert await talk.submit(whole) == REFUSED
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"
        for cut in range(len(whole) - len(SMUGGLED) - len(false_end), len(whole) - len(SMUGGLED) + 1):
            talk = await server.talk()
            await talk.begin()
            await _in_pieces(talk, whole[:cut], whole[cut:])
            assert await talk.reply() == REFUSED
        assert server.receiver.messages == []


async def test_end_after_a_doubled_cr_ends_the_message_and_it_is_refused() -> None:
    async with running() as server:
        talk = await server.talk()
        assert await talk.submit(b"body\r\r\n.\r\n") == REFUSED
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"


@pytest.mark.parametrize("bare", [b"\rx", b"x\n", b"\n", b"\r\r", b"a\nb", b"a\rb"])
async def test_bare_line_ends_anywhere_are_refused(bare: bytes) -> None:
    async with running() as server:
        talk = await server.talk()
        for message in (bare + b"\r\n", b"Subject: x" + bare + b"\r\n\r\n", b"x\r\n" * 30_000 + bare + b"\r\n"):
            assert await talk.submit(message + b".\r\n") == REFUSED


async def test_nul_is_refused() -> None:
    async with running(bare_line_ends="normalise") as server:
        talk = await server.talk()
        assert await talk.submit(b"a\x00b\r\n.\r\n") == "550 5.6.11 NUL in the message"


@pytest.mark.parametrize(
    ("on_wire", "content"),
    [
        (b"a\nb\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\n\r\n.\r\n", b"a\r\n\r\n"),
    ],
)
async def test_bare_line_ends_can_be_normalised_and_still_end_nothing(on_wire: bytes, content: bytes) -> None:
    async with running(bare_line_ends="normalise") as server:
        talk = await server.talk()
        assert (await talk.submit(on_wire)).startswith("250")
        await talk.begin()
        await _in_pieces(talk, *(on_wire[i : i + 1] for i in range(len(on_wire))))
        assert (await talk.reply()).startswith("250")
        assert server.receiver.contents == [content, content]


# --- size ---


async def test_message_over_the_limit_is_refused_after_its_end() -> None:
    async with running(limits={"size": 1000}) as server:
        talk = await server.talk()
        assert (await talk.submit(b"x" * 998 + b"\r\n.\r\n")).startswith("250")
        assert await talk.submit(b"x" * 999 + b"\r\n.\r\n") == "552 5.3.4 Message is larger than the limit"
        assert (await talk.submit((b"x" * 98 + b"\r\n") * 5000 + b".\r\n")).startswith("552 5.3.4")
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"
        assert len(server.receiver.messages) == 1


async def test_stuffed_dots_do_not_count() -> None:
    async with running(limits={"size": 3000}) as server:
        talk = await server.talk()
        assert (await talk.submit(b"..\r\n" * 1000 + b".\r\n")).startswith("250")
        assert server.receiver.contents == [b".\r\n" * 1000]


async def test_client_that_goes_on_far_over_the_limit_is_cut_off() -> None:
    async with running(limits={"size": 1000}) as server:
        talk = await server.talk()
        await talk.begin()
        with pytest.raises(ConnectionError):  # noqa: PT012 - which of the writes fails depends on buffers
            for _ in range(300):
                talk.write(b"x" * 100_000)
                await talk.writer.drain()
        await server.all_gone()
        assert server.receiver.messages == []


# --- large messages ---


@pytest.mark.parametrize(
    "content",
    [
        pytest.param((b"x" * 76 + b"\r\n") * 60_000, id="lines"),
        pytest.param(b"x" * 5_000_000 + b"\r\n", id="one line"),
        pytest.param(b".\r\n" * 1_000_000, id="dots"),
    ],
)
async def test_large_message_goes_to_a_file_unchanged(tmp_path: Path, content: bytes) -> None:
    receiver = RememberingReceiver(folder=tmp_path)
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        await talk.begin()
        talk.write((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\nNOOP\r\n")
        assert await talk.codes(2) == ["250", "250"]
        (received,) = receiver.messages
        assert received.was_spilled
        assert received.content == content
        assert server.listener.counters.held_octets == 0


async def test_files_are_private_and_go_when_the_client_goes(tmp_path: Path) -> None:
    receiver = RememberingReceiver(folder=tmp_path)
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        await talk.begin()
        talk.write(b"x" * (SPILL_ABOVE_OCTETS + 2_000_000))
        async with asyncio.timeout(60):
            while not list(tmp_path.iterdir()):
                await asyncio.sleep(0)
        (file,) = tmp_path.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        await talk.close()
        await server.all_gone()
        assert list(tmp_path.iterdir()) == []
        assert server.listener.counters.held_octets == 0


@pytest.mark.parametrize(
    ("answer", "is_left"),
    [(Reply(250, "2.0.0", "Queued"), True), (Reply(550, "5.7.1", "No"), False), (RuntimeError("perhaps stored"), True)],
)
async def test_file_stays_unless_the_receiver_says_no(tmp_path: Path, answer: Reply | Exception, is_left: bool) -> None:
    receiver = RememberingReceiver(folder=tmp_path, message_answer=answer)
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        await talk.submit(b"x" * 3_000_000 + b"\r\n.\r\n")
        assert len(list(tmp_path.iterdir())) == is_left
        assert server.listener.counters.held_octets == 0


async def test_folder_that_can_not_be_written_gives_a_temporary_error(tmp_path: Path) -> None:
    class Nowhere(RememberingReceiver):
        def spill_path(self) -> Path:
            return tmp_path / "missing" / "incoming"

    async with running(receiver=Nowhere()) as server:
        talk = await server.talk()
        assert (await talk.submit(b"x" * 5_000_000 + b"\r\n.\r\n")).startswith("451 4.3.0")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")


async def test_full_disk_is_said_so_and_the_next_message_fits(tmp_path: Path) -> None:
    with small_disk(tmp_path, 5 * 1024 * 1024):
        receiver = RememberingReceiver(folder=tmp_path)
        async with running(receiver=receiver) as server:
            talk = await server.talk()
            assert (await talk.submit(b"x" * 8_000_000 + b"\r\n.\r\n")).startswith("452 4.3.1")
            assert list(tmp_path.iterdir()) == []
            assert (await talk.submit(b"x" * 3_000_000 + b"\r\n.\r\n")).startswith("250")
            assert len(receiver.messages) == 1


async def test_memory_stays_flat_with_endless_lines_from_many_clients(tmp_path: Path) -> None:
    """20 clients send 8 MB in one line each; what they hold in memory together stays bounded."""
    receiver = RememberingReceiver(folder=tmp_path)
    async with running(receiver=receiver) as server:
        highest = 0

        async def send() -> None:
            nonlocal highest
            talk = await server.talk()
            await talk.begin()
            for _ in range(80):
                talk.write(b"x" * 100_000)
                await talk.writer.drain()
                highest = max(highest, server.listener.counters.held_octets)
            await talk.close()

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await asyncio.gather(*(send() for _ in range(20)))
        await server.all_gone()
        assert 0 < highest < 45_000_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120_000  # kB
        assert server.listener.counters.held_octets == 0


async def _submit_in_turns(server: Running, messages: list[bytes]) -> None:
    talk = await server.talk()
    for message in messages:
        assert (await talk.submit(message)).startswith("250")


async def test_many_clients_at_once_get_their_own_messages() -> None:
    async with running(limits={"connections_per_client": 200}) as server:
        await asyncio.gather(
            *(
                _submit_in_turns(server, [b"%d %d\r\n" % (client, number) * 50 + b".\r\n" for number in range(5)])
                for client in range(100)
            )
        )
        assert sorted(server.receiver.contents) == sorted(
            b"%d %d\r\n" % (client, number) * 50 for client in range(100) for number in range(5)
        )
