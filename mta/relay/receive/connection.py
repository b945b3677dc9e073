"""One client's connection: its bytes, its replies, its timer, its TLS. `session` speaks SMTP on top of it.

The server class is aiosmtpd's, with its transport side replaced: its stream reader keeps endless lines, answers each
command in a write of its own, and has an EOF cancel a message that is being handed over.
- Bytes stand in one buffer, lines are cut from it without waiting, and the replies of a burst of pipelined commands go
  out in one write (RFC 2920).
- Neither EOF nor a lost connection cancels the session's task: it finds out when it next wants to read, so a message
  being handed over is handed over to its end.
- One timer per connection, moved lazily; while the rest of the relay works on an answer it stands still.
- A command ends with CRLF only; endless lines are thrown away, and count.
"""

from __future__ import annotations

import asyncio
import ssl
import traceback
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from aiosmtpd.smtp import SMTP

from mta import events
from mta.relay.receive import replies
from mta.relay.receive.settings import ListenerSettings
from mta.relay.receive.tls import failure_text, verified_names

if TYPE_CHECKING:
    from mta.relay.receive.server import RelayListener

COMMAND_MAX_OCTETS = 512
"""RFC 5321 §4.5.3.1.4, with its CRLF."""
COMMAND_ALLOWANCES = {
    # SIZE (RFC 1870 §3), BODY (RFC 6152 §3), SMTPUTF8 (RFC 6531 §3.4), AUTH (RFC 4954 §5), RET and ENVID (RFC 3461 §4)
    b"MAIL": 26 + 17 + 10 + 500 + len(" RET=FULL") + len(" ENVID=") + 100,
    # NOTIFY and ORCPT (RFC 3461 §4)
    b"RCPT": len(" NOTIFY=SUCCESS,FAILURE,DELAY") + len(" ORCPT=") + 500,
    b"AUTH": 12_288 - COMMAND_MAX_OCTETS,  # RFC 4954 §4.3
}
"""How much longer a command may be, for the parameters of extensions."""

_LONGEST_LINE = COMMAND_MAX_OCTETS + max(COMMAND_ALLOWANCES.values())
_THROWN_AWAY_MAX = 65_536
_BUFFER_HIGH = 65_536
_BURST_MAX = 50
"""Pipelined commands that are answered in a row: whoever sends megabytes of them must not keep the others waiting."""
_LINGER_S = 5.0
_HANDSHAKE_S = 30.0
_NEVER = float("inf")


