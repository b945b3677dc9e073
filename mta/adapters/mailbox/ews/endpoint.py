"""One sign-in at EWS: its addresses, the connections there, and the threads in which requests run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mta.adapters.mailbox.ews.autodiscover import Autodiscover
from mta.adapters.mailbox.ews.calls import Answer, Caller, call
from mta.adapters.mailbox.ews.connection import Connections
from mta.adapters.mailbox.ews.names import Element
from mta.adapters.mailbox.ews.sign_in import Doorkeeper, SignIn
from mta.adapters.mailbox.tls import client_context
from mta.config.mailbox_schema import EwsMailboxes
from mta.config.tracking_schema import EwsMailbox
from mta.ports.mailbox import EndpointDownError, SignInError

_T = TypeVar("_T")
_MOST_ADDRESSES = 16
"""Of EWS, by Autodiscover; an organisation has one for each site at most."""
_VERSIONS = {
    "15.0": "Exchange 2013",
    "15.1": "Exchange 2016",
    "15.2": "Exchange 2019 or later",
    "15.20": "Exchange Online",
}


class Endpoint:
    """Keeps no state of mailboxes, so that it takes no more memory for many of them."""

    def __init__(self, settings: EwsMailboxes | EwsMailbox, *, connections: int, impersonates: bool) -> None:
        """Asks no server. Raises OSError or KeyError if a secret or a file can't be read."""
        self._settings = settings
        self._most = connections
        self._impersonates = impersonates
        self._context = client_context(settings.tls)
        self._sign_in = SignIn(settings)
        self._door = Doorkeeper()
        self._is_closing = False
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix=f"ews-{settings.name}")
        self._lock = threading.Lock()
        self._places: dict[str, Connections] = {}
        self._autodiscover = None if settings.url else Autodiscover(settings.autodiscover, self._connect)

    async def run(self, ask: Callable[[], _T]) -> _T:
        """`ask` in a thread, where it may `call`; a request that outstays its time there is broken off."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, ask)
        try:
            while not (await asyncio.wait({future}, timeout=self._settings.timeout.total_seconds()))[0]:
                with self._lock:
                    places = list(self._places.values())
                for connections in places:
                    connections.interrupt(only_overdue=True)
        except asyncio.CancelledError:
            future.cancel()
            raise
        return future.result()

    def call(
        self, mailbox: str, request: Element, *, large: bytes = b"", most_octets: int | None = None,
        optional_from: int | None = None,
    ) -> Answer:  # fmt: skip
        """As `calls.call`; a token that is not taken is replaced once."""
        caller = Caller(mailbox, self._connections(mailbox), impersonate=self._impersonates)

        def ask() -> Answer:
            if self._is_closing:
                raise EndpointDownError("closing", "nothing is asked any more")
            try:
                return call(caller, request, large=large, most_octets=most_octets, optional_from=optional_from)
            except SignInError as exc:
                if exc.code != "401" or not self._sign_in.renew():
                    raise
            return call(caller, request, large=large, most_octets=most_octets, optional_from=optional_from)

        return self._door.pass_through(ask)

    def hang_up(self) -> None:
        """End the connections, where no request is under way; the next request makes new ones."""
        with self._lock:
            places, self._places = list(self._places.values()), {}
        for connections in places:
            connections.close()

    async def close(self) -> None:
        """Requests under way are broken off."""
        self._is_closing = True
        with self._lock:
            places = list(self._places.values())
        self._threads.shutdown(wait=False, cancel_futures=True)
        for connections in places:
            connections.interrupt(only_overdue=False)
        await asyncio.to_thread(self._threads.shutdown)
        for connections in places:
            connections.close()
        self._sign_in.close()

    def _connections(self, mailbox: str) -> Connections:
        url = self._settings.url or (self._autodiscover.ews_url(mailbox) if self._autodiscover else "")
        with self._lock:
            if url not in self._places:
                if len(self._places) >= _MOST_ADDRESSES:
                    raise EndpointDownError("autodiscover", f"names more than {_MOST_ADDRESSES} addresses of EWS")
                self._places[url] = self._connect(url)
            return self._places[url]

    def _connect(self, url: str) -> Connections:
        return Connections(
            url, auth=self._sign_in.auth, context=self._context, connections=self._most,
            timeout_s=self._settings.timeout.total_seconds(),
        )  # fmt: skip


def product(answer: Answer) -> str:
    """What answered, for an administrator."""
    name = _VERSIONS.get(".".join(answer.server.split(".")[:2]), "EWS")
    return f"{name} ({answer.server or 'version not told'})"
