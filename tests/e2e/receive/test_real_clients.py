"""Real clients against the listener: what they send arrives as it was sent, with the envelope that they gave it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import aiosmtplib
import pytest
import trustme

from mta.model.envelope import DsnRequest, Notify
from tests.e2e.receive.running import PATIENCE_S, RememberingReceiver, Running, running
from tests.servers.client import Answer, SmtpClient, dot_stuffed
from tests.servers.exim import running_exim
from tests.servers.postfix import running_postfix

pytestmark = [pytest.mark.server]

HEADER = b"From: Jane <jane@example.com>\r\nTo: rcpt@example.net\r\nSubject: %s\r\nMessage-ID: <%s@example.com>\r\n"
HEADER += b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n"
DOTS = b".\r\n..\r\n.dot\r\nQUIT\r\n" * 10
EIGHT_BIT = "Grüße aus Köln – 你好\r\n".encode() * 10


def message(name: str, body: bytes) -> bytes:
    return HEADER % (name.encode(), name.encode()) + body


MESSAGES = {
    "small": message("small", b"Hello.\r\n"),
    "dots": message("dots", DOTS),
    "8bit": message("8bit", EIGHT_BIT),
    "large": message("large", (b"x" * 76 + b"\r\n.dot\r\n") * 50_000),
}
each_message = pytest.mark.parametrize("content", MESSAGES.values(), ids=MESSAGES.keys())


async def _run(*command: str, given: bytes = b"") -> str:
    """A client's run; what it said, if that went well."""
    done = await asyncio.to_thread(
        subprocess.run, command, input=given, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    output = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, output
    return output


async def _arrived(server: Running, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(server.receiver.messages) < count:
            await asyncio.sleep(0.01)


def _hand_over(port: int, content: bytes, mail: str, recipients: Sequence[str]) -> list[Answer]:
    """One message to a server that is to relay it, with parameters as given."""
    with SmtpClient(port) as client:
        lines = [f"MAIL FROM:{mail}", *(f"RCPT TO:{recipient}" for recipient in recipients), "DATA"]
        answers = [client.command(line.encode()) for line in lines]
        client.write(dot_stuffed(content))
        return [*answers, client.answer()]


RECIPIENTS = [
    "<one@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Orig+2BOne@Example.net",
    "<two@example.net> NOTIFY=NEVER",
    "<three@example.net>",
]


async def _parameters_arrive(server: Running, port: int) -> None:
    mail = "<jane@example.com> RET=HDRS ENVID=Envelope+2BId"
    answers = await asyncio.to_thread(_hand_over, port, message("dsn", b"x\r\n"), mail, RECIPIENTS)
    assert [answer.code for answer in answers] == [250, 250, 250, 250, 354, 250]
    await _arrived(server)
    (received,) = server.receiver.messages
    envelope = received.envelope
    assert (envelope.ret, envelope.envid) == ("HDRS", "Envelope+2BId")
    assert envelope.dsn["one@example.net"] == DsnRequest(Notify.SUCCESS | Notify.DELAY, "rfc822;Orig+2BOne@Example.net")
    assert envelope.dsn["two@example.net"].notify == Notify.NEVER
    third = envelope.dsn.get("three@example.net", DsnRequest())
    assert third.notify is None
    assert received.content.endswith(message("dsn", b"x\r\n"))


# --- Exim: BDAT and DSN parameters, as Exchange sends them ---


@pytest.mark.usefixtures("needs_exim")
async def test_exim_sends_by_chunks(tmp_path: Path) -> None:
    async with running(receiver=RememberingReceiver(folder=tmp_path)) as server:
        with running_exim(server.listener.address[1]) as exim:
            for number, content in enumerate(MESSAGES.values(), start=1):
                answers = await asyncio.to_thread(_hand_over, exim.port, content, "<jane@example.com>", RECIPIENTS[2:])
                assert answers[-1].code == 250
                await _arrived(server, number)
                received = server.receiver.messages[-1]
                assert received.content.endswith(content)
                assert received.content.startswith(b"Received: ")
                assert received.envelope.body_8bit == (not content.isascii())
            async with asyncio.timeout(PATIENCE_S):
                while exim.log().count(" Completed") < len(MESSAGES):
                    await asyncio.sleep(0.01)
            assert exim.log().count(" K ") == len(MESSAGES)  # so it was BDAT


@pytest.mark.usefixtures("needs_exim")
async def test_what_exim_wants_to_be_told_arrives() -> None:
    async with running() as server:
        with running_exim(server.listener.address[1]) as exim:
            await _parameters_arrive(server, exim.port)


@pytest.mark.usefixtures("needs_postfix")
async def test_what_postfix_wants_to_be_told_arrives() -> None:
    async with running() as server:
        with running_postfix(server.listener.address[1]) as postfix:
            await _parameters_arrive(server, postfix.port)


# --- those that send one message ---


@pytest.mark.usefixtures("needs_mail_clients")
@each_message
@pytest.mark.parametrize("options", [(), ("--pipeline",), ("--protocol", "SMTP")], ids=lambda options: "".join(options))
async def test_swaks(tmp_path: Path, content: bytes, options: tuple[str, ...]) -> None:
    file = tmp_path / "message"
    file.write_bytes(content)
    async with running(receiver=RememberingReceiver(folder=tmp_path)) as server:
        await _swaks(server, "--data", f"@{file}", *options)
        (received,) = server.receiver.messages
        # Its own habit: it ends what it reads with one more line.
        assert received.content.removesuffix(b"\r\n") == content
        assert received.client.esmtp == (options[-1:] != ("SMTP",))


async def _swaks(server: Running, *options: str) -> str:
    return await _run(
        "swaks", "--server", f"127.0.0.1:{server.listener.address[1]}", "--helo", "client.example.com",
        "--from", "jane@example.com", "--to", "rcpt@example.net,two@example.net", *options,
    )  # fmt: skip


@pytest.mark.usefixtures("needs_mail_clients")
@pytest.mark.parametrize(
    "options",
    [
        ("--proxy", "TCP4 192.0.2.7 127.0.0.1 4711 25"),
        (
            "--proxy-version", "2", "--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-source",
            "192.0.2.7", "--proxy-source-port", "4711", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25",
        ),
    ],
    ids=["v1", "v2"],
)  # fmt: skip
async def test_swaks_behind_a_load_balancer(options: tuple[str, ...]) -> None:
    async with running(proxy_networks=("127.0.0.0/8",), allowed_networks=("192.0.2.0/24",)) as server:
        await _swaks(server, *options)
        client = server.receiver.messages[0].client
        assert (client.ip, client.port) == ("192.0.2.7", 4711)


@pytest.mark.usefixtures("needs_mail_clients")
@pytest.mark.parametrize(("mode", "option"), [("required", "--tls"), ("implicit", "--tls-on-connect")])
async def test_swaks_under_tls(context: ssl.SSLContext, mode: str, option: str) -> None:
    async with running(context=context, tls={"mode": mode}) as server:
        await _swaks(server, option)
        assert server.receiver.messages[0].client.tls.startswith("TLSv1.3")


@pytest.mark.usefixtures("needs_mail_clients")
@each_message
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_curl(
    tmp_path: Path, context: ssl.SSLContext, authority: trustme.CA, scheme: str, content: bytes
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "message").write_bytes(content)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    receiver = RememberingReceiver(folder=tmp_path / "spool")
    mode = "implicit" if scheme == "smtps" else "required"
    async with running(receiver=receiver, context=context, tls={"mode": mode}) as server:
        port = server.listener.address[1]
        await _run(
            "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", str(tmp_path / "ca.pem"),
            "--resolve", f"mx.example.com:{port}:127.0.0.1", f"{scheme}://mx.example.com:{port}/client.example.com",
            "--mail-from", "jane@example.com", "--mail-rcpt", "rcpt@example.net", "--upload-file",
            str(tmp_path / "message"),
        )  # fmt: skip
        assert receiver.contents == [content]
        assert receiver.messages[0].client.tls.startswith("TLSv1.3")


@each_message
async def test_aiosmtplib(tmp_path: Path, context: ssl.SSLContext, trusting: ssl.SSLContext, content: bytes) -> None:
    receiver = RememberingReceiver(folder=tmp_path)
    async with running(receiver=receiver, context=context, tls={"mode": "offered"}) as server:
        host, port = server.listener.address
        client = aiosmtplib.SMTP(hostname=host, port=port, local_hostname="client.example.com", start_tls=False)
        async with client:
            await client.starttls(tls_context=trusting, server_hostname="mx.example.com")
            await client.ehlo()
            for _ in range(2):
                errors, _ = await client.sendmail(
                    "jane@example.com", ["rcpt@example.net"], content, mail_options=["RET=FULL", "ENVID=1"],
                    rcpt_options=["NOTIFY=FAILURE"],
                )  # fmt: skip
                assert errors == {}
        assert receiver.contents == [content, content]
        envelope = receiver.messages[0].envelope
        assert (envelope.ret, envelope.envid) == ("FULL", "1")
        assert envelope.dsn == {"rcpt@example.net": DsnRequest(Notify.FAILURE)}


@pytest.mark.usefixtures("needs_mail_clients")
async def test_smtp_source() -> None:
    async with running() as server:
        await _run(
            "smtp-source", "-s", "10", "-m", "100", "-l", "20000", "-r", "3", "-f", "jane@example.com",
            "-t", "rcpt@example.net", f"127.0.0.1:{server.listener.address[1]}",
        )  # fmt: skip
        assert len(server.receiver.messages) == 100
        assert all(len(received.content) > 20_000 for received in server.receiver.messages)
        assert all(len(received.envelope.recipients) == 3 for received in server.receiver.messages)
