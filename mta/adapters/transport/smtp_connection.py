"""One SMTP connection: the session of `smtp_protocol` over TCP and TLS, with its time-outs.

An asyncio.Protocol rather than streams: bytes go straight from the socket into the session and its answers straight
out, so a transaction over a kept connection costs one wake-up of its task.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from mta.adapters.transport.client_tls import ClientTls
from mta.adapters.transport.connect_errors import ConnectError, LoginRefusedError, TlsHandshakeError, words_of
from mta.adapters.transport.dot_stuffing import CHUNK_OCTETS, stuffed, stuffed_chunks
from mta.adapters.transport.reach import Reached, reach
from mta.adapters.transport.smtp_auth import Credentials
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
from mta.adapters.transport.targets import ADDRESSES_MAX, Target, addresses_of
from mta.model.reply import Reply

CONTENT_STALL_S = 180.0
"""RFC 5321 §4.5.3.2.5: how long a server may take to read a piece of the content."""
QUIT_S = 5.0


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What all connections to one next hop share."""

    hostname: str
    """Our name in EHLO."""
    tls: ClientTls
    credentials: Callable[[], Credentials] | None = None
    """Asked for each connection, so that a changed password counts at once. Raises OSError or KeyError."""
    connect_timeout_s: float = 30.0
    """For TCP, and for the TLS handshake."""
    reply_timeout_s: float = 300.0
    """For each reply; twice that for the one after the final dot, as RFC 5321 §4.5.3.2 does."""


@dataclass(slots=True)
class Content:
    """A copy's bytes, prepared once for all its transactions (and a retry): stuffed whole if small."""

    segments: Sequence[bytes | memoryview]
    size_octets: int
    stuffed: bytes | None
    _is_seven_bit: bool | None = None

    @classmethod
    def of(cls, segments: Sequence[bytes | memoryview]) -> Content:
        size = sum(map(len, segments))
        return cls(segments, size, stuffed(segments) if size <= CHUNK_OCTETS else None)

    @property
    def is_seven_bit(self) -> bool:
        """Whether no octet is beyond ASCII; a large content takes milliseconds to look through."""
        if self._is_seven_bit is None:
            chunks = stuffed_chunks(self.segments) if self.stuffed is None else (self.stuffed,)
            self._is_seven_bit = all(chunk.isascii() for chunk in chunks)
        return self._is_seven_bit


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

    async def start(self, sock: socket.socket, limit: float, *, implicit: bool) -> None:
        """Take a connected socket over, with TLS at once where that is `implicit`. Raises ConnectError."""
        settings = self.settings
        try:
            if not implicit:
                await self._loop.create_connection(lambda: self, sock=sock)
                return
            await self._loop.create_connection(
                lambda: self, sock=sock, ssl=settings.tls.context(), server_hostname=self._verify_name,
                ssl_handshake_timeout=self._patience_s(limit),
            )  # fmt: skip
        except (OSError, EOFError, ValueError) as error:
            sock.close()
            status, what = ("4.7.5", "TLS handshake failed") if implicit else ("4.4.2", "Connection lost")
            raise ConnectError(Reply(451, status, f"{what}: {words_of(error)}"), self.remote) from error
        self._tls_is_up()

    async def open(self, limit: float) -> None:
        """Go through greeting, EHLO and STARTTLS. Raises ConnectError; `limit` is loop time."""
        self._start_phase(self.settings.reply_timeout_s, limit)
        event = await self._next()
        if isinstance(event, StartTls):
            await self._start_tls(limit)
            self.session.tls_started()
            self._write(self.session.to_send())
            self._start_phase(self.settings.reply_timeout_s, limit)
            event = await self._next()
        if isinstance(event, Ready) and not self.session.is_ready:
            event = await self._next()
        self._end_phase()
        if isinstance(event, Closed):
            kind = LoginRefusedError if event.is_login_refused else ConnectError
            raise kind(_temporary(event.answer.reply), self.remote, event.answer.words)
        assert isinstance(event, Ready)

    async def send(self, transaction: Transaction, content: Content, limit: float) -> Done:
        """One transaction; always gives its outcome. Not usable afterwards if the session ended on the way.

        `limit` is the loop time at which it is given up, unless all of the content has been sent.
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
                if self._flow.is_paused:
                    self._start_phase(min(CONTENT_STALL_S, self.settings.reply_timeout_s), limit)
                    self._flow.waiter = self._loop.create_future()
                    await self._flow.waiter
                if self.session.is_closed:
                    return
                self._write(chunk)
        # Nothing is waited for between the final dot and here. From now on the server may take the message at any
        # moment, so it has all the time that the protocol gives it, however late it is for the caller.
        end_s = 2 * self.settings.reply_timeout_s
        self._start_phase(end_s, self._loop.time() + end_s)
        self.session.content_sent()

    async def _start_tls(self, limit: float) -> None:
        settings, transport = self.settings, self._transport
        assert transport is not None
        self._end_phase()
        try:
            self._transport = await self._loop.start_tls(
                transport, self, settings.tls.context(), server_hostname=self._verify_name,
                ssl_handshake_timeout=self._patience_s(limit),
            )  # fmt: skip
        except (OSError, EOFError, ValueError) as error:  # of a name that no certificate can have
            text = f"TLS handshake failed: {words_of(error)}"
            raise TlsHandshakeError(Reply(451, "4.7.5", text), self.remote) from error
        if self._transport is None or self.session.is_closed:
            raise TlsHandshakeError(Reply(451, "4.7.5", "TLS handshake failed"), self.remote)
        self.connection_made(self._transport)
        self._tls_is_up()

    def _patience_s(self, limit: float) -> float:
        return min(self.settings.connect_timeout_s, max(limit - self._loop.time(), 0.001))

    @property
    def _verify_name(self) -> str:
        return self.settings.tls.settings.verify_name or self.remote.partition("[")[0]

    def _tls_is_up(self) -> None:
        """Look at the remote's certificate, and note the cipher."""
        assert self._transport is not None
        ssl_object = self._transport.get_extra_info("ssl_object")
        if ssl_object is None:
            return
        if refusal := self.settings.tls.refusal(ssl_object):
            raise TlsHandshakeError(Reply(451, "4.7.5", f"TLS: {refusal}"), self.remote)
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


