"""Word to the service manager (sd_notify(3)), where there is one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states to the socket that NOTIFY_SOCKET names; does nothing without it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
        limit_us = environment.get("WATCHDOG_USEC", "0")
        is_ours = bool(self._address) and meant_for == str(os.getpid()) and limit_us.isdigit()
        self.watchdog_s: float | None = int(limit_us) / 1_000_000 / 2 if is_ours and int(limit_us) else None
        """How often `alive` is to be called: half of what the manager allows; None where it does not watch."""

    def ready(self, status: str) -> None:
        """All workers accept connections; also the end of a reload."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=draining")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # Mail must not stop because the manager does not listen.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
            end.setblocking(False)
            end.connect(address)
            end.send(state.encode())
