"""Tokens for an app registration (client credentials, RFC 6749 §4.4), by msal; for Graph, EWS and IMAP."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx
import msal

from mta.adapters.mailbox.clouds import authority
from mta.adapters.mailbox.tls import client_context, tls_failure
from mta.config.mailbox_schema import OAuth, Trust
from mta.model.printable import in_a_line
from mta.ports.mailbox import EndpointDownError, MailboxError, SignInError, TlsFailedError

TIMEOUT_S = 20.0
_LARGEST_ANSWER = 256 * 1024
_AHEAD_S = 300.0
"""A token is renewed so long before it ends; a call that takes longer is asked for again by its caller."""
_LONGEST_S = 86_400.0
_RETRY_S = 30.0
"""A token that isn't renewed, as the authority is away, serves on so long before the next try, while it is good."""

_WHAT_TO_DO: Mapping[str, str] = MappingProxyType({
    "7000215": "the client secret is wrong: write the secret's value, not its ID",
    "7000222": "the client secret has expired: create a new one in the app registration",
    "700016": "the tenant has no such application: check client_id and tenant, and that an administrator consented",
    "7000229": "the tenant has no service principal of this application: an administrator has to consent to it",
    "7000112": "the application is disabled in the tenant: enable it there",
    "700027": "the certificate isn't that of the app registration, or has expired: upload it there",
    "700024": "the assertion's time is out of range: check this machine's clock",
    "90002": "there is no such tenant: check tenant and cloud",
    "900023": "this is neither a tenant's ID nor one of its domains: check tenant",
    "900382": "the tenant is in another cloud: check cloud",
    "500011": "the tenant doesn't know what the token is for: check scope and cloud",
    "70011": "the scope is not valid: it ends in /.default",
    "1002012": "the scope is not valid: it ends in /.default",
    "53003": "a Conditional Access policy for workload identities blocks it: exempt the application or this address",
})  # fmt: skip
"""https://learn.microsoft.com/entra/identity-platform/reference-error-codes: what an administrator can do."""
_PASSING = frozenset({"temporarily_unavailable", "server_error", "90033", "90020", "50196", "90006", "90024"})
"""Their service, not our sign-in."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    until: float
    """Then it is to be renewed; monotonic, as `ends`."""
    ends: float


class TokenSource:
    """Gives one token to all who ask, renews it before it ends; one request at a time. For any thread and loop."""

    def __init__(self, settings: OAuth, *, scope: str, trust: Trust) -> None:
        """`scope` is what the server needs, unless the settings say otherwise.

        Raises OSError or KeyError if a secret or a file can't be read.
        """
        self._client_id = settings.client_id
        self._authority = authority(settings)
        self._scope = settings.scope or scope
        self._credential = _credential(settings)
        self._context = client_context(trust)
        self._lock = threading.Lock()
        self._held = _Held("", 0.0, 0.0)
        self._refused = ""
        self._is_closed = False
        self._application: Any = None
        self._http: _Http | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="token")

    async def token(self) -> str:
        """A token that is good for some minutes. Raises SignInError, EndpointDownError, TlsFailedError."""
        held = self._held
        if self._is_good(held):
            return held.token
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.token_now)

    def token_now(self) -> str:
        """As `token`, for threads."""
        try:
            with self._lock:
                if self._is_closed:
                    raise EndpointDownError("closed", "the connection to the authority has been given up")
                if not self._is_good(self._held):
                    self._held = self._renewed(self._held)
                return self._held.token
        finally:
            self._let_go()

    def forget(self, token: str) -> None:
        """The server didn't take this token: the next one is asked for anew. Doesn't wait."""
        self._refused = token

    def close(self) -> None:
        """End its thread and its connection, at the end of the request under way; nothing is asked for any more."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._let_go()

    def _let_go(self) -> None:
        """Of a closed source's connection. Whoever is using it does so afterwards: httpx loses what it is opening."""
        if self._is_closed and self._lock.acquire(blocking=False):
            try:
                if self._http is not None:
                    self._http.close()
            finally:
                self._lock.release()

    def _is_good(self, held: _Held) -> bool:
        return held.until > time.monotonic() and held.token != self._refused

    def _renewed(self, held: _Held) -> _Held:
        if self._application is not None:
            self._application.remove_tokens_for_client()  # msal's own copy may be the refused one
        try:
            return self._ask()
        except EndpointDownError:
            now = time.monotonic()
            if held.ends <= now or held.token == self._refused:
                raise
            return replace(held, until=min(held.ends, now + _RETRY_S))

    def _ask(self) -> _Held:
        try:
            if self._application is None:
                self._http = self._http or _Http(self._context)
                self._application = msal.ConfidentialClientApplication(
                    self._client_id, authority=self._authority, client_credential=self._credential,
                    instance_discovery=False, http_client=self._http,
                )  # fmt: skip
            answer = self._application.acquire_token_for_client(scopes=[self._scope])
        except MailboxError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            # Of msal; its texts may quote what came from the net, so they are not passed on.
            raise SignInError(
                "bad-authority", f"{self._authority} is no authority, or the certificate and key are no pair in PEM"
            ) from exc
        return self._held_from(answer)

    def _held_from(self, answer: Any) -> _Held:
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise _refusal(answer if isinstance(answer, dict) else {})
        try:
            lasts = min(float(answer.get("expires_in", 0)), _LONGEST_S)
        except (TypeError, ValueError):
            lasts = 0.0
        now = time.monotonic()
        return _Held(token, now + max(lasts - _AHEAD_S, lasts / 2), now + lasts)


