"""Many Sent Items jobs over many mailboxes, on the Exchange of our tests, each of whose answers takes 50 ms."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from tests.e2e.sentitems.mailboxes import RULES, TEMPLATES, process, sent_items
from tests.peers.ews.control import EwsServer
from tests.peers.ews.running import ews_server
from tests.servers.processes import peak_rss_mb, rss_mb
from tests.servers.relay import Relay, running_relay

JOBS, MAILBOXES, CONNECTIONS, LATENCY_S = 10_000, 1_000, 8, 0.05
PARTS = 10
_TEXT = "We have looked at your drawings, and the new line can be delivered in the second week of March. "
_TIMEOUT_S = 3600.0


def measure(folder: Path, scale: float, log: Callable[[str], None]) -> dict[str, Any]:
    """10,000 jobs over 1,000 mailboxes: how long they take beside the server's latency, and what the process holds."""
    jobs, mailboxes = int(JOBS * scale), max(int(MAILBOXES * scale), CONNECTIONS)
    with (
        ews_server(offers=("basic",), latency_s=LATENCY_S) as exchange,
        running_relay(
            folder / "relay", 0, rules=RULES, templates=TEMPLATES, environment={"EWS_PASSWORD": "secret"},
            organisation=sent_items(_settings(exchange), search_for="1h"),
            next_hops=[{"name": "out", "kind": "maildir", "folder": str(folder / "out")}],
        ) as relay,
    ):  # fmt: skip
        relay.cli("sentitems", "pause")
        _arrange(exchange, relay, jobs, mailboxes)
        log(f"  {jobs} jobs wait in {mailboxes} mailboxes")
        exchange.forget()
        began = time.monotonic()
        relay.cli("sentitems", "resume")
        held = list(_held(relay, jobs, began, log))
        took_s = time.monotonic() - began
        counters, peak = exchange.counters(), round(peak_rss_mb(process(relay)), 1)
    a_job = counters.requests / jobs
    bound_s = counters.requests * LATENCY_S / CONNECTIONS
    return {
        "jobs": jobs, "mailboxes": mailboxes, "took_s": round(took_s, 1), "per_s": round(jobs / took_s, 1),
        "requests_a_job": round(a_job, 2), "latency_over_connections_s": round(bound_s, 1),
        "ratio": round(took_s / bound_s, 2), "most_at_once": counters.most_at_once,
        "most_at_once_in_a_mailbox": max(counters.most_at_once_by_mailbox.values()), "rss_mb": held,
        "peak_rss_mb": peak,
    }  # fmt: skip


def _settings(exchange: EwsServer) -> dict[str, Any]:
    return {
        "name": "exchange", "kind": "ews", "url": exchange.url, "sign_in": "basic", "user": "relay@example.com",
        "password": {"env": "EWS_PASSWORD"}, "connections": CONNECTIONS, "tls": {"ca_file": str(exchange.ca_file)},
    }  # fmt: skip


def _arrange(exchange: EwsServer, relay: Relay, jobs: int, mailboxes: int) -> None:
    """Put each original into its mailbox, and send it."""
    exchange.add_account("relay@example.com", "secret", impersonates=["*@example.com"])
    for number in range(mailboxes):
        exchange.add_mailbox(f"user{number}@example.com")

    def arrange(first: int) -> None:
        with smtplib.SMTP("127.0.0.1", relay.port) as client:
            for number in range(first, jobs, CONNECTIONS):
                sender = f"user{number % mailboxes}@example.com"
                content = _message(number, sender)
                exchange.add_item(sender, content)
                client.sendmail(sender, ["buyer@customer.example"], content)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(arrange, range(CONNECTIONS)))
    relay.wait_until_settled(timeout_s=_TIMEOUT_S)


def _message(number: int, sender: str) -> bytes:
    """About 10 kB, in HTML and plain text."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = sender, "buyer@customer.example"
    made["Subject"] = f"Delivery {number}"
    made["Date"] = format_datetime(datetime.now(UTC))
    made["Message-ID"] = f"<{number}.{time.time_ns()}@mail.example.com>"
    made.set_content((_TEXT + "\n") * 40)
    made.add_alternative("<html><body>" + f"<p>{_TEXT}</p>\n" * 40 + "</body></html>", subtype="html")
    return made.as_bytes()


def _held(relay: Relay, jobs: int, began: float, log: Callable[[str], None]) -> Iterator[float]:
    """MB of the process after each part of the jobs; until all are done."""
    next_at = jobs // PARTS
    while time.monotonic() - began < _TIMEOUT_S:
        status = json.loads(relay.cli("sentitems", "status", "--json").stdout)
        done = sum(each["jobs"] for each in status["jobs"] if each["state"] == "done")
        ended = sum(each["jobs"] for each in status["jobs"] if each["state"] != "waiting")
        while done >= next_at and next_at <= jobs:
            held = round(rss_mb(process(relay)), 1)
            log(f"  {done} jobs done after {time.monotonic() - began:.0f} s: {held} MB")
            next_at += max(jobs // PARTS, 1)
            yield held
        if ended == jobs:
            if done < jobs:
                raise RuntimeError(f"not all were done: {status['jobs']}")
            return
        time.sleep(0.5)
    raise RuntimeError("the jobs take too long")
