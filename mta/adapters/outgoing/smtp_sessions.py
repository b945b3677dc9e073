"""Connections to one submission server: opened under TLS, signed in, and kept for the mails that follow soon.

aiosmtplib speaks. STARTTLS is required where it is configured: without it nobody signs in and nothing is sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiosmtplib

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.tls import client_context
from mta.adapters.mailbox.tokens import Tokens, open_tokens
from mta.adapters.transport.smtp_auth import Credentials
from mta.config.mailbox_schema import OAuth
from mta.config.tracking_schema import SmtpAccount
from mta.model import task_reasons as reasons
from mta.model.printable import in_a_line
from mta.ports.task_errors import TargetDownError

KEPT_FOR_S = 5.0
"""How long a connection waits for another mail."""
MAILS_MAX = 100
"""Of one connection."""
_KEPT_MAX = 4
_PORTS = {"implicit": 465, "starttls": 587, "none": 25}
_QUIT_WITHIN_S = 5.0
_SAID_MAX = 200


@dataclass(eq=False, slots=True)
class Session:
    """A connection that was let in."""

    client: aiosmtplib.SMTP
    mails: int = 0
    """That went over it."""
    end_at: asyncio.TimerHandle | None = None


class Sessions:
    """Those of one account."""

    def __init__(self, settings: SmtpAccount, *, hostname: str) -> None:
        """Raises OSError or KeyError where a secret or the CA file can't be read."""
        self._settings = settings
        self._hostname = hostname
        self._port = settings.port or _PORTS[settings.tls.mode]
        self._timeout_s = settings.timeout.total_seconds()
        self._context = None
        if settings.tls.mode != "none":
            self._context = client_context(settings.tls)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._credentials = None
        if settings.user and settings.password is not None:
            self._credentials = Credentials(settings.user, settings.password.read())
        self._tokens: Tokens | None = None
        if settings.user and settings.oauth is not None:
            cloud = settings.oauth.cloud if isinstance(settings.oauth, OAuth) else "global"
            self._tokens = open_tokens(settings.oauth, scope=CLOUDS[cloud].exchange_scope, trust=settings.tls)
        self._kept: list[Session] = []
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def place(self) -> str:
        return f"{self._settings.host} port {self._port}"

    async def close(self) -> None:
        while self._kept:
            self._end(self._kept.pop())
        await asyncio.gather(*self._ending)
        if self._tokens is not None:
            self._tokens.close()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Session]:
        """A new one, kept afterwards unless an error comes out of it."""
        session = await self._opened()
        async with self._used(session):
            yield session

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Session | None]:
        """One that has served already; None where there is none."""
        session = self._kept.pop() if self._kept else None
        if session is None:
            yield None
            return
        if session.end_at is not None:
            session.end_at.cancel()
        async with self._used(session):
            yield session

    # --- kept and ended -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _used(self, session: Session) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            await _broken_off(session.client)
            raise
        session.mails += 1
        if session.mails >= MAILS_MAX or len(self._kept) >= _KEPT_MAX or not session.client.is_connected:
            self._end(session)
            return
        self._kept.append(session)
        session.end_at = asyncio.get_running_loop().call_later(KEPT_FOR_S, self._let_go, session)

    def _let_go(self, session: Session) -> None:
        if session in self._kept:
            self._kept.remove(session)
            self._end(session)

    def _end(self, session: Session) -> None:
        """In its own time: nobody waits for the server's word."""
        if session.end_at is not None:
            session.end_at.cancel()
        ending = asyncio.create_task(_quit(session.client))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    # --- opened -------------------------------------------------------------------------------------------------------

    async def _opened(self) -> Session:
        mode, name = self._settings.tls.mode, self._settings.tls.verify_name or self._settings.host
        client = aiosmtplib.SMTP(
            hostname=name, sock=await self._connected(), local_hostname=self._hostname, timeout=self._timeout_s,
            use_tls=mode == "implicit", start_tls=False, tls_context=self._context,
        )  # fmt: skip
        try:
            await client.connect()
            await client.ehlo()
            if mode == "starttls":
                if not client.supports_extension("starttls"):
                    raise TargetDownError(reasons.TLS_FAILED, f"{self.place} offers no STARTTLS")
                await client.starttls(server_hostname=name)
                await client.ehlo()
            await self._authenticate(client)
        except BaseException:
            await _broken_off(client)
            raise
        return Session(client)

    async def _connected(self) -> socket.socket:
        """By ourselves, so that the certificate may be verified for another name than the host's."""
        loop = asyncio.get_running_loop()
        error: OSError = ConnectionError("no address")
        async with asyncio.timeout(self._timeout_s):
            for family, kind, protocol, _, address in await loop.getaddrinfo(
                self._settings.host, self._port, type=socket.SOCK_STREAM
            ):
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, address)
                except OSError as exc:
                    sock.close()
                    error = exc
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
        raise error

    async def _authenticate(self, client: aiosmtplib.SMTP) -> None:
        """Once: another failure would bring the account nearer to being locked."""
        methods = set(client.server_auth_methods)
        try:
            if self._tokens is not None:
                if "xoauth2" not in methods:
                    raise TargetDownError(reasons.SIGN_IN, f"{self.place} doesn't offer AUTH XOAUTH2")
                token = await self._tokens.token()
                try:
                    await client.auth_xoauth2(self._settings.user, token)
                except aiosmtplib.SMTPAuthenticationError:
                    self._tokens.forget(token)
                    raise
            elif self._credentials is not None:
                if not methods & {"plain", "login"}:
                    raise TargetDownError(reasons.SIGN_IN, f"{self.place} offers neither AUTH PLAIN nor LOGIN")
                authenticate = client.auth_plain if "plain" in methods else client.auth_login
                await authenticate(self._credentials.user, self._credentials.password)
        except aiosmtplib.SMTPAuthenticationError as exc:
            told = self._credentials.taken_out_of(said(exc)) if self._credentials is not None else str(exc.code)
            reason = reasons.BUSY if 400 <= exc.code < 500 else reasons.SIGN_IN
            raise TargetDownError(reason, f"{self._settings.user}: {told}") from exc


async def _quit(client: aiosmtplib.SMTP) -> None:
    transport = client.transport
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=_QUIT_WITHIN_S)
    client.close()
    await _let_go_of(transport)


async def _broken_off(client: aiosmtplib.SMTP) -> None:
    transport = client.transport
    client.close()
    await _let_go_of(transport)


async def _let_go_of(transport: asyncio.BaseTransport | None) -> None:
    """Without waiting for the server's last word of TLS, so that nothing is left open."""
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
        await asyncio.sleep(0)  # it is done in the loop's next round


def said(exc: aiosmtplib.SMTPResponseException) -> str:
    """A server's answer in a line."""
    return in_a_line(f"{exc.code} {exc.message}", _SAID_MAX)
