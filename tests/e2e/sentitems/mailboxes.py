"""Mailboxes on this machine for the relay's tests: what mail programs put into Sent Items, and what stands there."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.servers.client import send
from tests.servers.processes import children, command_line
from tests.servers.relay import Relay
from tests.servers.wait import wait_until

STAMP = "STAMPED by the relay"
RULES = """\
rules:
  - name: stamp
    direction: outbound
    when: {recipient: {scope: external}}
    actions: [{stamp: {template: stamp, place: bottom}}]
"""
TEMPLATES = {"stamp": (f"<p>{STAMP}</p>\n", f"{STAMP}\n")}


class Mailboxes:
    """Maildirs below a folder, each with a folder of sent mail."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._number = 0
        for name in names:
            self.make(name)

    def settings(self, name: str = "local", **more: Any) -> dict[str, Any]:
        """One of `servers`."""
        return {"name": name, "kind": "maildir", "folder": f"{self.folder}/{{local}}", **more}

    def make(self, name: str) -> None:
        for part in ("cur", "new", "tmp"):
            (self.folder / name / part).mkdir(parents=True)
            (self.sent(name) / part).mkdir(parents=True)

    def lose(self, name: str) -> None:
        shutil.rmtree(self.folder / name)

    def sent(self, name: str) -> Path:
        return self.folder / name / ".Sent"

    def put(self, name: str, content: bytes) -> None:
        """As a mail program does, when it has sent it."""
        self._number += 1
        fresh = self.sent(name) / "tmp" / f"1700000000.M{self._number}P1.client:2,S"
        fresh.write_bytes(content)
        fresh.rename(self.sent(name) / "cur" / fresh.name)

    def items(self, name: str, message_id: str = "") -> list[EmailMessage]:
        """What stands in Sent Items, all of it or what has this Message-ID."""
        found = []
        for path in sorted(self.sent(name).glob("[cn]*/*")):
            try:
                item = message_from_bytes(path.read_bytes(), policy=policy.default)
            except FileNotFoundError:  # moved just now
                return self.items(name, message_id)
            if not message_id or item["Message-ID"] == message_id:
                found.append(item)
        return found

    def texts(self, name: str, message_id: str = "") -> list[str]:
        """The bodies of `items`."""
        return [str(item.get_content()) for item in self.items(name, message_id)]

    def is_stamped(self, name: str, message_id: str) -> bool:
        """Whether one item stands there, and it is the stamped one."""
        texts = self.texts(name, message_id)
        return len(texts) == 1 and STAMP in texts[0]


def sent_items(*servers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Settings of an organisation that doesn't wait."""
    return {"sent_items": {"servers": [dict(server) for server in servers], "wait": "0s", **more}}


def message(message_id: str, sender: str = "jane@example.com", text: str = "Dear Bob, the offer.") -> bytes:
    return (
        f"From: <{sender}>\r\nTo: bob@example.net\r\nSubject: An offer\r\nMessage-ID: {message_id}\r\n"
        f"Date: Mon, 16 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def submit(relay: Relay, content: bytes, *recipients: str, sender: str = "jane@example.com") -> None:
    """Over the first listener, which trusts this machine."""
    assert send(relay.port, sender, recipients or ["bob@example.net"], content).code == 250


def process(relay: Relay) -> int:
    """The process that writes to Sent Items; 0 where there is none."""
    return next((pid for pid in children(relay.pid) if "_sentitems" in command_line(pid)), 0)


def kill_process(relay: Relay) -> int:
    """SIGKILL to it, as soon as there is one; returns which it was."""
    pid = wait_until(lambda: process(relay), 60, "the process")
    os.kill(pid, signal.SIGKILL)
    return pid


def counts(relay: Relay) -> dict[str, int]:
    """Jobs by state and reason, `done` or `skipped/edited`, as the log tells; the last word on each job."""
    last = {event["job"]: event for event in relay.events("sent-item")}
    found: dict[str, int] = {}
    for event in last.values():
        key = f"{event['state']}/{event['reason']}" if event.get("reason") else event["state"]
        found[key] = found.get(key, 0) + 1
    return found
