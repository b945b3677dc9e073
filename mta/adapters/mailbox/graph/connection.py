"""Requests to Microsoft Graph and their answers: the token, time and size bounds, refusals as errors of the port."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx

from mta.adapters.mailbox.clouds import CLOUDS
from mta.adapters.mailbox.graph.errors import error_of
from mta.adapters.mailbox.oauth import TokenSource
from mta.adapters.mailbox.tls import client_context, tls_failure
from mta.config.mailbox_schema import GraphMailboxes
from mta.config.tracking_schema import GraphMailbox
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    EndpointDownError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TlsFailedError,
)

LARGEST_ANSWER = 40 * 1024 * 1024
"""An item with its body, but without attachments."""
LARGEST_OCTETS = 150_000_000
"""Of an attachment that is only passed over."""
_JSON = "application/json"
_LONGEST_CONNECT_S = 20.0
_LONGEST_PAUSE = timedelta(seconds=10)
_MOST_PAUSES = 3
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Answer:
    """A success (2xx)."""

    status: int
    data: dict[str, Any] = field(repr=False)
    """Its JSON; {} where there is none."""
    headers: Mapping[str, str] = field(repr=False)
    sha256: str = ""
    """Of the octets that came, where these alone were asked for."""
    octets: bytes = field(default=b"", repr=False)
    """What came, where it was asked for as it is."""


class Connection:
    """To one cloud's Graph; safe for many tasks of one loop."""

    def __init__(self, settings: GraphMailboxes | GraphMailbox, *, connections: int) -> None:
        """Raises OSError or KeyError if a secret or a file can't be read."""
        places = CLOUDS[settings.oauth.cloud]
        root = settings.url.rstrip("/").removesuffix("/v1.0") or places.graph
        self.root = f"{root}/v1.0"
        self.host = httpx.URL(root).host
        self._timeout_s = settings.timeout.total_seconds()
        self._tokens = TokenSource(
            settings.oauth, scope=f"{root}/.default" if settings.url else places.graph_scope, trust=settings.tls
        )
        self._client = httpx.AsyncClient(
            verify=client_context(settings.tls),
            # Shorter than the whole: where connecting takes too long, it is known that nothing was sent.
            timeout=httpx.Timeout(self._timeout_s, connect=min(_LONGEST_CONNECT_S, self._timeout_s / 2)),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60.0
            ),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "stampline", "Accept-Encoding": "identity"},
        )

    async def roles(self) -> str:
        """What our token allows, in words."""
        return _roles(await self._tokens.token())

    async def entries(self, path: str, *, most: int, most_pages: int) -> AsyncIterator[dict[str, Any]]:
        """Those of a list, page after page. Pages may be empty; the next one is asked for only where our token may go.

        Raises EndpointDownError for a list that has more than so many, or more pages.
        """
        count = 0
        for _ in range(most_pages):
            answer = await self.get(path)
            page = answer.data.get("value")
            if not isinstance(page, list):
                raise EndpointDownError("bad-answer", f"{self.host} gives a list without values")
            for entry in page:
                if isinstance(entry, dict):
                    yield entry
            following = answer.data.get("@odata.nextLink")
            if following is None:
                return
            if not isinstance(following, str) or not following.startswith(f"{self.root}/"):
                raise EndpointDownError("bad-answer", f"{self.host} names a next page elsewhere")
            count += len(page)
            if count > most:
                break
            path = following
        raise EndpointDownError("bad-answer", f"{self.host} gives a list without end")

    async def get(self, path: str, *, prefer: str = "") -> Answer:
        """`path` begins with a slash and is quoted; or it is an address that a page of Graph's named."""
        return await self._ask("GET", path, prefer=prefer, writes=False)

    async def sha256(self, path: str) -> str:
        """Of what is there, in hexadecimal; the octets themselves are not kept."""
        return (await self._ask("GET", path, writes=False, digests=True)).sha256

    async def octets(self, path: str, most: int) -> bytes:
        """What is there, as it is. Raises RefusedError where it is more than `most`."""
        return (await self._ask("GET", path, writes=False, most=most)).octets

    async def post(self, path: str, body: bytes, *, content_type: str = _JSON) -> Answer:
        return await self._ask("POST", path, body=body, content_type=content_type)

    async def patch(self, path: str, body: bytes, *, if_match: str = "") -> Answer:
        return await self._ask("PATCH", path, body=body, if_match=if_match)

    async def at_upload_address(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """A request at an upload session's address, which is a secret and takes no token.

        https://learn.microsoft.com/graph/outlook-large-attachments
        """
        if not url.startswith("https://"):
            raise EndpointDownError("bad-answer", f"{self.host} names an upload address without TLS")
        try:
            async with self._errors(writes=method != "GET"):
                return await self._exchange(method, url, headers, body, writes=method != "GET")
        except _UnauthorizedError as exc:
            raise MailboxUnavailableError(exc.error.code, "the upload session has ended") from None

    async def close(self) -> None:
        self._tokens.close()
        await self._client.aclose()

    async def _ask(self, method: str, path: str, **what: Any) -> Answer:
        """A mailbox's own limit is passed again in seconds; so long it is waited for, as nothing was carried out."""
        for _ in range(_MOST_PAUSES):
            try:
                return await self._ask_once(method, path, **what)
            except MailboxUnavailableError as exc:
                if exc.retry_after is None or exc.retry_after > _LONGEST_PAUSE:
                    raise
                await asyncio.sleep(exc.retry_after.total_seconds())
        return await self._ask_once(method, path, **what)

    async def _ask_once(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str = _JSON,
        prefer: str = "",
        if_match: str = "",
        writes: bool = True,
        **what: Any,
    ) -> Answer:
        url = path if path.startswith(f"{self.root}/") else self.root + path
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = content_type
        if prefer:
            headers["Prefer"] = prefer
        if if_match:
            headers["If-Match"] = f'W/"{if_match}"'
        for is_last in (False, True):
            token = await self._tokens.token()
            headers["Authorization"] = f"Bearer {token}"
            try:
                async with self._errors(writes=writes):
                    return await self._exchange(method, url, headers, body, writes=writes, **what)
            except _UnauthorizedError as exc:
                # Tokens may be withdrawn before they end; a new one is asked for once.
                self._tokens.forget(token)
                if is_last:
                    raise exc.error from None
        raise AssertionError

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, writes: bool, digests: bool = False,
        most: int | None = None,
    ) -> Answer:  # fmt: skip
        async with self._client.stream(method, url, headers=headers, content=body or None) as answer:
            if digests and answer.status_code == 200:
                return Answer(200, {}, answer.headers, await _sha256(answer))
            if most is not None and answer.status_code == 200:
                return Answer(200, {}, answer.headers, octets=await _octets(answer, most))
            read = await _content(answer)
            if read is None:
                what = f"{self.host} answers with more than we take"
                raise OutcomeUnknownError("too-large", what) if writes else RefusedError("too-large", what)
            data = _parsed(read)
            if answer.status_code == 401:
                raise _UnauthorizedError(error_of(401, data, answer.headers, writes=writes))
            if not 200 <= answer.status_code < 300:
                raise error_of(answer.status_code, data, answer.headers, writes=writes)
            if not isinstance(data, dict):
                what = f"{self.host} doesn't answer as Microsoft Graph does"
                raise OutcomeUnknownError("bad-answer", what) if writes else EndpointDownError("bad-answer", what)
            return Answer(answer.status_code, data, answer.headers)

    @asynccontextmanager
    async def _errors(self, *, writes: bool) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except (MailboxError, _UnauthorizedError):
            raise
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:  # a TimeoutError is an OSError
            what = in_a_line(f"{self.host}: {type(exc).__name__} {exc}".rstrip(), 200)
            if (failure := tls_failure(exc)) is not None:
                raise TlsFailedError("tls", in_a_line(f"{self.host}: {failure}", 200)) from exc
            if writes and not isinstance(exc, _NOTHING_SENT):
                raise OutcomeUnknownError("no-answer", what) from exc
            raise EndpointDownError("unreachable", what) from exc


