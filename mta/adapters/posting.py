"""One POST to a webhook: no redirections, nothing read that isn't needed, an end in any case."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import httpx

from mta.adapters.mailbox.tls import tls_failure
from mta.model.printable import in_a_line

USER_AGENT = "stampline"
SIGNATURE = "X-Stampline-Signature"
_READ_MAX = 64 * 1024
"""Of an answer's body, so that the connection can be used again; more costs us the connection."""
_READ_WITHIN_S = 2.0
_LONGEST_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Posted:
    """What was answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)


class PostError(Exception):
    """There was no answer. The text is for logs: it never has the URL's path, which may be a secret."""

    def __init__(self, kind: Literal["unreachable", "tls", "timeout", "bad-answer"], text: str) -> None:
        super().__init__(text)
        self.kind = kind


def new_client(verify: ssl.SSLContext | bool, timeout_s: float, connections: int = 1) -> httpx.AsyncClient:
    """For `post`."""
    return httpx.AsyncClient(
        verify=verify,
        timeout=httpx.Timeout(timeout_s, connect=min(_LONGEST_CONNECT_S, timeout_s)),
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=30.0),
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )


async def post(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> Posted:
    """The answer's status and header. Raises PostError."""
    host = httpx.URL(url).host
    try:
        async with (
            asyncio.timeout(within_s),
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            with suppress(TimeoutError, httpx.HTTPError):  # the status counts; what follows it may drip
                async with asyncio.timeout(_READ_WITHIN_S):
                    await _pass_over(answer)
            return Posted(answer.status_code, answer.headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:  # a TimeoutError is an OSError
        raise _failure(host, exc) from exc


async def _pass_over(answer: httpx.Response) -> None:
    length = 0
    async for piece in answer.aiter_raw():
        length += len(piece)
        if length > _READ_MAX:
            return


def _failure(host: str, exc: Exception) -> PostError:
    if (failure := tls_failure(exc)) is not None:
        return PostError("tls", in_a_line(f"{host}: {failure}", 300))
    name = type(exc).__name__
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
        return PostError("unreachable", in_a_line(f"{host}: {name} {exc}".rstrip(), 300))
    if isinstance(exc, TimeoutError | httpx.TimeoutException):
        return PostError("timeout", f"{host}: {name}")
    if isinstance(exc, httpx.NetworkError):
        return PostError("unreachable", f"{host}: {name}")
    return PostError("bad-answer", f"{host}: {name}")
