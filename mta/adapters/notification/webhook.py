"""Notices by webhook: one POST of JSON, signed where there is a key.

Its keys are `relay`, our host name, and `notices`, a list of objects with the fields of `ports.notification.Notice`;
`since` is ISO 8601.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

from mta.adapters.posting import SIGNATURE, PostError, new_client, post
from mta.config.alert_schema import Webhook
from mta.ports.notification import SEND_MAX_S, Notice, NotificationError

TIMEOUT_S = 15.0


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
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers[SIGNATURE] = f"sha256={hmac.new(self._key, body, hashlib.sha256).hexdigest()}"
        try:
            async with new_client(True, TIMEOUT_S) as client:
                posted = await post(client, self._url, body, headers, SEND_MAX_S)
        except PostError as exc:
            raise NotificationError(str(exc)) from exc
        if not 200 <= posted.status < 300:
            raise NotificationError(f"{self._host} answered {posted.status}")


def _as_json(notice: Notice) -> dict[str, str]:
    return {**asdict(notice), "since": notice.since.isoformat(timespec="seconds")}
