"""The SMTP dialogue over real sockets: commands, replies, faults behind us, clients that leave."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest

from mta import events
from mta.model.address import Address
from mta.model.reply import Reply, TemporaryError
from tests.e2e.receive.running import RememberingReceiver, Talk, running

# --- the dialogue ---


class _Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)


async def test_message_arrives_as_it_was_sent() -> None:
    async with running() as server:
        talk = await server.talk()
        assert await talk.submit(b"Subject: hi\r\n\r\nbody\r\n.\r\n") == "250 2.0.0 Queued as Q1"
        (received,) = server.receiver.messages
        assert received.content == b"Subject: hi\r\n\r\nbody\r\n"
        assert received.envelope.reverse_path == Address("sender", "example.com")
        assert received.envelope.recipients == (Address("rcpt", "example.net"),)
        assert (received.client.helo, received.client.ip, received.client.tls) == (
            "client.example.com",
            "127.0.0.1",
            "",
        )
        assert received.client.is_trusted
        assert received.client.esmtp


async def test_ehlo_offers_what_we_honour_and_the_banner_shows_no_version() -> None:
    async with running(limits={"size": 12345}) as server:
        talk = await server.connect()
        assert await talk.reply() == "220 mx.example.com ESMTP"
        lines = (await talk.say(b"EHLO client.example.com")).split("\n")
        assert lines[0] == "250-mx.example.com"
        assert {line[4:] for line in lines[1:]} == {
            "SIZE 12345", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "CHUNKING",
            "LIMITS RCPTMAX=1000",
        }  # fmt: skip


async def test_helo_speaks_plain_smtp_without_parameters() -> None:
    async with running() as server:
        talk = await server.connect()
        await talk.reply()
        assert await talk.say(b"HELO client.example.com") == "250 mx.example.com"
        assert await talk.say(b"MAIL FROM:<a@example.com> SIZE=5") == "555 5.5.4 Parameters need EHLO"
        assert await talk.submit(b"x\r\n.\r\n") == "250 2.0.0 Queued as Q1"
        assert not server.receiver.messages[0].client.esmtp


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"NOOP", "250 2.0.0 "),
        (b"noop ignored", "250 2.0.0 "),
        (b"RSET", "250 2.0.0 "),
        (b"HELP", "214 2.0.0 "),
        (b"VRFY jane", "252 2.5.2 "),
        (b"VRFY", "501 5.5.4 "),
        (b"EXPN staff", "502 5.5.1 "),
        (b"AUTH PLAIN AGEAYg==", "502 5.5.1 "),
        (b"STARTTLS", "502 5.5.1 "),
        (b"ETRN example.com", "500 5.5.1 "),
        (b"", "500 5.5.1 "),
        (b"EHLO", "501 5.5.4 "),
        (b"EHLO two words", "501 5.5.4 "),
        (b"HELO", "501 5.5.4 "),
        (b"DATA", "503 5.5.1 "),
        (b"DATA now", "501 5.5.4 "),
        (b"RCPT TO:<a@example.net>", "503 5.5.1 "),
        (b"MAIL", "501 5.5.4 "),
        (b"MAIL FROM:a@example.com", "501 5.5.4 "),
        (b"MAIL FROM:<a@example.com> FOO=1", "555 5.5.4 "),
        (b"MAIL FROM:<a@example.com> RET=HDRS ENVID=QQ314159", "250 2.1.0 "),
        (b"MAIL FROM:<a@example.com> RET=NONE", "501 5.5.4 "),
        (b"MAIL FROM:<a@example.com> BODY=BINARYMIME", "501 5.5.4 "),
        (b"MAIL FROM:<a@example.com> SIZE=99999999", "552 5.3.4 "),
        (b"MAIL FROM:<a@example.com> SIZE=5 SIZE=6", "501 5.5.4 "),
        (b"NO\x00OP", "500 5.5.2 "),
        (b"NOOP \x07", "500 5.5.2 "),
        (b"NOOP \xff", "500 5.5.2 "),
        ("NOOP ü".encode(), "500 5.5.2 "),
        ("EHLO bücher.example".encode(), "500 5.5.2 "),
    ],
)
async def test_single_commands(line: bytes, reply: str) -> None:
    async with running() as server:
        talk = await server.talk()
        assert (await talk.say(line)).startswith(reply)
        assert await talk.say(b"NOOP") == "250 2.0.0 Ok"


async def test_commands_out_of_order() -> None:
    async with running() as server:
        talk = await server.connect()
        await talk.reply()
        assert (await talk.say(b"MAIL FROM:<a@example.com>")).startswith("503 5.5.1")
        await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"MAIL FROM:<a@example.com>")).startswith("250 2.1.0")
        assert (await talk.say(b"MAIL FROM:<b@example.com>")).startswith("503 5.5.1")
        assert (await talk.say(b"DATA")).startswith("554 5.5.1")
        assert (await talk.say(b"RCPT TO:<>")).startswith("501 5.1.3")
        assert (await talk.say(b"RCPT TO:<a@example.net>")).startswith("250 2.1.5")
        assert (await talk.say(b"RCPT TO:<a@example.net> NOTIFY=NO")).startswith("501 5.5.4")
        assert (await talk.say(b"EHLO client.example.com")).startswith("250")
        assert (await talk.say(b"RCPT TO:<a@example.net>")).startswith("503 5.5.1")


async def test_quit_closes() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"NOOP\r\nQUIT\r\nNOOP\r\n")
        assert await talk.rest() == b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"
        await server.all_gone()


async def test_pipelined_transactions_with_a_message_between_them() -> None:
    async with running() as server:
        talk = await server.talk()
        opening = (
            b"MAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nRCPT TO:<A@Example.NET>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
        )
        talk.write(opening)
        assert await talk.codes(5) == ["250", "250", "250", "250", "354"]
        talk.write(b"one\r\n.\r\n" + opening)
        assert await talk.codes(6) == ["250", "250", "250", "250", "250", "354"]
        talk.write(b"two\r\n.\r\nQUIT\r\n")
        assert await talk.codes(2) == ["250", "221"]
        assert server.receiver.contents == [b"one\r\n", b"two\r\n"]
        for received in server.receiver.messages:
            assert received.envelope.reverse_path is None
            assert received.envelope.recipients == (Address("a", "example.net"), Address("b", "example.net"))


async def test_replies_to_a_pipelined_burst_come_in_one_piece() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
        async with asyncio.timeout(60):
            assert (await talk.reader.read(4096)).count(b"\r\n") == 3


async def test_postmaster_without_a_domain_is_a_recipient_everywhere() -> None:
    async with running("inbound", allowed_networks=()) as server:
        talk = await server.talk()
        await talk.begin(b"PostMaster")
        talk.write(b"help\r\n.\r\n")
        assert (await talk.reply()).startswith("250 ")
        assert server.receiver.messages[0].envelope.recipients == (Address("postmaster", "mx.example.com"),)


async def test_declared_size_reaches_the_receiver_and_its_refusal_the_client() -> None:
    receiver = RememberingReceiver(mail_answer=Reply(452, "4.3.1", "Insufficient system storage"))
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        assert await talk.say(b"MAIL FROM:<a@example.com> SIZE=4711") == "452 4.3.1 Insufficient system storage"
        assert receiver.declared_sizes == [4711]
        assert (await talk.say(b"RCPT TO:<b@example.net>")).startswith("503 5.5.1")


async def test_parameters_of_extensions_are_taken_in_any_case() -> None:
    async with running() as server:
        talk = await server.talk()
        await talk.begin(parameters=b" size=100 body=8bitmime AUTH=<>")
        talk.write("grüße\r\n.\r\n".encode())
        assert (await talk.reply()).startswith("250 ")
        assert server.receiver.messages[0].envelope.body_8bit
        assert not server.receiver.messages[0].envelope.smtputf8


# --- SMTPUTF8 ---


async def test_smtputf8_carries_addresses_beyond_ascii() -> None:
    async with running() as server:
        talk = await server.talk()
        await talk.begin("jörg@münchen.example".encode(), parameters=b" SMTPUTF8")
        talk.write(b"x\r\n.\r\n")
        assert (await talk.reply()).startswith("250 ")
        envelope = server.receiver.messages[0].envelope
        assert envelope.smtputf8
        assert envelope.recipients == (Address("jörg", "münchen.example"),)


async def test_addresses_beyond_ascii_need_smtputf8() -> None:
    async with running() as server:
        talk = await server.talk()
        assert (await talk.say("MAIL FROM:<jörg@example.com>".encode())).startswith("553 5.6.7")
        assert (await talk.say(b"MAIL FROM:<a@example.com>")).startswith("250")
        assert (await talk.say("RCPT TO:<jörg@example.net>".encode())).startswith("553 5.6.7")
        assert (await talk.say(b"RCPT TO:<j\xf6rg@example.net>")).startswith("500 5.5.2")


async def test_smtputf8_can_be_switched_off() -> None:
    async with running(smtputf8=False) as server:
        talk = await server.connect()
        await talk.reply()
        assert "SMTPUTF8" not in await talk.say(b"EHLO client.example.com")
        assert (await talk.say(b"MAIL FROM:<a@example.com> SMTPUTF8")).startswith("555 5.5.4")


# --- the receiver's faults, and clients that leave ---


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (RuntimeError("secret detail"), "451 4.3.0 Local error in processing, try again later"),
        (TemporaryError(Reply(452, "4.3.1", "Full")), "452 4.3.1 Full"),
    ],
)
async def test_receivers_fault_is_temporary_and_resets(fault: Exception, reply: str) -> None:
    receiver = RememberingReceiver(message_answer=fault)
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        assert await talk.submit(b"x\r\n.\r\n") == reply
        assert (await talk.say(b"RCPT TO:<a@example.net>")).startswith("503 5.5.1")
        receiver.message_answer = Reply(250, "2.0.0", "Queued as Q2")
        assert await talk.submit(b"x\r\n.\r\n") == "250 2.0.0 Queued as Q2"


async def test_receivers_fault_at_mail_and_rcpt_is_temporary() -> None:
    receiver = RememberingReceiver(
        mail_answer=KeyError("x"),
        rcpt_answers={"bad@example.net": KeyError("x"), "no@example.net": Reply(550, "5.1.1", "No")},
    )
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        assert (await talk.say(b"MAIL FROM:<>")).startswith("451 4.3.0")
        receiver.mail_answer = None
        await talk.say(b"MAIL FROM:<>")
        assert await talk.say(b"RCPT TO:<no@example.net>") == "550 5.1.1 No"
        assert (await talk.say(b"RCPT TO:<bad@example.net>")).startswith("451 4.3.0")
        assert (await talk.say(b"DATA")).startswith("503 5.5.1")


async def test_replies_stay_one_line_of_ascii() -> None:
    receiver = RememberingReceiver(message_answer=Reply(550, "5.7.1", "grüße\r\n250 2.0.0 no"))
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        assert await talk.submit(b"x\r\n.\r\n") == "550 5.7.1 gr??e  250 2.0.0 no"


async def test_half_closed_client_gets_all_its_answers() -> None:
    async with running() as server:
        talk = await server.talk()
        talk.write(b"MAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
        talk.writer.write_eof()
        assert await talk.codes(5) == ["250", "250", "354", "250", "221"]
        assert await talk.rest() == b""


@pytest.mark.parametrize("leaves", ["half-close", "close", "reset"])
async def test_leaving_client_does_not_stop_a_message_that_is_handed_over(leaves: str) -> None:
    receiver = RememberingReceiver(hold=asyncio.Event())
    async with running(receiver=receiver) as server:
        talk = await server.talk()
        await talk.begin()
        talk.write(b"x\r\n.\r\n")
        await receiver.started.wait()
        await _leave(talk, leaves)
        other = await server.talk()
        assert (await other.say(b"NOOP")).startswith("250")
        assert receiver.hold is not None
        receiver.hold.set()
        if leaves == "half-close":
            assert (await talk.reply()).startswith("250")
        await other.say(b"QUIT")
        await server.all_gone()
        assert receiver.contents == [b"x\r\n"]


async def _leave(talk: Talk, how: str) -> None:
    if how == "half-close":
        talk.writer.write_eof()
    elif how == "close":
        await talk.close()
    else:
        talk.writer.transport.abort()


async def test_client_that_leaves_in_data_leaves_no_message() -> None:
    async with running() as server:
        talk = await server.talk()
        await talk.begin()
        talk.write(b"almost whole\r\n.\r")
        await talk.close()
        await server.all_gone()
        assert server.receiver.messages == []


async def test_refusals_are_logged_without_what_the_client_said() -> None:
    sink = _Lines()
    events.configure([sink])
    try:
        async with running() as server:
            talk = await server.talk()
            await talk.say(b"AUTH LOGIN")
            await talk.say(b"c2VjcmV0")
            await talk.say(b"MAIL FROM:<a@@example.com>")
    finally:
        events.configure([])
    refused = [line for line in sink.lines if "action=command-refused" in line]
    assert [re.findall(r"command=(\S*)", line) for line in refused] == [["AUTH"], [], ["MAIL"]]
    assert all("client=127.0.0.1" in line for line in refused)
    assert "c2VjcmV0" not in "".join(sink.lines)


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")
async def test_listens_on_ipv6_as_well() -> None:
    async with running(address="::1", allowed_networks=("::1/128",)) as server:
        assert (await (await server.talk()).submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.ip == "::1"
