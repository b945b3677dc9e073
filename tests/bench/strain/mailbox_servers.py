"""How fast the tracking process takes what waits at a Dovecot, by IMAP and POP3, with each way to put it away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.e2e.tracking.maildirs import message, process, tracking
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.servers.processes import peak_rss_mb, rss_mb
from tests.servers.relay import running_relay
from tests.servers.wait import free_port, wait_until

MESSAGES = {"imap": 10_000, "pop3": 2_000}
WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "imap move": ("imap", {"do": "move"}),
    "imap mark-read": ("imap", {"do": "mark-read"}),
    "imap delete": ("imap", {"do": "delete", "purge": True}),
    "pop3": ("pop3", {}),
}
ADDRESS = "help@example.com"


def measure(folder: Path, scale: float, log: Callable[[str], None]) -> dict[str, Any]:
    """Each way by itself, with a Dovecot and a relay of its own."""
    result = {}
    for name, (kind, after) in WAYS.items():
        place = folder / name.replace(" ", "-")
        place.mkdir()
        with running_dovecot([ADDRESS]) as dovecot:
            result[name] = _one(place, dovecot, kind, after, int(MESSAGES[kind] * scale))
        log(f"  {name}: {result[name]}")
    return result


def fill(dovecot: Dovecot, address: str, count: int) -> None:
    """As many messages, put where Dovecot finds them."""
    with dovecot.session(address) as session:
        session.select("INBOX")  # it makes the Maildir
    new = dovecot.maildir(address, "new")
    owner = new.stat()
    for number in range(count):
        path = new / f"1795300000.M{number:06}P1.server"
        path.write_bytes(message(number))
        os.chown(path, owner.st_uid, owner.st_gid)


def _one(folder: Path, dovecot: Dovecot, kind: str, after: Mapping[str, Any], count: int) -> dict[str, Any]:
    fill(dovecot, ADDRESS, count)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    mailbox = {
        "name": "help", "kind": kind, "address": ADDRESS, "host": "localhost",
        "port": dovecot.imaps if kind == "imap" else dovecot.pop3s, "tls": {"ca_file": str(dovecot.ca_file)},
        "password": {"file": str(folder / "password")}, "poll": {"messages": 500}, "after": dict(after),
        "log_messages": False,
    }  # fmt: skip
    began = time.monotonic()
    with running_relay(folder / "relay", free_port(), organisation=tracking(folder / "desk", [mailbox])) as relay:
        relay.wait_for_event("mailbox-polled", 300)
        pid = process(relay)
        early = rss_mb(pid)
        wait_until(lambda: any(event.get("more") is None for event in relay.events("mailbox-polled")), 900, "the end")
        last = relay.events("mailbox-polled")[-1]
        return {
            "messages": count, "taken": last["in_all"] if "in_all" in last else last["taken"],
            "per_s": last["per_s"], "took_s": round(time.monotonic() - began, 1), "rss_mb_early": round(early, 1),
            "rss_mb_end": round(rss_mb(pid), 1), "peak_rss_mb": round(peak_rss_mb(pid), 1),
            "told": len(relay.events("mailbox-progress")),
        }  # fmt: skip
