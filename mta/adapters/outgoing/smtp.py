"""Mails by SMTP submission (RFC 6409, or a relay).

What comes back after the whole message was sent, and is no answer, leaves it unknown whether it was taken: it goes out
again, at least once for each recipient.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiosmtplib

from mta.adapters.mailbox.tls import tls_failure
from mta.adapters.outgoing.errors import task_error_of
from mta.adapters.outgoing.smtp_sessions import Sessions, said
from mta.adapters.outgoing.wire import Wire, wire_of
from mta.config.tracking_schema import SmtpAccount
from mta.model import task_reasons as reasons
from mta.model.printable import in_a_line
from mta.ports.mailbox import MailboxError
from mta.ports.outgoing import OutgoingMail, Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError

_SLOWEST = 20_000
"""Octets in a second, below which it takes too long."""
_STEPS = 6
"""Timeouts that a dialogue may take in all, apart from the message itself."""
_SAID_MAX = 200
_AUTH_FIRST = frozenset({530, 534, 535, 538})


class _OverError(Exception):
    """The connection ended before the mail began."""


class SmtpSender:
    """Fulfils `mta.ports.outgoing.MailAccount`."""

    def __init__(self, settings: SmtpAccount, *, hostname: str) -> None:
        """Raises OSError or KeyError where a secret or the CA file can't be read."""
        self._settings = settings
        self._timeout_s = settings.timeout.total_seconds()
        self._sessions = Sessions(settings, hostname=hostname)

    async def sign_in(self) -> str:
        """As the port says."""
        async with self._bounded(0), self._sessions.another() as session:
            tls = session.client.get_transport_info("ssl_object")
            how = f"{tls.version()}" if tls is not None else "without TLS"
            who = f", signed in as {self._settings.user}" if self._settings.user else ""
            return f"{self._sessions.place} answers, {how}{who}"

    async def send(self, mail: OutgoingMail) -> Sent:
        """As the port says. A server may end a connection that waits: then nothing was sent, and a new one serves."""
        async with self._bounded(len(mail.message)):
            with suppress(_OverError):
                async with self._sessions.kept() as session:
                    if session is not None:
                        return await self._sent(session.client, mail, is_kept=True)
            async with self._sessions.another() as session:
                return await self._sent(session.client, mail)

    async def close(self) -> None:
        await self._sessions.close()

    async def _sent(self, client: aiosmtplib.SMTP, mail: OutgoingMail, *, is_kept: bool = False) -> Sent:
        """Raises _OverError where a connection that was kept is over, and the message was not sent."""
        wire = wire_of(mail, client)
        try:
            await client.mail(mail.sender, options=wire.mail_options, encoding=wire.encoding)
        except (aiosmtplib.SMTPException, OSError) as exc:
            if is_kept and not (isinstance(exc, aiosmtplib.SMTPResponseException) and exc.code not in (-1, 421)):
                raise _OverError from exc
            raise
        sent = await self._recipients(client, mail, wire)
        await self._data(client, wire)
        return sent

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
                (deferred if exc.code < 500 else refused)[recipient] = said(exc)
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
            detail = f"{self._sessions.place}: {type(exc).__name__} after the message"
            raise TryAgainError(reasons.OUTCOME_UNKNOWN, detail) from exc

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
                return TargetDownError(reasons.BUSY, said(exc))
            if isinstance(exc, aiosmtplib.SMTPConnectResponseError | aiosmtplib.SMTPHeloError):
                return TargetDownError(reasons.BUSY if exc.code < 500 else reasons.BAD_ANSWER, said(exc))
            if exc.code in _AUTH_FIRST:
                return TargetDownError(reasons.SIGN_IN, said(exc))
            if exc.code == 552:
                return RefusedTaskError(reasons.TOO_LARGE, said(exc))
            kind = RefusedTaskError if exc.code >= 500 else TryAgainError
            return kind(reasons.REFUSED if exc.code >= 500 else reasons.DEFERRED, said(exc))
        if (failure := tls_failure(exc)) is not None:
            return TargetDownError(reasons.TLS_FAILED, in_a_line(f"{self._sessions.place}: {failure}", _SAID_MAX))
        if isinstance(exc, TimeoutError):
            return TargetDownError(reasons.TIMEOUT, f"{self._sessions.place} doesn't answer in time")
        if isinstance(exc, OSError):
            why = exc.strerror or type(exc).__name__
            return TargetDownError(reasons.UNREACHABLE, in_a_line(f"{self._sessions.place}: {why}", _SAID_MAX))
        return TargetDownError(reasons.BAD_ANSWER, f"{self._sessions.place}: {type(exc).__name__}")