async def connect(target: Target, settings: SessionSettings, limit: float) -> SmtpConnection:
    """Open a session with one server, by the first of its addresses that gives one; `limit` is loop time.

    With opportunistic TLS a failed handshake is followed by another try in clear text. Raises ConnectError.
    """
    opening = _Opening(target, settings, _credentials(settings, target), limit)
    addresses = list(await addresses_of(target, opening.patience_s))[:ADDRESSES_MAX]
    error: ConnectError | None = None
    while addresses and (error is None or opening.has_time):
        try:
            reached = await reach(addresses, target.port, opening.patience_s)
        except OSError as failed:
            raise error or opening.not_reached(failed) from failed
        addresses = [address for address in addresses if address not in reached.used]
        try:
            return await opening.session(reached)
        except LoginRefusedError:
            raise
        except ConnectError as failed:
            error = failed
    raise error or opening.not_reached(TimeoutError())


def _credentials(settings: SessionSettings, target: Target) -> Credentials | None:
    if settings.credentials is None:
        return None
    try:
        return settings.credentials()
    except (OSError, KeyError) as error:
        text = f"Our password for the next hop can't be read: {type(error).__name__}"
        raise LoginRefusedError(Reply(451, "4.7.0", text), f"{target.name}:{target.port}") from error


@dataclass(frozen=True, slots=True)
class _Opening:
    """One server on the way to a session."""

    target: Target
    settings: SessionSettings
    credentials: Credentials | None
    limit: float

    @property
    def has_time(self) -> bool:
        return asyncio.get_running_loop().time() < self.limit

    @property
    def patience_s(self) -> float:
        left_s = self.limit - asyncio.get_running_loop().time()
        return min(self.settings.connect_timeout_s, max(left_s, 0.001))

    def not_reached(self, error: BaseException) -> ConnectError:
        reply = Reply(451, "4.4.1", f"Can't connect: {words_of(error)}")
        return ConnectError(reply, f"{self.target.name}:{self.target.port}")

    async def session(self, reached: Reached) -> SmtpConnection:
        """With one address, over TLS or, where that fails and need not be, without. Raises ConnectError."""
        tls = self.settings.tls
        server = f"{self.target.name}[{reached.address}]:{self.target.port}"
        mode: TlsMode = "none" if tls.is_clear_text(server) else tls.settings.mode
        try:
            return await self._opened(reached.socket, server, mode)
        except TlsHandshakeError as error:
            if mode != "opportunistic":
                raise
            tls.fell_back(server, error.reply.text)
        try:
            again = await reach([reached.address], self.target.port, self.patience_s)
        except OSError as failed:
            raise self.not_reached(failed) from failed
        return await self._opened(again.socket, server, "none")

    async def _opened(self, sock: socket.socket, server: str, mode: TlsMode) -> SmtpConnection:
        implicit = self.settings.tls.settings.implicit
        session = SmtpSession(self.settings.hostname, mode, self.credentials, in_tls=implicit)
        connection = SmtpConnection(session, self.settings, remote=server)
        try:
            await connection.start(sock, self.limit, implicit=implicit)
            await connection.open(self.limit)
        except BaseException:
            connection.abort()
            raise
        return connection


def _temporary(reply: Reply) -> Reply:
    """A server that turns us away as a whole is a fault to mend, not the message's: temporary."""
    return reply if reply.is_temporary else Reply(451, "4.3.2", f"The remote server refused the session: {reply}")
