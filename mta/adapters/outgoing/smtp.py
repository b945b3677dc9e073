"""Mails by SMTP submission (RFC 6409, or a relay), a connection for each; aiosmtplib speaks.

STARTTLS is required where it is configured: without it nothing is sent. What comes back after the whole message was
sent, and is no answer, leaves it unknown whether it was taken: it goes out again, at least once for each recipient.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiosmtplib

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.tls import client_context, tls_failure
from mta.adapters.mailbox.tokens import Tokens, open_tokens
from mta.adapters.outgoing.errors import task_error_of
from mta.adapters.outgoing.wire import Wire, wire_of
from mta.adapters.transport.smtp_auth import Credentials
from mta.config.mailbox_schema import OAuth
from mta.config.tracking_schema import SmtpAccount
from mta.model import task_reasons as reasons
from mta.model.printable import in_a_line
from mta.ports.mailbox import MailboxError
from mta.ports.outgoing import OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError

_PORTS = {"implicit": 465, "starttls": 587, "none": 25}
_SLOWEST = 20_000
"""Octets in a second, below which it takes too long."""
_STEPS = 6
"""Timeouts that a dialogue may take in all, apart from the message itself."""
_QUIT_WITHIN_S = 5.0
_SAID_MAX = 200
_AUTH_FIRST = frozenset({530, 534, 535, 538})


class SmtpSender:
    """Fulfils `mta.ports.outgoing.MailAccount`."""

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

    async def sign_in(self) -> str:
        """As the port says."""
        async with self._bounded(0), self._client() as client:
            tls = client.get_transport_info("ssl_object")
            how = f"{tls.version()}" if tls is not None else "without TLS"
            who = f", signed in as {self._settings.user}" if self._settings.user else ""
            return f"{self._place} answers, {how}{who}"

    async def send(self, mail: OutgoingMail) -> Sent:
        """As the port says."""
        async with self._bounded(len(mail.message)), self._client() as client:
            wire = wire_of(mail, client)
            await client.mail(mail.sender, options=wire.mail_options, encoding=wire.encoding)
            sent = await self._recipients(client, mail, wire)
            await self._data(client, wire)
            return sent

    async def close(self) -> None:
        if self._tokens is not None:
            self._tokens.close()

    @property
    def _place(self) -> str:
        return f"{self._settings.host} port {self._port}"

    async def _recipients(self, client: aiosmtplib.SMTP, mail: OutgoingMail, wire: Wire) -> Sent:
        """Whom the server won't have. Raises TryAgainError or RefusedTaskError where that is everybody."""
        deferred: dict[str, str] = {}
        refused = dict(wire.unsendable)
        for recipient in mail.recipients:
            if recipient in refused:
                continue
            try:
                await client.rcpt(recipient, encoding=wire.encoding)
            except aiosmtplib.SMTPRecipientRefused as exc:
                (deferred if exc.code < 500 else refused)[recipient] = _said(exc)
        if len(deferred) + len(refused) < len(mail.recipients):
            return Sent(deferred, refused)
        told = next(iter((deferred or refused).values()))
        if deferred:
            raise TryAgainError(reasons.DEFERRED, told)
        raise RefusedTaskError(reasons.REFUSED, told)

    async def _data(self, client: aiosmtplib.SMTP, wire: Wire) -> None:
        try:
            await client.data(wire.message)
        except aiosmtplib.SMTPDataError:
            raise
        except (aiosmtplib.SMTPException, OSError) as exc:
            detail = f"{self._place}: {type(exc).__name__} after the message"
            raise TryAgainError(reasons.OUTCOME_UNKNOWN, detail) from exc

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Connected, under TLS as configured, signed in; ended afterwards."""
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
                    raise TargetDownError(reasons.TLS_FAILED, f"{self._place} offers no STARTTLS")
                await client.starttls(server_hostname=name)
                await client.ehlo()
            await self._authenticate(client)
            yield client
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_QUIT_WITHIN_S)
        finally:
            client.close()

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
                    raise TargetDownError(reasons.SIGN_IN, f"{self._place} doesn't offer AUTH XOAUTH2")
                token = await self._tokens.token()
                try:
                    await client.auth_xoauth2(self._settings.user, token)
                except aiosmtplib.SMTPAuthenticationError:
                    self._tokens.forget(token)
                    raise
            elif self._credentials is not None:
                if not methods & {"plain", "login"}:
                    raise TargetDownError(reasons.SIGN_IN, f"{self._place} offers neither AUTH PLAIN nor LOGIN")
                authenticate = client.auth_plain if "plain" in methods else client.auth_login
                await authenticate(self._credentials.user, self._credentials.password)
        except aiosmtplib.SMTPAuthenticationError as exc:
            said = self._credentials.taken_out_of(_said(exc)) if self._credentials is not None else str(exc.code)
            reason = reasons.BUSY if 400 <= exc.code < 500 else reasons.SIGN_IN
            raise TargetDownError(reason, f"{self._settings.user}: {said}") from exc

    @asynccontextmanager
    async def _bounded(self, octets: int) -> AsyncIterator[None]:
        """In time, and with errors of the port."""
        try:
            async with asyncio.timeout(_STEPS * self._timeout_s + octets / _SLOWEST):
                yield
        except TaskError:
            raise
        except MailboxError as exc:
            raise task_error_of(exc) from exc
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:  # a TimeoutError is an OSError
            raise self._error_of(exc) from exc

    def _error_of(self, exc: Exception) -> TaskError:
        if isinstance(exc, aiosmtplib.SMTPResponseException) and exc.code > 0:
            if exc.code == 421:
                return TargetDownError(reasons.BUSY, _said(exc))
            if isinstance(exc, aiosmtplib.SMTPConnectResponseError | aiosmtplib.SMTPHeloError):
                return TargetDownError(reasons.BUSY if exc.code < 500 else reasons.BAD_ANSWER, _said(exc))
            if exc.code in _AUTH_FIRST:
                return TargetDownError(reasons.SIGN_IN, _said(exc))
            if exc.code == 552:
                return RefusedTaskError(reasons.TOO_LARGE, _said(exc))
            kind = RefusedTaskError if exc.code >= 500 else TryAgainError
            return kind(reasons.REFUSED if exc.code >= 500 else reasons.DEFERRED, _said(exc))
        if (failure := tls_failure(exc)) is not None:
            return TargetDownError(reasons.TLS_FAILED, in_a_line(f"{self._place}: {failure}", _SAID_MAX))
        if isinstance(exc, TimeoutError):
            return TargetDownError(reasons.TIMEOUT, f"{self._place} doesn't answer in time")
        if isinstance(exc, OSError):
            why = exc.strerror or type(exc).__name__
            return TargetDownError(reasons.UNREACHABLE, in_a_line(f"{self._place}: {why}", _SAID_MAX))
        return TargetDownError(reasons.BAD_ANSWER, f"{self._place}: {type(exc).__name__}")


def _said(exc: aiosmtplib.SMTPResponseException) -> str:
    return in_a_line(f"{exc.code} {exc.message}", _SAID_MAX)
