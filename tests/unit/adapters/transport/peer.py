"""Scripted SMTP servers that misbehave as real ones don't on demand, and what to send them."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import HopTls, Host, SmtpHop
from mta.model.address import Address, parse_address
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope

MAIL = b"From: jane@example.com\r\nSubject: Offer\r\n\r\nDear Joe,\r\n.hidden dot\r\nbye\r\n"


@dataclass(eq=False)
class Session:
    """One connection as the scripted server has it. Commands are kept without line ends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    """Counts connections from 1."""
    commands: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    """Un-stuffed."""

    def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")

    async def command(self) -> bytes:
        """The next command. Raises EOFError at the end of the connection."""
        line = await self.reader.readuntil(b"\r\n")
        self.commands.append(line[:-2])
        return line[:-2]

    async def open(self, *extensions: str) -> None:
        """Greet and answer EHLO."""
        self.say("220 peer.example ESMTP")
        await self.hello(*extensions)

    async def hello(self, *extensions: str) -> None:
        assert (await self.command()).startswith(b"EHLO ")
        names = ["peer.example", *extensions]
        for name in names[:-1]:
            self.say(f"250-{name}")
        self.say(f"250 {names[-1]}")

    async def expect(self, verb: str, answer: str) -> bytes:
        """Take one command that has to begin with `verb`, and answer it."""
        line = await self.command()
        assert line.startswith(verb.encode()), (verb, line)
        self.say(answer)
        return line

    async def content(self) -> bytes:
        """Everything up to the final dot."""
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.contents.append(b"".join(lines))
        return self.contents[-1]

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context)

    async def serve(self, rcpt: Callable[[bytes], str] | None = None, end: str = "250 2.0.0 taken") -> None:
        """Behave from here on until QUIT; `rcpt` may answer recipients differently."""
        accepted = 0
        while True:
            line = await self.command()
            verb = line[:4].upper()
            if verb == b"QUIT":
                self.say("221 2.0.0 bye")
                return
            if verb == b"RCPT":
                answer = rcpt(line) if rcpt else "250 2.1.5 ok"
                accepted += answer.startswith("250")
                self.say(answer)
            elif verb == b"DATA" and accepted:
                self.say("354 go on")
                await self.content()
                accepted = 0
                self.say(end)
            elif verb == b"DATA":
                self.say("554 5.5.1 no valid recipients")
            else:
                accepted = 0
                self.say("250 2.0.0 ok")


Script = Callable[[Session], Awaitable[None]]


def leap(seconds: float) -> None:
    """Set the event loop's clock forward, so that time-outs can be long and are over at once."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]


@dataclass
class Peer:
    """A running scripted server."""

    port: int
    sessions: list[Session] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    """Errors of the scripts themselves."""

    @property
    def commands(self) -> list[bytes]:
        return [command for session in self.sessions for command in session.commands]

    @property
    def contents(self) -> list[bytes]:
        return [content for session in self.sessions for content in session.contents]


@asynccontextmanager
async def peer(
    *scripts: Script, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """Serve: the first connection by the first script and so on, the last script for all later ones.

    With `tls` it is spoken from the first octet.
    """
    running = Peer(0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(session: Session) -> None:
        try:
            await scripts[min(session.number, len(scripts)) - 1](session)
        except (EOFError, ConnectionError, ssl.SSLError):
            pass
        except AssertionError as error:
            running.failed.append(error)
        finally:
            session.writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer, len(running.sessions) + 1)
        running.sessions.append(session)
        task = asyncio.get_running_loop().create_task(serve(session))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, address, port, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert running.failed == []


def hop(*ports: int, host: str = "127.0.0.1", tls: HopTls | None = None, **settings: object) -> SmtpHop:
    """A next hop on this machine; more ports are further hosts, less preferred."""
    hosts = tuple(Host(host=host, port=port, preference=i) for i, port in enumerate(ports))
    values: dict[str, object] = {"reply_timeout": timedelta(seconds=20), "connect_timeout": timedelta(seconds=20)}
    return SmtpHop.model_validate(
        {"name": "peer", "hosts": hosts, "tls": tls or HopTls(mode="none"), **values, **settings}
    )


@asynccontextmanager
async def transport(settings: SmtpHop, clock: Callable[[], float] | None = None) -> AsyncIterator[SmtpTransport]:
    made = SmtpTransport.to_hosts(
        settings, hostname="relay.example.com", chance=lambda: 0.5, clock=clock or time.monotonic
    )
    try:
        yield made
    finally:
        await made.close()


def envelope(*recipients: str | Address, sender: str = "jane@example.com") -> Envelope:
    addresses = tuple(parse_address(r) if isinstance(r, str) else r for r in recipients or ("joe@example.org",))
    return Envelope(parse_address(sender) if sender else None, addresses)


async def deliver(
    through: SmtpTransport,
    of: Envelope | None = None,
    content: Sequence[bytes | memoryview] = (MAIL,),
    deadline_s: float = 30,
    overlook: Collection[Misfit] = (),
    recipients: Sequence[Address] = (),
) -> list[RecipientResult]:
    of = of or envelope()
    entries = [RecipientEntry(i, address, 0, "peer") for i, address in enumerate(recipients or of.recipients)]
    return await through.deliver(of, entries, content, deadline_s=deadline_s, overlook=overlook)


def replies(results: Sequence[RecipientResult]) -> list[str]:
    """`code status` of each."""
    return [f"{result.reply.code} {result.reply.status}" for result in results]
