"""The transports in use, by the name of their next hop; a reload keeps those whose settings did not change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from mta import events
from mta.config.delivery_schema import MaildirHop, MxHop, NextHop
from mta.model.next_hop import NextHopName
from mta.ports.transport import Stopped, Transport


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
        wanted = NextHopName.parse(name)
        hop = wanted.hop
        if hop not in self._settings:
            events.next_hop_unknown(name, used=self._default)
            hop = self._default
        return self._verified(hop) if wanted.over_tls else self._transports[hop]

    def is_direct(self, name: str) -> bool:
        """Whether it delivers to servers of strangers, by their MX records."""
        hop = NextHopName.parse(name).hop
        return isinstance(self._settings.get(hop, self._settings[self._default]), MxHop)

    def _verified(self, hop: str) -> Transport:
        settings = self._settings[hop]
        if isinstance(settings, MaildirHop) or self._is_over_tls_anyway(hop):
            return self._transports[hop]
        if hop not in self._over_tls:
            tls = settings.tls.model_copy(update={"mode": "required"})
            self._over_tls[hop] = self._build(settings.model_copy(update={"tls": tls}))
        return self._over_tls[hop]

    def _is_over_tls_anyway(self, hop: str) -> bool:
        settings = self._settings[hop]
        return not isinstance(settings, MaildirHop) and settings.tls.mode == "required"

    def is_blocked(self, name: str) -> bool:
        """Whether it should be left alone now."""
        wanted = NextHopName.parse(name)
        found = self._over_tls.get(wanted.hop) if wanted.over_tls else None
        found = found or self._transports.get(wanted.hop)
        return found is not None and found.is_blocked(wanted.domain)

    def blocked(self) -> frozenset[str]:
        """Names of the next hops that should be left alone now, as the queue has them."""
        return frozenset(
            str(NextHopName(hop, domain, over_tls))
            for hop, over_tls, transport in self._each()
            for domain in transport.blocked()
        )

    def stopped(self) -> Mapping[str, Stopped]:
        """The next hops whose circuits are open, by their names in the queue; thousands where many domains are down."""
        return {
            str(NextHopName(hop, domain, over_tls)): state
            for hop, over_tls, transport in self._each()
            for domain, state in transport.stopped().items()
        }

    def _each(self) -> Iterator[tuple[str, bool, Transport]]:
        """(next hop, whether over verified TLS, transport); what requires TLS anyway goes by both names."""
        for hop, transport in self._transports.items():
            yield hop, False, transport
            if self._is_over_tls_anyway(hop):
                yield hop, True, transport
        for hop, transport in self._over_tls.items():
            yield hop, True, transport

    async def close(self) -> None:
        """End all kept connections."""
        every = (*self._transports.values(), *self._over_tls.values())
        await asyncio.gather(*(transport.close() for transport in every))
