"""The connections of one worker to one next hop: kept, limited, handed out first come first served."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from mta import events
from mta.adapters.transport.circuit import Circuit
from mta.adapters.transport.smtp_connection import ConnectError, SmtpConnection
from mta.config.delivery_schema import Host, SmtpHop
from mta.model.reply import Reply
from mta.ports.transport import Stopped

SHUN_HOST_S = 60.0
"""For so long a host that failed is tried after the others."""
NO_GROWTH_S = 5.0
"""For so long no further connection is tried after one failed while others stand (the remote's own limit)."""

Connect = Callable[[Host, float], Awaitable[SmtpConnection]]
"""(host, loop time at which to give up) → connection; raises ConnectError."""
_Waiter = asyncio.Future[SmtpConnection | None]


class SmtpPool:
    """`acquire` a connection, use it for one transaction, `release` it, whatever became of it."""

    def __init__(
        self,
        hop: SmtpHop,
        connect: Connect,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._hop = hop
        self._connect = connect
        self._clock = clock
        self._chance = chance
        self._circuit = Circuit(clock, chance)
        self._keep_idle_s = hop.keep_idle.total_seconds()
        self._idle: list[SmtpConnection] = []
        self._slots = 0
        """Connections that stand or are being made."""
        self._standing = 0
        self._waiting: deque[_Waiter] = deque()
        self._no_growth_until = 0.0
        self._failed_at: dict[Host, float] = {}
        self._last_error = ConnectError(Reply(451, "4.4.1", "Not connected yet"), "")
        self._probe = asyncio.Lock()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def is_blocked(self) -> bool:
        """Whether the circuit is open, and it is not time for a probe or one is under way."""
        return self._circuit.is_open and (self._probe.locked() or not self._circuit.is_probe_due)

    @property
    def stopped(self) -> Stopped | None:
        """Whether the circuit is open, and why."""
        return Stopped(self._circuit.open_for_s, str(self._last_error.reply)) if self._circuit.is_open else None

    async def acquire(self, limit: float, *, fresh: bool = False) -> SmtpConnection:
        """A connection that is ready, a kept one where there is one, unless `fresh` asks for a new one.

        Raises ConnectError where none can be had before `limit` (loop time).
        """
        if not self._waiting:
            kept = self._take_idle()
            if kept is not None and not fresh:
                return kept
            if kept is not None:
                self._drop(kept)
            if self._may_grow():
                self._slots += 1
                return await self._open(limit)
        return await self._wait(limit)

    def release(self, connection: SmtpConnection) -> None:
        """Give a connection back."""
        if not connection.is_usable or connection.messages >= self._hop.messages_per_connection:
            self._drop(connection)
        elif waiter := self._next_waiter():
            waiter.set_result(connection)
        elif self._is_closed:
            self._drop(connection)
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            connection.on_closed = self._idle_closed
            self._idle.append(connection)
            self._watch_idle()
        self._grow()

    async def close(self) -> None:
        """End the idle connections now and the others when they are released; deliveries under way still finish."""
        self._is_closed = True
        while (connection := self._take_idle()) is not None:
            self._drop(connection)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        await asyncio.gather(*self._closing)

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def _wait(self, limit: float, *, in_front: bool = False) -> SmtpConnection:
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._waiting.insert(0, waiter) if in_front else self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(limit):
                granted = await waiter
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                text = "No connection to the next hop became free in time"
                raise ConnectError(Reply(451, "4.4.5", text), "") from None
            raise
        if granted is None:
            return await self._open(limit)
        if granted.is_usable:
            return granted
        self._standing -= 1
        return await self._open(limit)

    def _leave(self, waiter: _Waiter) -> None:
        """Hand on what a waiter was granted in the moment when it gave up."""
        if not waiter.done() or waiter.cancelled():
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        elif (granted := waiter.result()) is not None:
            self.release(granted)
        else:
            self._free_slot()

    def _next_waiter(self) -> _Waiter | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _free_slot(self) -> None:
        """A slot came free: the longest waiting may connect."""
        self._slots -= 1
        self._grow()

    def _may_grow(self) -> bool:
        if self._slots >= self._hop.connections:
            return False
        return not self._slots or self._clock() >= self._no_growth_until

    def _grow(self) -> None:
        while self._waiting and self._may_grow():
            if (waiter := self._next_waiter()) is not None:
                self._slots += 1
                waiter.set_result(None)

    # --- opening -----------------------------------------------------------------------------------------------------

    async def _open(self, limit: float) -> SmtpConnection:
        """Connect, with a slot already taken.

        Where that fails while other connections stand, the remote probably limits their number: wait for one of them.
        """
        try:
            if self._circuit.is_open:
                return await self._open_by_probe(limit)
            return await self._open_counted(limit)
        except ConnectError:
            if not self._standing:
                self._free_slot()
                raise
            self._slots -= 1
            self._no_growth_until = self._clock() + NO_GROWTH_S
        except BaseException:
            self._free_slot()
            raise
        return self._take_idle() or await self._wait(limit, in_front=True)

    async def _open_by_probe(self, limit: float) -> SmtpConnection:
        """While the circuit is open one connection probes when it is time, and the others wait for what it finds."""
        try:
            async with asyncio.timeout_at(limit), self._probe:
                if not self._circuit.is_open:
                    pass
                elif self._circuit.is_probe_due:
                    return await self._open_counted(limit)
                else:
                    raise self._last_error
        except TimeoutError:
            raise self._last_error from None
        return await self._open_counted(limit)

    async def _open_counted(self, limit: float) -> SmtpConnection:
        was_probe = self._circuit.is_open
        try:
            connection = await self._open_any(limit)
        except ConnectError as error:
            self._last_error = error
            wait_s = None if self._standing else self._circuit.failed(was_probe=was_probe)
            if wait_s is not None:
                events.next_hop_stopped(self._hop.name, reason=str(error.reply), probe_in_s=wait_s)
            raise
        self._standing += 1
        if self._circuit.succeeded():
            events.next_hop_resumed(self._hop.name)
        return connection

    async def _open_any(self, limit: float) -> SmtpConnection:
        """The first host that gives a session, by preference."""
        error = self._last_error
        for host in self._hosts():
            try:
                connection = await self._connect(host, limit)
            except ConnectError as failed:
                error = failed
                self._failed_at[host] = self._clock()
            else:
                self._failed_at.pop(host, None)
                return connection
        raise error

    def _hosts(self) -> Sequence[Host]:
        if len(self._hop.hosts) == 1:
            return self._hop.hosts
        shunned_since = self._clock() - SHUN_HOST_S
        keys = {
            host: (self._failed_at.get(host, shunned_since) > shunned_since, host.preference, self._chance())
            for host in self._hop.hosts
        }
        return sorted(keys, key=lambda host: keys[host])

    # --- keeping and ending ------------------------------------------------------------------------------------------

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
