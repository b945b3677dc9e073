"""Word to the service manager."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mta.supervise.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_the_managers_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"@stampline-test-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready("2 workers")
        notifier.alive()
        notifier.stopping()
        assert [manager.recv(100) for _ in range(3)] == [
            b"READY=1\nSTATUS=2 workers", b"WATCHDOG=1", b"STOPPING=1\nSTATUS=draining",
        ]  # fmt: skip


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/n"}])
def test_nobody_need_listen(environment: dict[str, str]) -> None:
    Notifier(environment).ready("up")


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "60000000"}, 30.0),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/n"}, None),
        ({"WATCHDOG_USEC": "60000000"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], interval_s: float | None) -> None:
    assert Notifier(environment).watchdog_s == interval_s