class Connection(SMTP, ABC):
    """Bytes in and out. A subclass holds the dialogue (`_converse`) and counts bad commands (`refuse_line`)."""

    def __init__(self, listener: RelayListener, loop: asyncio.AbstractEventLoop, ip: str, port: int) -> None:
        # Not calling SMTP.__init__: it looks through every attribute of itself and its handler, 160 us for each
        # connection, and nothing that it sets is used here.
        self.loop = loop
        self.listener = listener
        self.settings: ListenerSettings = listener.settings
        self.ip = ip
        self.port = port
        self.is_balancer = False
        """A load balancer speaks for itself, e.g. to see whether we are well."""
        self.balancer = ""
        """The address of the load balancer through which the client comes; "" where it comes directly."""
        self.tls = ""
        """As in `Client.tls`."""
        self.certificate_names: tuple[str, ...] = ()
        """Those in the client's verified certificate."""
        self.task: asyncio.Task[None] | None = None
        self._wire: asyncio.Transport
        self.buffer = bytearray()
        self._searched = 0
        self._burst = 0
        """Commands answered since the other sessions had their turn."""
        self._thrown_away = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_reading = True
        self._is_choked = False
        """The client doesn't read what it was sent."""
        self._is_lost = False
        self.no_more = False
        """The client sends nothing more; what stands in the buffer is still good."""
        self.over = False
        """Nothing more is read or answered."""
        self.draining = False
        self._upgrading = False
        self._tls_has_failed = False
        self._replies: list[bytes] = []
        self._deadline = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER

    @abstractmethod
    async def _converse(self) -> None: ...

    @property
    @abstractmethod
    def is_receiving(self) -> bool: ...

    @abstractmethod
    def refuse_line(self, line: bytes | bytearray, reply: bytes) -> None: ...

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session, under TLS where the listener wants it from the first octet."""
        self._wire = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._take_tls(tls)
        self.task = self.loop.create_task(self._handle_client())

    def data_received(self, data: bytes) -> None:
        """Keep the bytes and wake the session; stop a client that is far ahead of us."""
        if self.over:
            return
        self.buffer += data
        self._wake()
        if len(self.buffer) > _BUFFER_HIGH and self._is_reading and not self._upgrading:
            self._is_reading = False
            self._wire.pause_reading()

    def eof_received(self) -> bool:
        """The client may still read: what it has sent is answered to the end."""
        self.no_more = True
        self._wake()
        return not self.tls and not self._upgrading and not self.over

    def connection_lost(self, error: Exception | None) -> None:
        """The session's task is told, not cancelled."""
        if isinstance(error, ssl.SSLError):
            self.tls_failed(error)  # by TLS 1.3 the client judges our certificate when our handshake is over
        self._is_lost = self.no_more = self.over = True
        self._wake()
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The client is far behind with reading."""
        self._is_choked = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_choked = False
        self._wake()

    # --- the session's task ---

    async def _handle_client(self) -> None:
        try:
            await self._converse()
            await self.flush()
        except ConnectionError:
            pass  # the client has gone; nobody is left to tell
        except Exception as exc:  # noqa: BLE001 - the edge of the process: one session's fault ends that session only
            events.internal_error("receive", error=repr(exc), traceback=traceback.format_exc())
            self.end(replies.SESSION_FAILED, "internal error")
        finally:
            self.over = True
            self._close()
            self.listener.leave(self)

    def drain(self) -> None:
        """End the session as soon as no message is on its way in: at once where it waits for a command."""
        self.draining = True
        self._wake()

    def abort(self) -> None:
        """End the session now."""
        self.over = self.no_more = True
        self._wire.abort()
        if self.task is not None:
            self.task.cancel()

    # --- reading ---

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def more(self, deadline: float) -> None:
        """Wait for bytes, or for whatever else `_happened` sees."""
        if not self._is_reading:
            self._is_reading = True
            self._wire.resume_reading()
        await self._happened(deadline)

    async def _happened(self, deadline: float) -> None:
        """Wait until something has happened: bytes, their end, room to write, draining, or the deadline's passing."""
        self._arm(deadline)
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline = _NEVER

    async def line(self, longest: int = 0) -> bytes | None:
        """The next command, without its CRLF; None at the session's end. Replies go out before it waits.

        `longest`, with its CRLF, is for lines that are no commands; theirs is known by their verb.

        The time to send one whole command is limited, so that dribbling single octets doesn't keep a session.
        """
        deadline = 0.0
        while not self.over:
            if self._burst >= _BURST_MAX:
                self._burst = 0
                await asyncio.sleep(0)
                continue
            line = self._cut_line(longest)
            if line is not None or self.over:
                self._burst += 1
                return line
            if self.draining and not self.is_receiving:
                self.end(replies.SHUTTING_DOWN, "")
                return None
            await self.flush()
            if self.no_more:
                return None
            deadline = deadline or self.loop.time() + self.idle_s
            await self.more(deadline)
        return None

    def _cut_line(self, longest: int) -> bytes | None:
        """Cut the next good command from the buffer; None when there is none. Bad ones are refused on the way."""
        buffer = self.buffer
        while not self.over:
            end = buffer.find(b"\n", self._searched) + 1
            if not end:
                self._searched = len(buffer)
                if len(buffer) > _LONGEST_LINE:
                    self._throw_away()
                return None
            line = bytes(buffer[:end])
            del buffer[:end]
            self._searched = 0
            limit = longest or COMMAND_MAX_OCTETS + COMMAND_ALLOWANCES.get(line[:4].upper(), 0)
            too_long = self._thrown_away or len(line) > limit
            self._thrown_away = 0
            if too_long:
                self.refuse_line(line, replies.LINE_TOO_LONG)
            elif line.endswith(b"\r\n") and b"\r" not in line[:-2]:
                return line[:-2]
            else:
                self.refuse_line(line, replies.BARE_LINE_END)
        return None

    def _throw_away(self) -> None:
        """Drop the beginning of an over-long line; a client that goes on with it is cut off."""
        if not self._thrown_away and self.buffer[:4].upper() == b"BDAT":
            self.refuse_line(self.buffer, replies.LINE_TOO_LONG)
        self._thrown_away += len(self.buffer)
        self.buffer.clear()
        self._searched = 0
        if self._thrown_away > _THROWN_AWAY_MAX:
            self.end(replies.LINE_TOO_LONG, "endless command line")

    def take_buffer(self, octets: int | None = None) -> bytearray:
        """All that has come, or so many octets of it at most."""
        self._searched = 0
        if octets is None or octets >= len(self.buffer):
            taken, self.buffer = self.buffer, bytearray()
            return taken
        taken = self.buffer[:octets]
        del self.buffer[:octets]
        return taken

    async def wait_for_content(self, latest: float) -> bool:
        """Wait for more of a message, for the idle time and until `latest` at most; False where no more comes."""
        await self.flush()
        while not (self.buffer or self.no_more or self.over):
            await self.more(min(latest, self.loop.time() + self.idle_s))
        return bool(self.buffer) and not self.over

    # --- writing ---

    def say(self, reply: bytes) -> None:
        """Queue a reply, CRLF included, for the next `flush`."""
        self._replies.append(reply)

    async def flush(self) -> None:
        """Send what is queued, in one write; wait while the client doesn't read what it was sent."""
        if self._replies and not self.over:
            self._wire.write(b"".join(self._replies))
        self._replies.clear()
        if self._is_choked:
            deadline = self.loop.time() + self.idle_s
            while self._is_choked and not self.over:
                await self._happened(deadline)

    def end(self, reply: bytes, reason: str) -> None:
        """Say what is queued and `reply`, and close. A `reason` is logged."""
        if self.over:
            return
        self.over = True
        self._wire.write(b"".join(self._replies) + reply)
        self._replies.clear()
        if reason:
            events.session_closed(self.settings.name, client=self.ip, reason=reason)
        self._close()
        self._wake()

    def _close(self) -> None:
        """Close once what was written has gone out; a client that doesn't take it is cut off after a while."""
        if self._is_lost or self._wire.is_closing():
            return
        self._wire.close()
        self.over = self.no_more = True
        self._schedule(self.loop.time() + min(_LINGER_S, self.idle_s))

    # --- time ---

    @property
    def idle_s(self) -> float:
        """How long the client may pause."""
        return self.listener.patience_s(self.settings.idle_s)

    @property
    def handshake_s(self) -> float:
        """How long a TLS handshake may take."""
        return min(_HANDSHAKE_S, self.idle_s)

    def hurry(self, within_s: float) -> None:
        """The listener has got crowded: what the client is waited for has to come within this time."""
        at = self.loop.time() + within_s
        if at < self._deadline != _NEVER:
            self._arm(at)

    def _arm(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            self._schedule(deadline)

    def _schedule(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._wire.is_closing():
            self._wire.abort()
        elif self.loop.time() >= self._deadline:
            self.end(replies.TIMED_OUT, "timed out")
        elif self._deadline != _NEVER:
            self._schedule(self._deadline)

    # --- TLS ---

    async def upgrade(self, ready: bytes, context: ssl.SSLContext) -> bool:
        """Say `ready` and shake hands; False where the client's handshake fails (the connection is closed then).

        Nothing that came in clear text may live on (RFC 3207 §6, CVE-2011-0411): reading stops before the buffer is
        looked at, and what the client sends after that is for the handshake to judge.
        """
        self._wire.pause_reading()
        if self.buffer:
            self.buffer.clear()
            self.end(replies.PIPELINED_BEHIND_STARTTLS, "commands pipelined behind STARTTLS")
            return False
        self._wire.write(ready)
        self._upgrading = True
        try:
            async with asyncio.timeout(self.handshake_s):
                wire = await self.loop.start_tls(self._wire, self, context, server_side=True)
        except (OSError, TimeoutError) as exc:  # ssl.SSLError is an OSError
            self.tls_failed(exc)
            self.over = True
            self._wire.abort()
            return False
        finally:
            self._upgrading = False
        assert wire is not None
        self._wire = wire
        self._is_reading = True
        self._take_tls(wire.get_extra_info("ssl_object"))
        return True

    def _take_tls(self, tls: ssl.SSLObject) -> None:
        cipher = tls.cipher()
        self.tls = f"{tls.version()} {cipher[0] if cipher else ''}"
        self.certificate_names = verified_names(tls)

    def tls_failed(self, error: OSError) -> None:
        """Log why, and count; once, though event loops may tell of it twice."""
        if self._tls_has_failed:
            return
        self._tls_has_failed = True
        self.listener.counters.failed_handshakes += 1
        events.tls_failed(self.settings.name, client=self.ip, reason=failure_text(error))
