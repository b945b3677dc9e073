"""How a monitored mailbox of a server that speaks in lines is reached and signed in to."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.tls import client_context
from mta.config.mailbox_schema import OAuth
from mta.config.tracking_schema import ImapMailbox, Pop3Mailbox
from mta.ports.mailbox import SignInError

if TYPE_CHECKING:
    from mta.adapters.mailbox.tokens import Tokens


class Access:
    """Raises OSError or KeyError when made, if a secret or a file can't be read."""

    def __init__(self, settings: ImapMailbox | Pop3Mailbox, *, ports: tuple[int, int]) -> None:
        """`ports` are those with implicit TLS and without."""
        self._settings = settings
        self.implicit = settings.tls.mode == "implicit"
        self.host = settings.host
        self.port = settings.port or ports[0 if self.implicit else 1]
        self.name = settings.tls.verify_name or settings.host
        """What its certificate has to carry."""
        self.context: ssl.SSLContext | None = client_context(settings.tls) if settings.tls.mode != "none" else None
        self.timeout_s = settings.timeout.total_seconds()
        self.user = settings.user or settings.address
        self._tokens: Tokens | None = None
        if settings.sign_in == "xoauth2" and settings.oauth is not None:
            # It brings httpx, and perhaps msal, which passwords don't need.
            from mta.adapters.mailbox.tokens import open_tokens

            scope = CLOUDS[settings.oauth.cloud].exchange_scope if isinstance(settings.oauth, OAuth) else ""
            self._tokens = open_tokens(settings.oauth, scope=scope, trust=settings.tls)
        elif settings.password is not None:
            settings.password.read()

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def sign_in(self, by_password: Callable[[str, str], None], by_token: Callable[[str, str], None]) -> None:
        """Calls the one that is configured, with the user and what proves him; raises what that raises.

        Passwords are read anew each time, so that a new one serves without a restart.
        """
        if self._tokens is None:
            by_password(self.user, self._password())
            return
        token = self._tokens.token_now()
        try:
            by_token(self.user, token)
        except SignInError:
            self._tokens.forget(token)
            raise

    def close(self) -> None:
        if self._tokens is not None:
            self._tokens.close()

    def _password(self) -> str:
        if self._settings.password is None:
            raise SignInError("no-password", "no password is configured")
        try:
            return self._settings.password.read().decode("utf-8", "replace")
        except (OSError, KeyError) as exc:
            raise SignInError("no-password", "the password's file or variable can't be read") from exc
