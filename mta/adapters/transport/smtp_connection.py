"""One SMTP connection: the session of `smtp_protocol` over TCP and TLS, with its time-outs.

An asyncio.Protocol rather than streams: bytes go straight from the socket into the session and its answers straight
out, so a transaction over a kept connection costs one wake-up of its task.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from mta.adapters.transport.dot_stuffing import CHUNK_OCTETS, stuffed, stuffed_chunks
from mta.adapters.transport.smtp_commands import Transaction
from mta.adapters.transport.smtp_protocol import (
    Closed,
    Done,
    Event,
    Ready,
    SendContent,
    SmtpSession,
    StartTls,
    TlsMode,
)
from mta.model.reply import Reply, TemporaryError

CONTENT_STALL_S = 180.0
"""RFC 5321 §4.5.3.2.5: how long a server may take to read a piece of the content."""
QUIT_S = 5.0


class ConnectError(TemporaryError):
    """No session came about: not reached, refused at the greeting, no TLS where it is required."""

    def __init__(self, reply: Reply, remote: str, words: str = "") -> None:
        super().__init__(reply)
        self.remote = remote
        self.words = words


class TlsHandshakeError(ConnectError):
    """STARTTLS was agreed and the handshake failed."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What all connections to one next hop share."""

    hostname: str
    """Our name in EHLO."""
    tls: TlsMode = "none"
    tls_context: ssl.SSLContext | None = None
    verify_name: str | None = None
    connect_timeout_s: float = 30.0
    """For TCP, and for the TLS handshake."""
    reply_timeout_s: float = 300.0
    """For each reply; twice that for the one after the final dot, as RFC 5321 §4.5.3.2 does."""


@dataclass(frozen=True, slots=True)
class Content:
    """A copy's bytes, prepared once for all its transactions (and a retry): stuffed whole if small."""

    segments: Sequence[bytes | memoryview]
    size_octets: int
    stuffed: bytes | None

    @classmethod
    def of(cls, segments: Sequence[bytes | memoryview]) -> Content:
        size = sum(map(len, segments))
        return cls(segments, size, stuffed(segments) if size <= CHUNK_OCTETS else None)


@dataclass(slots=True)
class _Phase:
    """What the connection waits for, and until when (loop time)."""

    deadline: float = 0.0
    limit: float = 0.0
    """No deadline moves beyond it: the end of the caller's patience."""
    timeout_s: float = 0.0
    replies: int = 0
    timer: asyncio.TimerHandle | None = None
    timer_at: float = 0.0
    is_on: bool = False


@dataclass(slots=True)
class _Flow:
    """Whether the transport's buffer has room."""

    is_paused: bool = False
    waiter: asyncio.Future[None] | None = None


