"""A listener that runs in the test's own event loop, a receiver that remembers, and a client that says anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mta.config.accounts_file import Account
from mta.config.listener_schema import Listener
from mta.events import Level
from mta.model.address import Address
from mta.model.delivery import Body
from mta.model.envelope import Client, Envelope
from mta.model.reply import Reply
from mta.relay.receive import RelayListener
from mta.shared_counts import SharedCounts

PATIENCE_S = 60
QUEUED = Reply(250, "2.0.0", "Queued as Q1")


@dataclass
class Received:
    """What one call of `message` was given; `content` is the body's bytes, wherever they stood."""

    client: Client
    envelope: Envelope
    content: bytes
    was_spilled: bool


@dataclass
class RememberingReceiver:
    """Accepts everything unless told otherwise. `hold` keeps messages waiting until it is set."""

    folder: Path | None = None
    messages: list[Received] = field(default_factory=list)
    declared_sizes: list[int] = field(default_factory=list)
    mail_answer: Reply | Exception | None = None
    rcpt_answers: dict[str, Reply | Exception] = field(default_factory=dict)
    message_answer: Reply | Exception = QUEUED
    started: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    async def mail(self, client: Client, reverse_path: Address | None, size_octets: int) -> Reply | None:
        self.declared_sizes.append(size_octets)
        return _given(self.mail_answer)

    async def rcpt(self, client: Client, reverse_path: Address | None, recipient: Address) -> Reply | None:
        return _given(self.rcpt_answers.get(str(recipient)))

    async def message(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        content = body.data if body.data is not None else _read(body.path)
        self.started.set()
        if self.hold is not None:
            await self.hold.wait()
        self.messages.append(Received(client, envelope, content, body.path is not None))
        assert len(content) == body.size_octets
        reply = _given(self.message_answer)
        assert reply is not None
        return reply

    def turned_away(self) -> Reply | None:
        return None

    def spill_path(self) -> Path:
        assert self.folder is not None
        return self.folder / f"incoming-{len(self.messages)}-{len(list(self.folder.iterdir()))}"

    @property
    def contents(self) -> list[bytes]:
        return [message.content for message in self.messages]


def _read(path: Path | None) -> bytes:
    assert path is not None
    return path.read_bytes()


def _given(answer: Reply | Exception | None) -> Reply | None:
    if isinstance(answer, Exception):
        raise answer
    return answer


class Lines:
    """A sink that keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)


class Talk:
    """One connection, as raw as the test wants it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The next reply, its lines joined by line feeds; "" where the connection has ended."""
        lines = []
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.reader.readline():
                lines.append(line.decode().removesuffix("\r\n"))
                if line[3:4] == b" ":
                    break
        return "\n".join(lines)

    async def replies(self, count: int) -> list[str]:
        return [await self.reply() for _ in range(count)]

    async def codes(self, count: int) -> list[str]:
        return [reply[:3] for reply in await self.replies(count)]

    async def say(self, line: bytes) -> str:
        """One command and its reply."""
        self.write(line + b"\r\n")
        return await self.reply()

    async def rest(self) -> bytes:
        """Whatever comes until the server closes; a reset counts as closing."""
        said = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while more := await self.reader.read(65_536):
                    said += more
        except ConnectionError:
            return said
        return said

    async def begin(self, recipient: bytes = b"rcpt@example.net", parameters: bytes = b"") -> None:
        """MAIL, RCPT and DATA, all of them accepted."""
        self.write(b"MAIL FROM:<sender@example.com>%s\r\nRCPT TO:<%s>\r\nDATA\r\n" % (parameters, recipient))
        assert await self.codes(3) == ["250", "250", "354"]

    async def submit(self, data: bytes) -> str:
        """One whole transaction; `data` as on the wire, with its final dot."""
        await self.begin()
        self.write(data)
        return await self.reply()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.say(b"STARTTLS")).startswith("220 ")
        await self.writer.start_tls(context, server_hostname="mx.example.com")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


class Running:
    """A listener that runs, and its clients."""

    def __init__(self, listener: RelayListener, receiver: RememberingReceiver) -> None:
        self.listener = listener
        self.receiver = receiver
        self._talks: list[Talk] = []

    async def connect(self) -> Talk:
        """A connection whose greeting has not been read."""
        talk = Talk(*await asyncio.open_connection(*self.listener.address))
        self._talks.append(talk)
        return talk

    async def talk(self) -> Talk:
        """A connection that has said EHLO."""
        talk = await self.connect()
        assert (await talk.reply()).startswith("220 ")
        assert (await talk.say(b"EHLO client.example.com")).startswith("250")
        return talk

    async def all_gone(self) -> None:
        """Wait until the listener has counted every session out."""
        async with asyncio.timeout(PATIENCE_S):
            while self.listener.counters.connections:
                await asyncio.sleep(0)

    async def close(self) -> None:
        for talk in self._talks:
            await talk.close()
        await self.listener.stop(0)


def listener_configuration(role: str = "trusted", **keys: Any) -> Listener:
    """A listener for 127.0.0.1, on any free port."""
    limits = {
        key: timedelta(seconds=value) if key in ("idle", "data") else value
        for key, value in keys.pop("limits", {}).items()
    }
    keys.setdefault("allowed_networks", ("127.0.0.0/8",))
    return Listener.model_validate({"name": "test", "port": 0, "role": role, "limits": limits, **keys})


@asynccontextmanager
async def running(
    role: str = "trusted",
    *,
    receiver: RememberingReceiver | None = None,
    context: ssl.SSLContext | None = None,
    smtputf8: bool = True,
    accounts: Mapping[str, Account] | None = None,
    counts: SharedCounts | None = None,
    **keys: Any,
) -> AsyncIterator[Running]:
    """A listener on a free port; `example.net` and `xn--mnchen-3ya.example` are accepted domains."""
    receiver = receiver or RememberingReceiver()
    listener = RelayListener(
        listener_configuration(role, **keys),
        "mx.example.com",
        receiver,
        context,
        accepted_domains=frozenset({"example.net", "xn--mnchen-3ya.example"}),
        smtputf8=smtputf8,
        accounts=accounts,
        counts=counts,
    )
    await listener.start()
    under_test = Running(listener, receiver)
    try:
        yield under_test
    finally:
        await under_test.close()
