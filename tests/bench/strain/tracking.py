"""How fast the tracking process takes what waits in a mailbox, and in how much memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.tracking.maildirs import Maildirs, message, process, tracking
from tests.servers.processes import peak_rss_mb, rss_mb
from tests.servers.relay import running_relay
from tests.servers.wait import free_port, wait_until

MESSAGES = 10_000


def measure(folder: Path, scale: float, log: Callable[[str], None]) -> dict[str, Any]:
    """All of them become records, with a note each."""
    count = int(MESSAGES * scale)
    boxes = Maildirs(folder / "boxes", "help")
    for number in range(count):
        boxes.put("help", message(number))
    organisation = tracking(folder / "desk", boxes.settings("help", poll={"messages": 500}))
    with running_relay(folder / "relay", free_port(), organisation=organisation) as relay:
        relay.wait_for_event("mailbox-polled", 300)
        began, waiting = time.monotonic(), len(boxes.waiting("help"))
        pid = process(relay)
        early = rss_mb(pid)
        for left in range(waiting, 0, -1000):
            log(f"  {count - left} of {count}, {rss_mb(pid):.0f} MB")
            goal = max(left - 1000, 0)
            wait_until(partial(_is_down_to, boxes, goal), 600, "the next thousand")
        took_s = time.monotonic() - began
        return {
            "messages": count, "per_s": round(waiting / took_s, 1), "rss_mb_early": early, "rss_mb_end": rss_mb(pid),
            "peak_rss_mb": peak_rss_mb(pid),
        }  # fmt: skip


def _is_down_to(boxes: Maildirs, goal: int) -> bool:
    return len(boxes.waiting("help")) <= goal
