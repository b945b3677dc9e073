"""A desk on this machine: Maildirs that a whole relay monitors, and what it kept of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.servers.processes import children, command_line
from tests.servers.relay import Relay

RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions: [create, note]
  - name: answer
    when: {outcome: joined}
    actions: [note]
"""


class Maildirs:
    """Below a folder, one for each monitored mailbox."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._numbers = 0
        for name in names:
            self.make(name)

    def make(self, name: str) -> None:
        for part in ("cur", "new", "tmp"):
            (self.folder / name / part).mkdir(parents=True)

    def put(self, name: str, data: bytes) -> Path:
        """As a mail server does when it delivers."""
        self._numbers += 1
        fresh = self.folder / name / "tmp" / f"1795300000.M{self._numbers:06}P1.server"
        fresh.write_bytes(data)
        return fresh.rename(self.folder / name / "new" / fresh.name)

    def waiting(self, name: str) -> list[Path]:
        return self.folder_of(name)

    def folder_of(self, name: str, folder: str = "") -> list[Path]:
        """Messages in a folder of a mailbox."""
        return sorted((self.folder / name / (f".{folder}" if folder else "")).glob("[cn]*/*"))

    def settings(self, *names: str, **more: Any) -> list[dict[str, Any]]:
        """Monitored mailboxes of these names."""
        return [
            {"name": name, "kind": "maildir", "address": f"{name}@example.com", "path": str(self.folder / name), **more}
            for name in names
        ]


def message(number: int, **fields: str) -> bytes:
    head = {
        "From": f"Jane <jane{number}@example.net>", "To": "help@example.com", "Subject": f"Printer {number}",
        "Message-ID": f"<m{number}@example.net>", "Date": "Sun, 22 Nov 2026 11:00:00 +0000", **fields,
    }  # fmt: skip
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items() if value)
    return lines.encode() + b"\r\nIt prints nothing.\r\n"


def tracking(folder: Path, mailboxes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The organisation's `tracking`; its key and its rules lie in the folder. DNS is asked where a test wants it."""
    folder.mkdir(exist_ok=True)
    (folder / "key").write_text("a key of tracking that is only for tests")
    (folder / "key").chmod(0o600)
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "10-desk.yaml").write_text(RULES)
    settings = {
        "keys": [{"file": str(folder / "key")}], "modules": [{"name": "ticket"}], "rules": str(folder / "rules"),
        "mailboxes": mailboxes, "correlation": {"verify_dkim": "never"}, **more,
    }  # fmt: skip
    return {"tracking": settings}


def process(relay: Relay) -> int:
    """The tracking process; 0 where there is none."""
    return next((pid for pid in children(relay.pid) if "_tracking" in command_line(pid)), 0)


def titles(relay: Relay) -> Counter[str]:
    """Of the records that are there."""
    listed = json.loads(relay.cli_here("records", "list", "--json", "--limit", "20000").stdout)
    return Counter(record["title"] for record in listed)


def standing(relay: Relay, name: str) -> dict[str, Any]:
    """What `mailbox list` says of one."""
    listed = json.loads(relay.cli_here("mailbox", "list", name, "--json").stdout)
    shown: dict[str, Any] = listed["mailboxes"][0]
    return shown
