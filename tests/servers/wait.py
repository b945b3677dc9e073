"""Waiting for a condition, never for a length of time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeVar

T = TypeVar("T")

# Below those that the kernel gives to clients and to who asks for any port (ip_local_port_range), so that nobody gets
# one of them between choosing and listening, or while a server is down. Each process takes a block for itself.
_PORTS = range(10_000, 32_000)
_BLOCK = 250


def wait_until(condition: Callable[[], T], timeout_s: float, what: str | Callable[[], str]) -> T:
    """Call `condition` until it gives something true, and return that. Raises TimeoutError saying `what` never came."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            text = what if isinstance(what, str) else what()
            raise TimeoutError(f"not within {timeout_s:g} s: {text}")
        time.sleep(0.01)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now, and no other test will."""
    return next(_free_ports())


@cache
def _free_ports() -> Iterator[int]:
    """Ports of a block that no other process has, in turn."""
    return _in_turn(_own_block())


def _in_turn(block: range) -> Iterator[int]:
    while True:
        yield from filter(_is_free, block)


def _own_block() -> range:
    """A block of ports; an abstract socket, which ends with the process, keeps others from it."""
    for first in _PORTS[::_BLOCK]:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0stampline-tests-ports-{first}")
        except OSError:
            claim.close()
            continue
        claim.detach()
        return range(first, first + _BLOCK)
    raise OSError("all ports for tests are taken by other processes")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def greets(port: int) -> bool:
    """Whether an SMTP server says 220 there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            return connection.recv(512).startswith(b"220")
    except OSError:
        return False


def accepts(port: int) -> bool:
    """Whether anybody takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            return True
    except OSError:
        return False
