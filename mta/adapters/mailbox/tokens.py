"""Tokens of OAuth 2.0 (RFC 6749), whichever way they are asked for: held, renewed in time, asked for once at a time."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from mta.adapters.mailbox.tls import client_context, tls_failure
from mta.config.mailbox_schema import OAuth, Trust
from mta.config.tracking_schema import TokenUrl
from mta.model.printable import in_a_line
from mta.ports.mailbox import EndpointDownError, TlsFailedError

TIMEOUT_S = 20.0
_LARGEST_ANSWER = 256 * 1024
_AHEAD_S = 300.0
"""A token is renewed so long before it ends; a call that takes longer is asked for again by its caller."""
_LONGEST_S = 86_400.0
_RETRY_S = 30.0
"""A token that isn't renewed, as the authority is away, serves on so long before the next try, while it is good."""
PASSING: Collection[str] = frozenset({"temporarily_unavailable", "server_error"})
"""Words of RFC 6749 for what is no refusal of ours."""


def open_tokens(settings: OAuth | TokenUrl, *, scope: str, trust: Trust) -> Tokens:
    """The configured source of tokens. `scope` is what the server needs, unless the settings say otherwise.

    Raises OSError or KeyError if a secret or a file can't be read. msal is loaded only where it is needed.
    """
    if isinstance(settings, TokenUrl):
        from mta.adapters.mailbox.token_url import TokenUrlSource

        return TokenUrlSource(settings, trust=trust)
    from mta.adapters.mailbox.oauth import TokenSource

    return TokenSource(settings, scope=scope, trust=trust)


@dataclass(frozen=True, slots=True)
class Held:
    token: str = field(repr=False)
    until: float
    """Then it is to be renewed; monotonic, as `ends`."""
    ends: float


class Tokens(ABC):
    """Gives one token to all who ask, renews it before it ends; one request at a time. For any thread and loop."""

    def __init__(self, trust: Trust) -> None:
        self._context = client_context(trust)
        self._lock = threading.Lock()
        self._held = Held("", 0.0, 0.0)
        self._refused = ""
        self._is_closed = False
        self._http: Http | None = None
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

    @abstractmethod
    def _ask(self) -> Held:
        """A new token from the authority. Raises SignInError, EndpointDownError, TlsFailedError."""

    def _client(self) -> Http:
        self._http = self._http or Http(self._context)
        return self._http

    def _let_go(self) -> None:
        """Of a closed source's connection. Whoever is using it does so afterwards: httpx loses what it is opening."""
        if self._is_closed and self._lock.acquire(blocking=False):
            try:
                if self._http is not None:
                    self._http.close()
            finally:
                self._lock.release()

    def _is_good(self, held: Held) -> bool:
        return held.until > time.monotonic() and held.token != self._refused

    def _renewed(self, held: Held) -> Held:
        try:
            return self._ask()
        except EndpointDownError:
            now = time.monotonic()
            if held.ends <= now or held.token == self._refused:
                raise
            return replace(held, until=min(held.ends, now + _RETRY_S))


def held_from(answer: Mapping[str, Any]) -> Held | None:
    """The token of an answer (RFC 6749 §5.1), None where there is none that could be shown to a server."""
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        return None
    try:
        lasts = min(float(answer.get("expires_in", 0)), _LONGEST_S)
    except (TypeError, ValueError):
        lasts = 0.0
    now = time.monotonic()
    return Held(token, now + max(lasts - _AHEAD_S, lasts / 2), now + lasts)


def error_word(answer: Mapping[str, Any]) -> str:
    """The code of an error answer (RFC 6749 §5.2); of its text nothing is passed on."""
    error = str(answer.get("error", ""))
    return error if re.fullmatch(r"[A-Za-z_]{1,40}", error) else "no-token"


class Answer:
    """What msal, too, wants to see of an answer; `text` is a JSON object."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise EndpointDownError(str(self.status_code), "the authority failed")


class Http:
    """An HTTP client for authorities: no redirections (the secret would go along), bounded in time and size."""

    def __init__(self, context: Any) -> None:
        self._client = httpx.Client(verify=context, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def get(self, url: str, *, params: Any = None, headers: Any = None, **_ignored: Any) -> Answer:
        return self._ask("GET", url, params=params, headers=headers)

    def post(self, url: str, *, params: Any = None, data: Any = None, headers: Any = None, **_ignored: Any) -> Answer:
        # An assertion is bytes, which httpx would write as b'…'.
        fields = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._ask("POST", url, params=params, data=fields, headers=headers)

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, url: str, **what: Any) -> Answer:
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
                return Answer(answer.status_code, text, dict(answer.headers))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            if (failure := tls_failure(exc)) is not None:
                raise TlsFailedError("tls", in_a_line(f"{host}: {failure}", 200)) from exc
            raise EndpointDownError("authority-unreachable", in_a_line(f"{host}: {exc}", 200)) from exc


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
