"""What tests of the IMAP adapter share: the adapter for a server that answers as it is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from mta.adapters.mailbox.imap import ImapSentItems
from mta.config.mailbox_schema import ImapMailboxes

JANE = "jane@example.com"
NO_JOB = "0" * 32


def imap_settings(port: int, folder: Path, **more: Any) -> ImapMailboxes:
    """In clear text, unless `more` says otherwise."""
    secret = folder / "password"
    if not secret.exists():
        secret.write_text("master password")
    values = {
        "kind": "imap", "name": "imap", "host": "127.0.0.1", "port": port, "user": "stampline",
        "password": {"file": str(secret)}, "tls": {"mode": "none"}, "timeout": timedelta(seconds=5), **more,
    }  # fmt: skip
    return ImapMailboxes.model_validate(values)


def imap_server(port: int, folder: Path, **more: Any) -> ImapSentItems:
    return ImapSentItems(imap_settings(port, folder, **more))
