"""How requests are signed: Basic, NTLM, Kerberos, or a token of an app registration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from exchangelib.transport import NTLM, get_auth_instance
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.oauth import TokenSource
from mta.config.mailbox_schema import EwsMailboxes, Trust
from mta.config.tracking_schema import EwsMailbox
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    EndpointBusyError,
    EndpointDownError,
    MailboxError,
    OutcomeUnknownError,
    SignInError,
    TlsFailedError,
)

_T = TypeVar("_T")
_SPNEGO = "1.3.6.1.5.5.2"
"""RFC 4178: credentials that are for Kerberos alone can't negotiate."""
_AHEAD_S = 300.0
"""A ticket is got anew so long before it ends."""


class SignIn:
    """One sign-in for all sessions of an endpoint."""

    def __init__(self, settings: EwsMailboxes | EwsMailbox) -> None:
        """Raises OSError or KeyError if a secret can't be read, or what Kerberos needs is not installed."""
        self._tokens: TokenSource | None = None
        self._bearer: _Bearer | None = None
        self.auth: Callable[[], AuthBase] = self._kind(settings)
        """Makes that of a new session: NTLM and Kerberos keep the state of its connection in it."""

    def renew(self) -> bool:
        """The server said 401; whether asking again makes sense: a token may have been taken back before its time."""
        if self._tokens is None or self._bearer is None:
            return False
        self._tokens.forget(self._bearer.sent)
        return True

    def close(self) -> None:
        if self._tokens is not None:
            self._tokens.close()

    def _kind(self, settings: EwsMailboxes | EwsMailbox) -> Callable[[], AuthBase]:
        if settings.sign_in == "oauth":
            assert settings.oauth is not None
            scope = CLOUDS[settings.oauth.cloud].exchange_scope
            # Microsoft's authority is public, whoever vouches for an Exchange on-premises.
            trust = settings.tls if settings.oauth.authority else Trust()
            self._tokens = TokenSource(settings.oauth, scope=scope, trust=trust)
            bearer = self._bearer = _Bearer(self._tokens)
            return lambda: bearer
        if settings.sign_in == "kerberos":
            return _kerberos(settings)
        assert settings.password is not None
        user, password = settings.user, settings.password.read()
        if settings.sign_in == "basic":
            return lambda: HTTPBasicAuth(user.encode(), password)  # UTF-8 (RFC 7617 §2.1)
        # requests_ntlm sends channel bindings. A name without a domain has an empty one before it, as exchangelib does.
        name = user if "\\" in user else f"\\{user}"
        secret = password.decode("utf-8", "surrogateescape")
        return lambda: get_auth_instance(auth_type=NTLM, username=name, password=secret)


_LASTS_S: dict[type[MailboxError], float] = {SignInError: 1.0}
"""For whoever is on the way, as the one who was refused is still to tell of it."""


class Doorkeeper:
    """Until a sign-in has gone well, one request goes at a time: with a wrong password each counts towards a lock.

    Those who waited while another failed for what is the endpoint's fail with it, and the server is not asked; after a
    refusal so do those who come within a moment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._failure: MailboxError | None = None
        self._failed_at = 0.0

    def pass_through(self, ask: Callable[[], _T]) -> _T:
        """What `ask` gives. Raises what it raises, or what it raised for another."""
        if not self._is_open:
            came_at = time.monotonic()
            with self._lock:
                if not self._is_open:
                    failure = self._failure
                    if failure is not None and came_at < self._failed_at + _LASTS_S.get(type(failure), 0.0):
                        raise type(failure)(failure.code, failure.detail, retry_after=failure.retry_after)
                    return self._watched(ask)
        return self._watched(ask)

    def _watched(self, ask: Callable[[], _T]) -> _T:
        try:
            answer = ask()
        except (SignInError, EndpointDownError, EndpointBusyError, TlsFailedError) as exc:
            if isinstance(exc, SignInError):
                self._is_open = False
            self._failure, self._failed_at = exc, time.monotonic()
            raise
        except OutcomeUnknownError:
            raise  # nobody knows whether we were signed in, and for others it means nothing
        except MailboxError:
            self._is_open = True  # signed in, and then not for this
            raise
        self._is_open = True
        return answer


class _Bearer(AuthBase):
    """A token of an app registration (RFC 6750)."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens
        self.sent = ""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self.sent = self._tokens.token_now()
        request.headers["Authorization"] = f"Bearer {self.sent}"
        return request


def _kerberos(settings: EwsMailboxes | EwsMailbox) -> Callable[[], AuthBase]:
    """With the account's password, or what the environment holds (KRB5_CLIENT_KTNAME, KRB5CCNAME)."""
    try:
        import gssapi
        from requests_gssapi import HTTPSPNEGOAuth
    except ImportError as exc:  # also where the system has no Kerberos library
        raise OSError(f"sign_in: kerberos needs more: pip install 'stampline[kerberos]' ({exc})") from exc
    tickets = _Tickets(gssapi, settings.user, settings.password.read() if settings.password else None)

    class Negotiate(HTTPSPNEGOAuth):  # type: ignore[misc]
        """Exchange's Extended Protection wants the channel's bindings; they are known once the server has answered."""

        def __call__(self, request: PreparedRequest) -> PreparedRequest:
            self.creds = tickets.credentials()
            signed: PreparedRequest = super().__call__(request)
            return signed

    return lambda: Negotiate(channel_bindings="tls-server-end-point")


class _Tickets:
    """The account's Kerberos credentials, the same for all sessions; got anew before they end."""

    def __init__(self, gssapi: Any, user: str, password: bytes | None) -> None:
        self._gssapi = gssapi
        self._user = user
        self._password = password
        self._lock = threading.Lock()
        self._held: Any = None
        self._until = 0.0

    def credentials(self) -> Any:
        """Raises SignInError: a wrong password, no ticket, no KDC that answers."""
        with self._lock:
            if self._until < time.monotonic():
                try:
                    self._held = self._get()
                    lasts = self._held.lifetime or 0
                except self._gssapi.exceptions.GSSError as exc:
                    raise SignInError("kerberos", in_a_line(exc.gen_message(), 200)) from exc
                self._until = time.monotonic() + max(lasts - _AHEAD_S, lasts / 2)
            return self._held

    def _get(self) -> Any:
        gssapi = self._gssapi
        name = gssapi.Name(self._user, gssapi.NameType.user) if self._user else None
        if self._password is None:
            return gssapi.Credentials(name=name, usage="initiate")
        mechanisms = [gssapi.OID.from_int_seq(_SPNEGO)]
        got = gssapi.raw.acquire_cred_with_password(name, self._password, mechs=mechanisms, usage="initiate")
        return gssapi.Credentials(base=got.creds)
