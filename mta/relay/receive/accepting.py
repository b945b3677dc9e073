"""From the listening socket to a session: PROXY header, admission, implicit TLS, in this order.

Admission is before the handshake, so that who may not connect costs us none.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from mta import events
from mta.relay.receive.access import in_networks, plain_ip
from mta.relay.receive.proxy_header import ProxyHeaderError, client_of, wanted
from mta.relay.receive.session import RelaySession

if TYPE_CHECKING:
    from mta.relay.receive.server import RelayListener

_BACKLOG = 1024
_AT_ONCE = 64
"""Connections accepted before others get their turn."""
_TOLD_EVERY_S = 60.0
_PAUSE_S = 1.0
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PROXY_HEADER_S = 5.0


class Acceptor:
    """Accepts on a bound socket, which it closes in the end, until it is stopped."""

    def __init__(self, listener: RelayListener, sock: socket.socket) -> None:
        self._listener = listener
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._tell_from = 0.0
        self._opening: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        self._loop.add_reader(sock, self._accept)

    def stop(self) -> None:
        """Accept no more, and give up connections that are no sessions yet."""
        if self._resume is not None:
            self._resume.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                if exc.errno in _OUT_OF_RESOURCES:
                    self._pause(exc)
                    return
                continue  # the client has left already
            connection.setblocking(False)
            task = self._loop.create_task(self._open(connection, plain_ip(peer[0]), peer[1]))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _pause(self, error: OSError) -> None:
        """Connections wait in the kernel's queue meanwhile."""
        if self._loop.time() >= self._tell_from:
            self._tell_from = self._loop.time() + _TOLD_EVERY_S
            events.accept_failed(self._listener.settings.name, error=str(error))
        self._loop.remove_reader(self._sock)
        self._resume = self._loop.call_later(_PAUSE_S, self._loop.add_reader, self._sock, self._accept)

    async def _open(self, connection: socket.socket, ip: str, port: int) -> None:
        listener = self._listener
        session = RelaySession(listener, self._loop, ip, port)
        is_admitted = False
        try:
            if not await self._read_proxy_header(session, connection):
                return
            refusal = listener.admit(session)
            if refusal is not None:
                if not session.settings.tls_implicit:
                    connection.send(refusal)
                return
            is_admitted = True
            await self._connect(session, connection)
        except OSError:
            return  # the client has left already
        finally:
            if session.task is None:
                connection.close()
                if is_admitted:
                    listener.leave(session)

    async def _connect(self, session: RelaySession, connection: socket.socket) -> None:
        settings = session.settings
        if not settings.tls_implicit:
            await self._loop.connect_accepted_socket(lambda: session, connection)
            return
        try:
            await self._loop.connect_accepted_socket(
                lambda: session, connection, ssl=settings.ssl_context, ssl_handshake_timeout=session.handshake_s
            )
        except OSError as exc:  # ssl.SSLError is one
            session.tls_failed(exc)

    async def _read_proxy_header(self, session: RelaySession, connection: socket.socket) -> bool:
        """Learn from a load balancer who its client is; False where it doesn't say so as it must."""
        networks = session.settings.proxy_networks
        if not networks or not in_networks(session.ip, networks):
            return True
        header = b""
        try:
            async with asyncio.timeout(_PROXY_HEADER_S):
                while octets := wanted(header):
                    more = await self._loop.sock_recv(connection, octets)
                    if not more:
                        raise ProxyHeaderError("no PROXY header")
                    header += more
            client = client_of(header)
        except (ProxyHeaderError, TimeoutError) as exc:
            reason = str(exc) or "no PROXY header in time"
            events.connection_refused(session.settings.name, client=session.ip, reason=reason)
            return False
        session.balancer = session.ip
        if client is None:
            session.is_balancer = True
        else:
            session.ip, session.port = client
        return True
