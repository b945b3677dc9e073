"""How one account opens everybody's mailbox; and whose fault it is where a server says only that it doesn't."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.imap.client import Client
from mta.adapters.mailbox.tls import client_context
from mta.config.mailbox_schema import ImapMailboxes
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointDownError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    SignInError,
)

if TYPE_CHECKING:
    from mta.adapters.mailbox.oauth import TokenSource


class SignIn:
    """For any thread. Raises OSError or KeyError when made, if a secret or a file can't be read."""

    def __init__(self, settings: ImapMailboxes) -> None:
        self._settings = settings
        self._password = settings.password.read().decode("utf-8", "replace") if settings.password else ""
        self._context: ssl.SSLContext | None = client_context(settings.tls) if settings.tls.mode != "none" else None
        self._tokens: TokenSource | None = None
        if settings.sign_in == "xoauth2" and settings.oauth is not None:
            # It brings msal and httpx, which passwords don't need.
            from mta.adapters.mailbox.oauth import TokenSource

            scope = CLOUDS[settings.oauth.cloud].exchange_scope
            self._tokens = TokenSource(settings.oauth, scope=scope, trust=settings.tls)
        self._witness = ""
        """A mailbox that was opened not long ago."""

    @property
    def place(self) -> str:
        return f"{self._settings.host}:{self._port}"

    def close(self) -> None:
        if self._tokens is not None:
            self._tokens.close()

    def open(self, mailbox: str) -> Client:
        """Connect and sign in for a mailbox. Raises MailboxError.

        Many servers say the same of a wrong password and of a mailbox that they don't know, or that this account may
        not open. So where one is refused, the mailbox that was opened last is tried: if that opens, it is not the
        account, and the endpoint goes on for all others.
        """
        self._user(mailbox)
        client = self._connected()
        try:
            self._authenticate(client, mailbox)
        except (SignInError, EndpointDownError) as exc:
            client.close()
            try:
                is_another_open = self._opens_another_than(mailbox)
            except SignInError as again:
                again.tries += 1
                raise
            if not is_another_open:
                raise
            if isinstance(exc, SignInError):
                raise AccessDeniedError(exc.code, "no such mailbox, or not for this account; others it opens") from exc
            raise MailboxUnavailableError(exc.code, "the server breaks off at this mailbox, at others not") from exc
        except BaseException:
            client.close()
            raise
        self._witness = mailbox
        return client

    def _opens_another_than(self, mailbox: str) -> bool:
        """Raises SignInError where that one isn't opened any more either."""
        witness = self._witness
        if witness in ("", mailbox):
            return False
        try:
            client = self._connected()
        except MailboxError:
            return False
        try:
            self._authenticate(client, witness)
        except MailboxError as exc:
            if isinstance(exc, SignInError):
                self._witness = ""  # it is the account, and each further try could lock it
                raise
            return False
        finally:
            client.close()
        return True

    def _user(self, mailbox: str) -> str:
        """As the server calls it. Raises NoMailboxError.

        Behind a separator in the name the server would look for another master user, and refuse us as it refuses a
        wrong password: anybody could have the endpoint stopped by what he writes into From.
        """
        settings = self._settings
        user = mailbox if settings.mailbox_name == "address" else mailbox.rpartition("@")[0]
        if settings.sign_in == "master-user" and settings.separator in user:
            raise NoMailboxError("separator", "the address holds what parts mailbox and master user")
        return user

    @property
    def _port(self) -> int:
        return self._settings.port or (993 if self._settings.tls.mode == "implicit" else 143)

    def _connected(self) -> Client:
        settings = self._settings
        return Client(
            settings.host, self._port, name=settings.tls.verify_name or settings.host,
            implicit=settings.tls.mode == "implicit", context=self._context,
            timeout_s=settings.timeout.total_seconds(),
        )  # fmt: skip

    def _authenticate(self, client: Client, mailbox: str) -> None:
        settings = self._settings
        user = self._user(mailbox)
        if settings.sign_in == "master-user":
            client.sign_in_plain("", f"{user}{settings.separator}{settings.user}", self._password)
        elif self._tokens is None:
            client.sign_in_plain(user, settings.user, self._password)
        else:
            token = self._tokens.token_now()
            try:
                client.sign_in_by_token(user, token)
            except SignInError:
                self._tokens.forget(token)
                raise
