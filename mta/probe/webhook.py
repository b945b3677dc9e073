"""The server behind a webhook: reached, and its certificate verified; no request is made."""

from __future__ import annotations

import asyncio
from datetime import datetime
from urllib.parse import urlsplit

from mta.config.mailbox_schema import Trust
from mta.probe.probe import Say, failed, ok
from mta.probe.smtp_server import STEP_S
from mta.probe.tls_server import TlsServer, examine_tls


async def examine_webhook(url: str, say: Say, now: datetime, trust: Trust | None = None) -> None:
    """Say whether it would be reached; without `trust` the system's authorities are believed."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        port = parts.port or 443
        server = TlsServer(host, port, keys=frozenset())
        if trust is not None:
            server = TlsServer(host, port, ca_file=trust.ca_file, verify=trust.verify)
        await examine_tls(server, say, now)
        return
    port = parts.port or 80
    try:
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, UnicodeError) as exc:
        why = "no answer in time" if isinstance(exc, TimeoutError) else str(exc)
        say(failed(f"{host}:{port} can't be reached: {why}", "correct the URL, or see what stands between"))
    else:
        writer.transport.abort()
        say(ok(f"{host}:{port} can be reached"))
