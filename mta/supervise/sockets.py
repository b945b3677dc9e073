"""Listening sockets: one for each listener and worker slot, held by the supervisor."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping, Sequence

from mta.config.listener_schema import Listener

TAKEN_WAIT_S = 5.0
"""How long a taken port is tried again: workers of a supervisor that was killed need a moment to let go of it."""


class PortTakenError(Exception):
    """Another program listens there; the text names address and port."""


def free_ports(listeners: Sequence[Listener]) -> dict[str, int]:
    """The port of each listener by name, after a look that nobody else has it; port 0 becomes a free one.

    SO_REUSEPORT alone would let a second supervisor share our mail in silence. Blocks up to TAKEN_WAIT_S.
    Raises PortTakenError, or OSError for an address that is not ours or a port that we may not have.
    """
    deadline = time.monotonic() + TAKEN_WAIT_S
    ports: dict[str, int] = {}
    for listener in listeners:
        while True:
            try:
                with _bound(listener, listener.port, reuse_port=False) as probe:
                    ports[listener.name] = probe.getsockname()[1]
                break
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise
                if time.monotonic() >= deadline:
                    raise PortTakenError(
                        f"{listener.address} port {listener.port} is taken by another program"
                    ) from exc
            time.sleep(0.05)
    return ports


class SlotSockets:
    """The sockets of one worker slot. They are bound here; it is the worker that calls `listen()`."""

    def __init__(self, listeners: Sequence[Listener], ports: Mapping[str, int]) -> None:
        self._listeners = listeners
        self._ports = ports
        self._sockets: dict[str, socket.socket] = {}

    def fds(self) -> dict[str, int]:
        """Descriptor by listener name; bound now where they were closed. Raises OSError."""
        for listener in self._listeners:
            if listener.name not in self._sockets:
                self._sockets[listener.name] = _bound(listener, self._ports[listener.name], reuse_port=True)
        return {name: end.fileno() for name, end in self._sockets.items()}

    def close(self) -> None:
        """Let go of the ports: connections that wait for this slot are reset, new ones go to the other slots."""
        for end in self._sockets.values():
            end.close()
        self._sockets.clear()


def _bound(listener: Listener, port: int, *, reuse_port: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        listener.address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    end = socket.socket(family, kind, protocol)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        end.bind(address)
    except OSError:
        end.close()
        raise
    return end
