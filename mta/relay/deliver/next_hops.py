"""The transports in use, by the name of their next hop; a reload keeps those whose settings did not change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mta import events
from mta.config.schema import NextHop
from mta.ports.transport import Transport


class NextHops:
    """Built empty; `apply` fills it.

    `build` makes a transport from a next hop's settings (the composition root knows the adapters, this package does
    not); it may raise, then nothing changes.
    """

    def __init__(self, build: Callable[[NextHop], Transport]) -> None:
        self._build = build
        self._settings: dict[str, NextHop] = {}
        self._transports: dict[str, Transport] = {}
        self._default = ""

    def apply(self, settings: Sequence[NextHop], default: str) -> tuple[Transport, ...]:
        """Take over the configured next hops, whole or not at all; return the transports that went out of use.

        The caller closes those: deliveries under way on them still finish. Raises KeyError if `default` is not among
        the names, and whatever `build` raises.
        """
        wanted = {hop.name: hop for hop in settings}
        if default not in wanted:
            raise KeyError(default)
        transports = {
            name: self._transports[name] if self._settings.get(name) == value else self._build(value)
            for name, value in wanted.items()
        }
        gone = tuple(old for name, old in self._transports.items() if transports.get(name) is not old)
        self._settings, self._transports, self._default = wanted, transports, default
        return gone

    def transport(self, name: str) -> Transport:
        """The transport of a next hop; the default's, with a log line, where a reload took that name away."""
        found = self._transports.get(name)
        if found is None:
            events.next_hop_unknown(name, used=self._default)
            found = self._transports[self._default]
        return found

    def blocked(self) -> frozenset[str]:
        """Names of the next hops that should be left alone now."""
        return frozenset(name for name, transport in self._transports.items() if transport.is_blocked)

    async def close(self) -> None:
        """End all kept connections."""
        await asyncio.gather(*(transport.close() for transport in self._transports.values()))
