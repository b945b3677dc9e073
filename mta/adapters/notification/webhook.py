"""Notices by webhook: one POST of JSON, signed where there is a key.

Its keys are `relay`, our host name, and `notices`, a list of objects with the fields of `ports.notification.Notice`;
`since` is ISO 8601.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

import httpx

from mta.config.alert_schema import Webhook
from mta.model.printable import in_a_line
from mta.ports.notification import SEND_MAX_S, Notice, NotificationError

TIMEOUT_S = 15.0
SIGNATURE = "X-Stampline-Signature"


class WebhookChannel:
    """Fulfils `mta.ports.notification.NotificationChannel`."""

    name = "webhook"

    def __init__(self, settings: Webhook, *, hostname: str, key: bytes = b"") -> None:
        self._url = settings.url
        self._host = urlsplit(settings.url).hostname
        self._hostname = hostname
        self._key = key

    async def send(self, notices: Sequence[Notice]) -> None:
        """As the port says; any 2xx is success, redirections are not followed, the answer's body is not read."""
        body = json.dumps({"relay": self._hostname, "notices": [_as_json(notice) for notice in notices]}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "stampline"}
        if self._key:
            headers[SIGNATURE] = f"sha256={hmac.new(self._key, body, hashlib.sha256).hexdigest()}"
        try:
            async with (
                asyncio.timeout(SEND_MAX_S),
                httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                code = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:  # a TimeoutError is an OSError
            # What stands behind the host may be the webhook's secret.
            why = str(exc) if isinstance(exc, httpx.ConnectError) else ""
            raise NotificationError(in_a_line(f"{self._host}: {type(exc).__name__}{why and ': '}{why}", 300)) from exc
        if not 200 <= code < 300:
            raise NotificationError(f"{self._host} answered {code}")


def _as_json(notice: Notice) -> dict[str, str]:
    return {**asdict(notice), "since": notice.since.isoformat(timespec="seconds")}
