"""How requests are signed: Basic, NTLM, Kerberos, or a token of an app registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchangelib.transport import NTLM, get_auth_instance
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.oauth import TokenSource
from mta.config.mailbox_schema import EwsMailboxes, Trust


class SignIn:
    """One sign-in for all sessions of an endpoint."""

    def __init__(self, settings: EwsMailboxes) -> None:
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

    def _kind(self, settings: EwsMailboxes) -> Callable[[], AuthBase]:
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


class _Bearer(AuthBase):
    """A token of an app registration (RFC 6750)."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens
        self.sent = ""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self.sent = self._tokens.token_now()
        request.headers["Authorization"] = f"Bearer {self.sent}"
        return request


def _kerberos(settings: EwsMailboxes) -> Callable[[], AuthBase]:
    """With the account's password, or the ticket that the environment holds (KRB5_CLIENT_KTNAME, KRB5CCNAME)."""
    try:
        import gssapi
        from requests_gssapi import HTTPSPNEGOAuth
    except ImportError as exc:  # also where the system has no Kerberos library
        raise OSError(f"sign_in: kerberos needs more: pip install 'stampline[kerberos]' ({exc})") from exc

    def credentials() -> Any:
        name = gssapi.Name(settings.user, gssapi.NameType.user) if settings.user else None
        if settings.password is None:
            return gssapi.Credentials(name=name, usage="initiate") if name else None
        return gssapi.raw.acquire_cred_with_password(name, settings.password.read(), usage="initiate").creds

    # Exchange's Extended Protection wants the channel's bindings; without `opportunistic` each request goes twice.
    return lambda: HTTPSPNEGOAuth(creds=credentials(), opportunistic_auth=True, channel_bindings="tls-server-end-point")
