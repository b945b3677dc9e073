"""The connections of one worker to one next hop: kept, limited, handed out in turn by sender, at the hop's pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from mta import events
from mta.adapters.transport.circuit import Circuit
from mta.adapters.transport.connect_errors import ConnectError, LoginRefusedError
from mta.adapters.transport.pace import Pace
from mta.adapters.transport.smtp_connection import SmtpConnection
from mta.adapters.transport.targets import Target, Targets
from mta.adapters.transport.turns import Turns
from mta.config.delivery_schema import HopLimits
from mta.model.reply import Reply
from mta.ports.transport import Stopped

SHUN_HOST_S = 60.0
"""For so long a host that failed is tried after the others."""
NO_GROWTH_S = 5.0
"""For so long no further connection is tried after one failed while others stand (the remote's own limit)."""

Connect = Callable[[Target, float], Awaitable[SmtpConnection]]
"""(server, loop time at which to give up) → connection; raises ConnectError."""
_Waiter = asyncio.Future[SmtpConnection | None]


class SmtpPool:
    """`acquire` a connection, use it for one transaction, `release` it, whatever became of it.

    `name` is the next hop's in log lines; `clock` is monotonic seconds.
    """

    def __init__(
        self, hop: HopLimits, targets: Targets, connect: Connect, circuit: Circuit, *, name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._hop = hop
        self._name = name or hop.name
        self._targets = targets
        self._connect = connect
        self._clock = clock
        self._circuit = circuit
        self._pace = Pace(hop.messages, clock)
        self._pace_timer: asyncio.TimerHandle | None = None
        self._keep_idle_s = hop.keep_idle.total_seconds()
        self._idle: list[SmtpConnection] = []
        self._slots = 0
        """Connections that stand or are being made."""
        self._standing = 0
        self._waiting: Turns[_Waiter] = Turns()
        self._no_growth_until = 0.0
        self._failed_at: dict[tuple[str, int], float] = {}
        self._last_error = ConnectError(Reply(451, "4.4.1", "Not connected yet"), "")
        self._probe = asyncio.Lock()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def is_blocked(self) -> bool:
        """Whether the circuit is open, and it is not time for a probe or one is under way; or enough waits already."""
        if self._circuit.is_open and (self._probe.locked() or not self._circuit.is_probe_due):
            return True
        return self._pace.is_enough(len(self._waiting))

    @property
    def is_idle(self) -> bool:
        """Whether it holds no connection, and nobody waits for one."""
        return not (self._slots or self._waiting or self._closing)

    @property
    def remembers(self) -> bool:
        """Whether what it knows makes a difference for the next message."""
        return self._circuit.has_failed or self._pace.wait_s > 0

    @property
    def stopped(self) -> Stopped | None:
        """Whether the circuit is open, and why."""
        return Stopped(self._circuit.open_for_s, str(self._last_error.reply)) if self._circuit.is_open else None

    async def acquire(self, limit: float, sender: str = "", *, fresh: bool = False) -> SmtpConnection:
        """A connection that is ready, a kept one where there is one, unless `fresh` asks for a new one.

        Those who wait get theirs in turn by sender. Raises ConnectError where none can be had before `limit` (loop
        time), NoRouteError where there is no server at all.
        """
        if not self._waiting and self._pace.take():
            kept = self._take_idle()
            if kept is not None and not fresh:
                return kept
            if kept is not None:
                self._drop(kept)
            if self._may_grow():
                self._slots += 1
                return await self._open(limit, sender)
            self._pace.give_back()
        return await self._wait(limit, sender)

    def release(self, connection: SmtpConnection) -> None:
        """Give a connection back."""
        if connection.is_usable and connection.messages < self._messages_of(connection):
            connection.idle_since = asyncio.get_running_loop().time()
            self._keep(connection)
            self._serve()
            if self._is_closed:
                self._end_all_idle()
            else:
                self._watch_idle()
        else:
            self._drop(connection)

    def _messages_of(self, connection: SmtpConnection) -> int:
        """How many transactions it may have, by our settings and the remote's LIMITS (RFC 9422)."""
        theirs = connection.session.extensions.mail_max
        return min(self._hop.messages_per_connection, theirs) if theirs else self._hop.messages_per_connection

    async def close(self) -> None:
        """End the idle connections now and the others when they are released; deliveries under way still finish."""
        self._is_closed = True
        self._end_all_idle()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        await asyncio.gather(*self._closing)

    def _end_all_idle(self) -> None:
        while (connection := self._take_idle()) is not None:
            self._drop(connection)

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def _wait(self, limit: float, sender: str, *, in_front: bool = False) -> SmtpConnection:
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(sender, waiter, in_front=in_front)
        self._serve()
        try:
            async with asyncio.timeout_at(limit):
                granted = await waiter
        except BaseException as error:
            self._leave(sender, waiter)
            if isinstance(error, TimeoutError):
                text = "No connection to the next hop became free in time"
                raise ConnectError(Reply(451, "4.4.5", text), "") from None
            raise
        if granted is None:
            return await self._open(limit, sender)
        if granted.is_usable:
            return granted
        self._standing -= 1
        return await self._open(limit, sender)

    def _leave(self, sender: str, waiter: _Waiter) -> None:
        """Hand on what a waiter was granted in the moment when it gave up."""
        if not waiter.done() or waiter.cancelled():
            self._waiting.leave(sender, waiter)
            return
        self._pace.give_back()
        if (granted := waiter.result()) is not None:
            self.release(granted)
        else:
            self._free_slot()

    def _serve(self) -> None:
        """Give those who wait what is free: an idle connection, or leave to make one."""
        while self._waiting and (self._idle or self._may_grow()):
            if not self._pace.take():
                self._serve_later()
                return
            granted = self._take_idle()
            # Idle ones that turn out to be closed free their slots, which may have served everybody meanwhile.
            waiter = self._waiting.take() if self._waiting and (granted or self._may_grow()) else None
            if waiter is not None and not waiter.done():
                self._slots += granted is None
                waiter.set_result(granted)
                continue
            self._pace.give_back()
            if granted is not None:
                self._keep(granted)

    def _serve_later(self) -> None:
        if self._pace_timer is None:
            self._pace_timer = asyncio.get_running_loop().call_later(self._pace.wait_s, self._serve_now)

    def _serve_now(self) -> None:
        self._pace_timer = None
        self._serve()

    def _free_slot(self) -> None:
        """A slot came free: the next in turn may connect."""
        self._slots -= 1
        self._serve()

    def _may_grow(self) -> bool:
        if self._slots >= self._hop.connections:
            return False
        return not self._slots or self._clock() >= self._no_growth_until

    # --- opening -----------------------------------------------------------------------------------------------------

    async def _open(self, limit: float, sender: str) -> SmtpConnection:
        """Connect, with a slot already taken.

        Where that fails while other connections stand, the remote probably limits their number: wait for one of them.
        """
        try:
            if self._circuit.is_open:
                return await self._open_by_probe(limit)
            return await self._open_counted(limit)
        except ConnectError:
            self._pace.give_back()
            if not self._standing:
                self._free_slot()
                raise
            self._slots -= 1
            self._no_growth_until = self._clock() + NO_GROWTH_S
        except BaseException:
            self._pace.give_back()
            self._free_slot()
            raise
        return await self._wait(limit, sender, in_front=True)

    async def _open_by_probe(self, limit: float) -> SmtpConnection:
        """While the circuit is open one connection probes when it is time, and the others wait for what it finds."""
        try:
            async with asyncio.timeout_at(limit), self._probe:
                if not self._circuit.is_open:
                    pass
                elif self._circuit.is_probe_due:
                    return await self._open_counted(limit)
                else:
                    raise self._last_error.again()
        except TimeoutError:
            raise self._last_error.again() from None
        return await self._open_counted(limit)

    async def _open_counted(self, limit: float) -> SmtpConnection:
        was_probe = self._circuit.is_open
        try:
            connection = await self._open_any(limit)
        except ConnectError as error:
            self._last_error = error.again()
            if not self._standing:
                self._count_failure(error, was_probe=was_probe)
            raise
        self._standing += 1
        if self._circuit.succeeded():
            events.next_hop_resumed(self._name)
        return connection

    def _count_failure(self, error: ConnectError, *, was_probe: bool) -> None:
        is_refusal = isinstance(error, LoginRefusedError)
        wait_s = self._circuit.failed(was_probe=was_probe, is_refusal=is_refusal)
        if wait_s is not None and is_refusal:
            events.next_hop_login_refused(self._name, reason=error.reply.text, probe_in_s=wait_s)
        elif wait_s is not None:
            events.next_hop_stopped(self._name, reason=str(error.reply), probe_in_s=wait_s)

    async def _open_any(self, limit: float) -> SmtpConnection:
        """The first server that gives a session, by preference."""
        error = ConnectError(Reply(451, "4.4.1", "No time left to connect"), "")
        for target in self._in_order(await self._targets()):
            key = (target.name, target.port)
            try:
                connection = await self._connect(target, limit)
            except LoginRefusedError:
                raise
            except ConnectError as failed:
                error = failed
                self._failed_at[key] = self._clock()
                if asyncio.get_running_loop().time() >= limit:
                    break
            else:
                self._failed_at.pop(key, None)
                return connection
        raise error

    def _in_order(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Those that failed lately behind the others."""
        if not self._failed_at or len(targets) == 1:
            return targets
        shunned_since = self._clock() - SHUN_HOST_S
        self._failed_at = {key: at for key, at in self._failed_at.items() if at > shunned_since}
        return sorted(targets, key=lambda target: (target.name, target.port) in self._failed_at)

    # --- keeping and ending ------------------------------------------------------------------------------------------

    def _keep(self, connection: SmtpConnection) -> None:
        connection.on_closed = self._idle_closed
        self._idle.append(connection)

    def _take_idle(self) -> SmtpConnection | None:
        """The one used last, so that those too many grow old."""
        while self._idle:
            connection = self._idle.pop()
            connection.on_closed = None
            if connection.is_usable:
                return connection
            self._drop(connection)
        return None

    def _idle_closed(self, connection: SmtpConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._drop(connection)

    def _drop(self, connection: SmtpConnection) -> None:
        """Take a standing connection out of the pool; QUIT where that makes sense."""
        connection.on_closed = None
        self._standing -= 1
        if connection.is_usable:
            task = asyncio.get_running_loop().create_task(connection.quit())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        else:
            connection.abort()
        self._free_slot()

    def _watch_idle(self) -> None:
        if self._idle_timer is None and self._idle:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_at(self._idle[0].idle_since + self._keep_idle_s, self._end_idle)

    def _end_idle(self) -> None:
        self._idle_timer = None
        too_old = asyncio.get_running_loop().time() - self._keep_idle_s
        old = [connection for connection in self._idle if connection.idle_since <= too_old]
        self._idle = self._idle[len(old) :]
        for connection in old:
            self._drop(connection)
        self._watch_idle()
