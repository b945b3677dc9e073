"""The servers of a next hop, in the order in which they are tried."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mta.adapters.transport.connect_errors import ConnectError, NoRouteError, words_of
from mta.adapters.transport.mail_exchangers import MailExchangers
from mta.config.delivery_schema import Host
from mta.model.reply import Reply

ADDRESSES_MAX = 10
"""Of one server."""
KNOWN_FOR_S = 10.0
"""How long the system's answer to a name is used: as many connections as are made at once ask only once."""


@dataclass(frozen=True, slots=True)
class Target:
    """One server. Without addresses, the system is asked for those of its name."""

    name: str
    port: int
    addresses: tuple[str, ...] = ()


Targets = Callable[[], Awaitable[Sequence[Target]]]
"""Raises ConnectError or NoRouteError where there are none."""


class ConfiguredTargets:
    """The hosts of a next hop of kind smtp."""

    def __init__(
        self,
        hosts: Sequence[Host],
        exchangers: MailExchangers | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._hosts = hosts
        self._exchangers = exchangers
        self._chance = chance

    async def __call__(self) -> Sequence[Target]:
        """By preference; a domain's servers by their own within its place. Equals in random order."""
        hosts = sorted(self._hosts, key=lambda host: (host.preference, self._chance()))
        targets: list[Target] = []
        error: ConnectError | None = None
        for host in hosts:
            if not host.mx:
                targets.append(Target(host.host.removeprefix("[").removesuffix("]"), host.port))
                continue
            assert self._exchangers is not None
            try:
                found = await self._exchangers.of(host.mx)
            except NoRouteError as failed:
                # The administrator has named this domain: it is no message's fault.
                error = ConnectError(Reply(451, "4.4.4", f"{host.mx}: {failed.reply.text}"), "")
            except ConnectError as failed:
                error = failed
            else:
                targets += [Target(server.name, host.port, server.addresses) for server in found]
        if not targets and error is not None:
            raise error
        return targets


class DomainTargets:
    """The mail servers of one domain."""

    def __init__(self, domain: str, port: int, exchangers: MailExchangers) -> None:
        self._domain = domain
        self._port = port
        self._exchangers = exchangers

    async def __call__(self) -> Sequence[Target]:
        found = await self._exchangers.of(self._domain)
        return [Target(server.name, self._port, server.addresses) for server in found]


class _SystemNames:
    """Asks the system for addresses, in threads of its own: a name server that hangs keeps nothing else waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="names")
        self._asked: dict[str, tuple[float, asyncio.Future[tuple[str, ...]]]] = {}

    async def addresses(self, name: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        asked = self._asked.get(name)
        if asked is None or asked[1].get_loop() is not loop or (asked[1].done() and asked[0] < loop.time()):
            asked = (loop.time() + KNOWN_FOR_S, loop.run_in_executor(self._threads, _addresses, name))
            asked[1].add_done_callback(_take_note)
            self._asked[name] = asked
        return await asyncio.shield(asked[1])


def _take_note(answer: asyncio.Future[tuple[str, ...]]) -> None:
    """An error that came when nobody waited any more is no news."""
    if not answer.cancelled():
        answer.exception()


def _addresses(name: str) -> tuple[str, ...]:
    """Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))[:ADDRESSES_MAX]


_system = _SystemNames()


async def addresses_of(target: Target, timeout_s: float) -> tuple[str, ...]:
    """Raises ConnectError."""
    if target.addresses:
        return target.addresses
    try:
        async with asyncio.timeout(timeout_s):
            return await _system.addresses(target.name)
    except (OSError, UnicodeError) as error:
        text = f"Can't find {target.name}: {words_of(error)}"
        raise ConnectError(Reply(451, "4.4.3", text), f"{target.name}:{target.port}") from error