@dataclass(eq=False)
class SmtpConnection(asyncio.Protocol):
    """Made by `connect`; `send` one transaction at a time, then `quit` or `abort`."""

    session: SmtpSession
    settings: SessionSettings
    remote: str = ""
    """name[ip]:port."""
    tls: str = ""
    messages: int = 0
    """Transactions begun on this connection."""
    idle_since: float = 0.0
    """Set by the pool."""
    on_closed: Callable[[SmtpConnection], None] | None = None
    """Called when the session ends; set while nobody uses the connection."""
    _events: list[Event] = field(default_factory=list)
    _waiter: asyncio.Future[None] | None = None
    _phase: _Phase = field(default_factory=_Phase)
    _flow: _Flow = field(default_factory=_Flow)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it can take another transaction."""
        return self.session.is_ready and self._transport is not None and not self._transport.is_closing()

    # --- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._transport.set_write_buffer_limits(high=2 * CHUNK_OCTETS)

    def data_received(self, data: bytes) -> None:
        self._handle(self.session.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._handle(self.session.lost())
        self.abort()

    def pause_writing(self) -> None:
        self._flow.is_paused = True

    def resume_writing(self) -> None:
        self._flow.is_paused = False
        if self._flow.waiter is not None and not self._flow.waiter.done():
            self._flow.waiter.set_result(None)

    # --- the session -------------------------------------------------------------------------------------------------

    async def open(self, limit: float) -> None:
        """Go through greeting, EHLO and STARTTLS. Raises ConnectError; `limit` is loop time."""
        self._start_phase(self.settings.reply_timeout_s, limit)
        event = await self._next()
        if isinstance(event, StartTls):
            await self._start_tls()
            self.session.tls_started()
            self._write(self.session.to_send())
            self._start_phase(self.settings.reply_timeout_s, limit)
            event = await self._next()
        if isinstance(event, Ready) and not self.session.is_ready:
            event = await self._next()
        self._end_phase()
        if isinstance(event, Closed):
            raise ConnectError(_temporary(event.answer.reply), self.remote, event.answer.words)
        assert isinstance(event, Ready)

    async def send(self, transaction: Transaction, content: Content, limit: float) -> Done:
        """One transaction; always gives its outcome. Not usable afterwards if the session ended on the way.

        `limit` is the loop time at which it is given up.
        """
        self.messages += 1
        self._start_phase(self.settings.reply_timeout_s, limit)
        self._handle(self.session.begin(transaction))
        event = await self._next()
        if isinstance(event, SendContent):
            await self._send_content(content, limit)
            event = await self._next()
        self._end_phase()
        assert isinstance(event, Done)
        return event

    async def quit(self) -> None:
        """Say good-bye and close; waits for the server's answer, but not long."""
        if self.is_usable:
            self._start_phase(QUIT_S, self._loop.time() + QUIT_S)
            self.session.quit()
            self._write(self.session.to_send())
            await self._next()
        self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        self._end_phase()
        if self._phase.timer is not None:
            self._phase.timer.cancel()
            self._phase.timer = None
        self.resume_writing()
        if self._transport is not None:
            self._transport.abort()

    async def _send_content(self, content: Content, limit: float) -> None:
        if content.stuffed is not None:
            self._write(content.stuffed)
        else:
            for chunk in stuffed_chunks(content.segments):
                if self.session.is_closed:
                    return
                self._write(chunk)
                if self._flow.is_paused:
                    self._start_phase(min(CONTENT_STALL_S, self.settings.reply_timeout_s), limit)
                    self._flow.waiter = self._loop.create_future()
                    await self._flow.waiter
        self._start_phase(2 * self.settings.reply_timeout_s, limit)
        self.session.content_sent()

    async def _start_tls(self) -> None:
        settings, transport = self.settings, self._transport
        assert transport is not None
        assert settings.tls_context is not None
        self._end_phase()
        name = settings.verify_name or self.remote.partition("[")[0]
        try:
            self._transport = await self._loop.start_tls(
                transport, self, settings.tls_context, server_hostname=name,
                ssl_handshake_timeout=settings.connect_timeout_s,
            )  # fmt: skip
        except (OSError, EOFError) as error:
            text = f"TLS handshake failed: {_words_of(error)}"
            raise TlsHandshakeError(Reply(451, "4.7.5", text), self.remote) from error
        if self._transport is None or self.session.is_closed:
            raise TlsHandshakeError(Reply(451, "4.7.5", "TLS handshake failed"), self.remote)
        self.connection_made(self._transport)
        if (ssl_object := self._transport.get_extra_info("ssl_object")) is not None:
            self.tls = f"{ssl_object.version()} {ssl_object.cipher()[0]}"

    # --- events and time ---------------------------------------------------------------------------------------------

    def _handle(self, events: list[Event]) -> None:
        """Write what the session wants written, and wake whoever waits for its events."""
        if data := self.session.to_send():
            self._write(data)
        if not events:
            return
        self._events.extend(events)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if isinstance(events[-1], Closed):
            self.abort()
            if self.on_closed is not None:
                self.on_closed(self)

    async def _next(self) -> Event:
        while not self._events:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.pop(0)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _start_phase(self, timeout_s: float, limit: float) -> None:
        """From now on the server has `timeout_s` for each reply, and until `limit` in all.

        The timer is not set anew for each phase, as most are over at once; it looks at the deadline when it fires.
        """
        phase = self._phase
        phase.is_on, phase.timeout_s, phase.limit = True, timeout_s, limit
        phase.replies = self.session.replies
        phase.deadline = min(self._loop.time() + timeout_s, limit)
        if phase.timer is None or phase.timer_at > phase.deadline:
            if phase.timer is not None:
                phase.timer.cancel()
            self._set_timer(phase.deadline)

    def _end_phase(self) -> None:
        self._phase.is_on = False

    def _set_timer(self, at: float) -> None:
        self._phase.timer_at = at
        self._phase.timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        phase, now = self._phase, self._loop.time()
        phase.timer = None
        if not phase.is_on:
            return
        if self.session.replies > phase.replies:
            phase.replies = self.session.replies
            phase.deadline = min(now + phase.timeout_s, phase.limit)
        if now < phase.deadline:
            self._set_timer(phase.deadline)
            return
        self._handle(self.session.fail(Reply(451, "4.4.2", f"Timed out waiting for {self.session.awaits}")))


async def connect(host: str, port: int, settings: SessionSettings, limit: float) -> SmtpConnection:
    """Open a session with one host: a name, an IPv4 or IPv6 address (in brackets or not).

    With opportunistic TLS a failed handshake is followed by a second try in clear text. Raises ConnectError.
    """
    try:
        return await _connect(host, port, settings, settings.tls, limit)
    except TlsHandshakeError:
        if settings.tls != "opportunistic":
            raise
    return await _connect(host, port, settings, "none", limit)


async def _connect(host: str, port: int, settings: SessionSettings, tls: TlsMode, limit: float) -> SmtpConnection:
    host = host.removeprefix("[").removesuffix("]")
    loop = asyncio.get_running_loop()
    connection = SmtpConnection(SmtpSession(settings.hostname, tls), settings, remote=f"{host}:{port}")
    timeout_s = min(settings.connect_timeout_s, max(limit - loop.time(), 0.001))
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await loop.create_connection(lambda: connection, host, port)
    except (OSError, UnicodeError) as error:
        raise ConnectError(Reply(451, "4.4.1", f"Can't connect: {_words_of(error)}"), connection.remote) from error
    connection.remote = f"{host}[{transport.get_extra_info('peername')[0]}]:{port}"
    try:
        await connection.open(limit)
    except BaseException:
        connection.abort()
        raise
    return connection


def client_tls(mode: TlsMode, ca_file: str | None) -> ssl.SSLContext | None:
    """The TLS settings of a mode; TLS 1.2 and later. Raises OSError where `ca_file` can't be read or holds none.

    Opportunistic does not verify: an unverified connection is better than the clear text that would follow.
    """
    if mode == "none":
        return None
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if mode == "opportunistic":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _temporary(reply: Reply) -> Reply:
    """A server that turns us away as a whole is a fault to mend, not the message's: temporary."""
    return reply if reply.is_temporary else Reply(451, "4.3.2", f"The remote server refused the session: {reply}")


def _words_of(error: BaseException) -> str:
    """An error of the operating system or of OpenSSL in a few ASCII words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    return text.encode("ascii", "replace").decode() or type(error).__name__
