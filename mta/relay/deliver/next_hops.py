"""The transports in use, by the name of their next hop; a reload keeps those whose settings did not change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mta import events
from mta.config.delivery_schema import NextHop, SmtpHop
from mta.model.delivery import VERIFIED_TLS
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
        self._over_tls: dict[str, Transport] = {}
        """Made when a rule first required TLS: next hop → the same over verified TLS only."""

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
        changed = [name for name in self._over_tls if self._settings[name] != wanted.get(name)]
        gone += tuple(self._over_tls.pop(name) for name in changed)
        self._settings, self._transports, self._default = wanted, transports, default
        return gone

    def transport(self, name: str) -> Transport:
        """The transport of a next hop; the default's, with a log line, where a reload took that name away.

        With `VERIFIED_TLS` behind the name it is the same next hop over TLS with a verified certificate, or not at all.
        A Maildir is on this machine, and needs none.
        """
        if name.endswith(VERIFIED_TLS):
            return self._verified(name.removesuffix(VERIFIED_TLS))
        found = self._transports.get(name)
        if found is None:
            events.next_hop_unknown(name, used=self._default)
            found = self._transports[self._default]
        return found

    def _verified(self, name: str) -> Transport:
        settings = self._settings.get(name)
        if settings is None:
            events.next_hop_unknown(name, used=self._default)
            name, settings = self._default, self._settings[self._default]
        if not isinstance(settings, SmtpHop) or settings.tls.mode == "required":
            return self._transports[name]
        if name not in self._over_tls:
            tls = settings.tls.model_copy(update={"mode": "required"})
            self._over_tls[name] = self._build(settings.model_copy(update={"tls": tls}))
        return self._over_tls[name]

    def blocked(self) -> frozenset[str]:
        """Names of the next hops that should be left alone now."""
        blocked = {name for name, transport in self._transports.items() if transport.is_blocked}
        blocked.update(name + VERIFIED_TLS for name, transport in self._over_tls.items() if transport.is_blocked)
        return frozenset(blocked)

    async def close(self) -> None:
        """End all kept connections."""
        every = (*self._transports.values(), *self._over_tls.values())
        await asyncio.gather(*(transport.close() for transport in every))
