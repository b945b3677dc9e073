"""A sink that is told by webhook: each call is one signed POST of JSON.

- `X-Stampline-Timestamp`: seconds since 1970, of this attempt.
- `X-Stampline-Signature`: `v1=` and the HMAC-SHA256 of `v1.TIMESTAMP.BODY` by the sink's key, in hexadecimal. So a
  receiver that refuses what is older than some minutes can't be told again by somebody who listened.
- `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a string in quotes, the same at each attempt.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from mta.adapters.mailbox.tls import client_context
from mta.adapters.posting import SIGNATURE, Posted, PostError, new_client, post
from mta.adapters.retry_after import retry_after
from mta.config.tracking_schema import WebhookSink
from mta.model import task_reasons as reasons
from mta.ports.clock import Clock, SystemClock
from mta.ports.record_sink import SinkCall
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError

TIMESTAMP = "X-Stampline-Timestamp"
IDEMPOTENCY_KEY = "Idempotency-Key"
CONNECTIONS = 4
_LONGEST_PAUSE = timedelta(days=1)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+\-./:;<=>?@^_`{|}~ ]{1,200}\Z")
_REASONS = {
    "unreachable": reasons.UNREACHABLE,
    "tls": reasons.TLS_FAILED,
    "timeout": reasons.TIMEOUT,
    "bad-answer": reasons.BAD_ANSWER,
}
_DOWN = frozenset({429, 502, 503, 504})
_LATER = frozenset({408, 409, 425})
"""409: an earlier attempt at the same call is still being worked on (the draft's §2.7)."""


class Webhook:
    """Fulfils `mta.ports.record_sink.RecordSink`."""

    def __init__(self, settings: WebhookSink, clock: Clock | None = None) -> None:
        """Raises OSError or KeyError if the key or the CA file can't be read."""
        self._url = settings.url
        self._key = settings.key.read()
        self._within_s = settings.timeout.total_seconds()
        self._clock = clock or SystemClock()
        self._client = new_client(client_context(settings.tls), self._within_s, CONNECTIONS)

    async def call(self, call: SinkCall) -> None:
        """As the port says; any 2xx is success, a redirection is not followed."""
        headers = {
            "Content-Type": "application/json",
            IDEMPOTENCY_KEY: f'"{_sendable(call.key)}"',
            **signature(self._key, call.payload, int(self._clock.now().timestamp())),
        }
        try:
            posted = await post(self._client, self._url, call.payload, headers, self._within_s)
        except PostError as exc:
            passing = TryAgainError if exc.kind == "timeout" else TargetDownError
            raise passing(_REASONS[exc.kind], str(exc)) from exc
        if not 200 <= posted.status < 300:
            raise _error_of(posted, self._clock.now())

    async def close(self) -> None:
        await self._client.aclose()


def signature(key: bytes, body: bytes, timestamp: int) -> Mapping[str, str]:
    """The header fields that sign a body at a time, in seconds since 1970."""
    signed = b"v1.%d.%b" % (timestamp, body)
    return {TIMESTAMP: str(timestamp), SIGNATURE: f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"}


def _sendable(key: str) -> str:
    """The key as the content of a string (RFC 9651 §3.3.3)."""
    return key if _PLAIN_KEY.match(key) else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _error_of(posted: Posted, now: datetime) -> TaskError:
    status, wait = posted.status, retry_after(posted.headers.get("Retry-After", ""), now, longest=_LONGEST_PAUSE)
    if status in _DOWN:
        return TargetDownError(f"status-{status}", retry_after=wait)
    if 300 <= status < 400:
        return TargetDownError(reasons.REDIRECTED, f"it answers {status}")
    if status in _LATER or status >= 500:
        return TryAgainError(f"status-{status}", retry_after=wait)
    if status < 400:
        return TargetDownError(reasons.BAD_ANSWER, f"it answers {status}")
    return RefusedTaskError(f"status-{status}")