def _credential(settings: OAuth) -> str | dict[str, str]:
    if settings.client_secret is not None:
        return settings.client_secret.read().decode("utf-8", "replace")
    assert settings.certificate is not None
    assert settings.key is not None
    files = {"private_key": settings.key, "public_certificate": settings.certificate}
    return {name: path.read_bytes().decode("ascii", "replace") for name, path in files.items()}


def _refusal(answer: dict[str, Any]) -> MailboxError:
    """What an error answer (RFC 6749 §5.2) means; of its text only the code is passed on."""
    error = str(answer.get("error", ""))
    word = error if re.fullmatch(r"[A-Za-z_]{1,40}", error) else "no-token"
    match = re.match(r"AADSTS(\d{4,9})\b", str(answer.get("error_description", "")))
    number = match[1] if match else ""
    code = f"AADSTS{number}" if number else word
    if word in _PASSING or number in _PASSING:
        return EndpointDownError(code, "the authority can't give tokens for the moment")
    page = f"see https://login.microsoftonline.com/error?code={number}" if number else "the authority gave no token"
    return SignInError(code, _WHAT_TO_DO.get(number, page))


class _Answer:
    """What msal wants to see of an answer."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise EndpointDownError(str(self.status_code), "the authority failed")


class _Http:
    """The HTTP client that msal uses: no redirections (the secret would go along), bounded in time and size."""

    def __init__(self, context: Any) -> None:
        self._client = httpx.Client(verify=context, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def get(self, url: str, *, params: Any = None, headers: Any = None, **_ignored: Any) -> _Answer:
        return self._ask("GET", url, params=params, headers=headers)

    def post(self, url: str, *, params: Any = None, data: Any = None, headers: Any = None, **_ignored: Any) -> _Answer:
        # An assertion is bytes, which httpx would write as b'…'.
        fields = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._ask("POST", url, params=params, data=fields, headers=headers)

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, url: str, **what: Any) -> _Answer:
        host = in_a_line(urlsplit(url).netloc, 100)
        ends_at = time.monotonic() + 2 * TIMEOUT_S
        try:
            with self._client.stream(method, url, **what) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LARGEST_ANSWER or time.monotonic() > ends_at:
                        raise EndpointDownError("bad-answer", f"{host} answers too much or too slowly")
                text = body.decode("utf-8", "replace")
                if answer.is_redirect or not _is_object(text):
                    raise EndpointDownError(str(answer.status_code), f"{host} doesn't answer as an authority does")
                return _Answer(answer.status_code, text, dict(answer.headers))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            if (failure := tls_failure(exc)) is not None:
                raise TlsFailedError("tls", in_a_line(f"{host}: {failure}", 200)) from exc
            raise EndpointDownError("unreachable", in_a_line(f"{host}: {type(exc).__name__} {exc}", 200)) from exc


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