class _UnauthorizedError(Exception):
    """401: with a new token it may do."""

    def __init__(self, error: MailboxError) -> None:
        super().__init__(str(error))
        self.error = error


async def _content(answer: httpx.Response) -> bytes | None:
    """The answer's octets as they came: compressed ones were not asked for, and could grow without bound.

    None if they are too many.
    """
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > LARGEST_ANSWER:
            return None
    return bytes(body)


async def _octets(answer: httpx.Response, most: int) -> bytes:
    told = answer.headers.get("content-length", "")
    body = bytearray()
    if not told.isdecimal() or int(told) <= most:
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > most:
                break
        else:
            return bytes(body)
    raise RefusedError("too-large", f"more than {most} octets")


async def _sha256(answer: httpx.Response) -> str:
    found, length = sha256(), 0
    async for piece in answer.aiter_raw():
        found.update(piece)
        length += len(piece)
        if length > LARGEST_OCTETS:
            raise RefusedError("too-large", "an attachment of more octets than we take")
    return found.hexdigest()


def _parsed(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _roles(token: str) -> str:
    """The permissions that a token carries (RFC 7519 §3), for an administrator to read; nothing is decided by it."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        roles = sorted(str(role) for role in claims["roles"])
    except (IndexError, ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return "no roles in its token: rights by role assignments only"
    return f"roles {', '.join(roles)[:200]}"
