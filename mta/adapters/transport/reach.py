"""TCP to one of a server's addresses: the next one is tried beside it when one takes too long (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

STAGGER_S = 2.0
"""For so long an address has the field for itself."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A connection, and what was learnt on the way."""

    socket: socket.socket
    address: str
    used: frozenset[str]
    """The address that it is connected to, and those that failed before."""


async def reach(addresses: Sequence[str], port: int, timeout_s: float, *, stagger_s: float = STAGGER_S) -> Reached:
    """The first connection that stands, in the order of the addresses. Raises OSError: of the last that failed."""
    async with asyncio.timeout(timeout_s):
        if len(addresses) == 1:
            return Reached(await _connected(addresses[0], port), addresses[0], frozenset(addresses))
        return await _race(addresses, port, stagger_s)


async def _race(addresses: Sequence[str], port: int, stagger_s: float) -> Reached:
    waiting = list(addresses)
    running: dict[asyncio.Task[socket.socket], str] = {}
    failed: list[str] = []
    error: BaseException = TimeoutError()
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[asyncio.create_task(_connected(address, port))] = address
            patience_s = stagger_s if waiting else None
            done, _ = await asyncio.wait(running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address = running.pop(task)
                if (found := task.exception()) is None:
                    return Reached(task.result(), address, frozenset({address, *failed}))
                failed.append(address)
                error = found
    finally:
        for task in running:
            task.add_done_callback(_close)
            task.cancel()
    raise error


def _close(task: asyncio.Task[socket.socket]) -> None:
    """A connection that stood too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(address: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    [(family, kind, protocol, _, endpoint), *_] = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        await loop.sock_connect(made, endpoint)
    except BaseException:
        made.close()
        raise
    return made
