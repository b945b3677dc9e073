"""The listening socket and its sessions, in one worker process."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mta import events
from mta.config.accounts_file import Account
from mta.config.listener_schema import Listener
from mta.model.address import Address
from mta.relay.receive import replies
from mta.relay.receive.accepting import Acceptor
from mta.relay.receive.access import counting_key
from mta.relay.receive.connection import Connection
from mta.relay.receive.counters import Counters
from mta.relay.receive.receiver import Receiver
from mta.relay.receive.settings import listener_settings
from mta.shared_counts import SharedCounts

if TYPE_CHECKING:
    from mta.relay.receive.sign_in import SignIn

_CROWDED_FROM, _CROWDED_UP_TO = 0.8, 0.7
"""Of the connections that there may be: from where on little patience is left, and from where on there is again."""
_CROWDED_IDLE_S = 10.0


class RelayListener:
    """One listener of the configuration. Runs on asyncio's loop and on uvloop.

    `accepted_domains` holds domain keys (lower-case A-labels); `postmaster` is whom RCPT TO:<postmaster> means;
    `accounts` are those that may sign in, None where nobody may. What is limited is counted in `counts`, by default for
    this process alone. Raises ValueError where TLS is offered without a context.
    """

    def __init__(
        self,
        listener: Listener,
        hostname: str,
        receiver: Receiver,
        ssl_context: ssl.SSLContext | None = None,
        *,
        accepted_domains: frozenset[str] = frozenset(),
        postmaster: Address | None = None,
        smtputf8: bool = True,
        accounts: Mapping[str, Account] | None = None,
        counts: SharedCounts | None = None,
    ) -> None:
        self.receiver = receiver
        self.counters = Counters(counts or SharedCounts.private(), listener.name)
        self.sign_in: SignIn | None = None
        self.sessions: set[Connection] = set()
        self.address = ("", 0)
        """Where it listens, once it does."""
        self._listener = listener
        self._acceptor: Acceptor | None = None
        self._is_crowded = False
        self._stopping = False
        self.reconfigure(
            listener, hostname, ssl_context, accepted_domains=accepted_domains, postmaster=postmaster,
            smtputf8=smtputf8, accounts=accounts,
        )  # fmt: skip

    def reconfigure(
        self,
        listener: Listener,
        hostname: str,
        ssl_context: ssl.SSLContext | None = None,
        *,
        accepted_domains: frozenset[str] = frozenset(),
        postmaster: Address | None = None,
        smtputf8: bool = True,
        accounts: Mapping[str, Account] | None = None,
    ) -> None:
        """Take up a new configuration (not its address and port): for new sessions, and running ones' next message."""
        self.settings = listener_settings(
            listener,
            hostname,
            ssl_context=ssl_context,
            accepted_domains=accepted_domains,
            postmaster=postmaster or Address("postmaster", hostname),
            smtputf8=smtputf8,
        )
        self._take_accounts(accounts)

    def renew(self, ssl_context: ssl.SSLContext | None, accounts: Mapping[str, Account] | None) -> None:
        """Take up changed certificates and accounts: for new sessions, and running ones' next message."""
        self.settings = replace(self.settings, ssl_context=ssl_context)
        self._take_accounts(accounts)

    def _take_accounts(self, accounts: Mapping[str, Account] | None) -> None:
        if accounts is None:
            self.sign_in = None
        elif self.sign_in is not None:
            self.sign_in.replace(accounts)
        else:
            from mta.relay.receive.sign_in import SignIn  # its libraries take a while to load

            self.sign_in = SignIn(accounts, self.counters.shared, self.settings.name)

    async def start(self, sock: socket.socket | None = None) -> None:
        """Listen on `sock` (bound, perhaps shared with other workers), else on the configured address and port.

        Raises OSError where the address can't be had.
        """
        if sock is None:
            endpoint = (self._listener.address, self._listener.port)
            family = socket.AF_INET6 if ":" in self._listener.address else socket.AF_INET
            sock = socket.create_server(endpoint, family=family)
        address, port = self.address = sock.getsockname()[:2]
        self._acceptor = Acceptor(self, sock)
        events.listening(
            self.settings.name, address=address, port=port, role=self.settings.role.value, tls=self._listener.tls.mode
        )

    async def stop(self, drain_s: float) -> int:
        """Accept no more; end idle sessions with 421; let messages on their way in finish for `drain_s` seconds.

        Returns how many sessions were cut off after that.
        """
        self._stopping = True
        if self._acceptor is not None:
            self._acceptor.stop()
        for session in self.sessions:
            session.drain()
        tasks = {session.task: session for session in self.sessions if session.task is not None}
        if not tasks:
            return 0
        _, late = await asyncio.wait(tasks, timeout=drain_s)
        for task in late:
            tasks[task].abort()
        if late:
            await asyncio.wait(late)
        return len(late)

    def admit(self, session: Connection) -> bytes | None:
        """Count a session in, or say why not."""
        settings = self.settings
        reason, reply = "", replies.NOT_ALLOWED
        if self._stopping:
            return replies.SHUTTING_DOWN
        if (turned_away := self.receiver.turned_away()) is not None:
            return replies.encode(turned_away)
        if not session.is_balancer and not settings.policy.may_connect(session.ip):
            reason = "not in the allowed networks"
        else:
            reply = replies.BUSY
            reason = self.counters.enter(
                counting_key(session.ip), connections=settings.connections, per_client=settings.connections_per_client
            )
        if reason:
            events.connection_refused(settings.name, client=session.ip, reason=reason)
            return reply
        self.sessions.add(session)
        self._take_stock()
        return None

    def patience_s(self, idle_s: float) -> float:
        """How long clients may pause now, where they otherwise may for `idle_s`."""
        return min(idle_s, _CROWDED_IDLE_S) if self._is_crowded else idle_s

    def _take_stock(self) -> None:
        """Few places are left: who says nothing gives his up soon, so that idle clients can't keep others out."""
        taken = self.counters.all_connections / self.settings.connections
        if not self._is_crowded and taken > _CROWDED_FROM:
            self._is_crowded = True
            events.crowded(self.settings.name, connections=self.counters.all_connections, idle_s=_CROWDED_IDLE_S)
            for session in self.sessions:
                session.hurry(_CROWDED_IDLE_S)
        elif self._is_crowded and taken < _CROWDED_UP_TO:
            self._is_crowded = False

    def leave(self, session: Connection) -> None:
        """Count a session out."""
        self.sessions.discard(session)
        self.counters.leave(counting_key(session.ip))
        self._take_stock()
