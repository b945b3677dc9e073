"""Named points at which tests kill the process, to prove that nothing acknowledged is lost.

`STAMPLINE_CRASH_AT=name` or `name:n` kills this process with SIGKILL at the first (or n-th) passage of that point, so
that no handler, buffer or `finally` can soften it. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading


class _Countdown:
    """Passages left until the named point kills."""

    def __init__(self, setting: str) -> None:
        self.name, _, count = setting.partition(":")
        self._left = int(count or 1)
        self._lock = threading.Lock()

    def passed(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_armed = _Countdown(os.environ["STAMPLINE_CRASH_AT"]) if os.environ.get("STAMPLINE_CRASH_AT") else None


def crash_point(name: str) -> None:
    """Die here, if this is the point that the environment names and its count has come."""
    if _armed is not None and _armed.name == name:
        _armed.passed()
