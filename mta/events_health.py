"""Events of processes and of the machine around them; see `events`."""

from __future__ import annotations

from mta.events import emit


def worker_sick(reason: str, *, pid: int) -> None:
    """A worker that can't go on well finishes what it has in hand and is replaced."""
    emit("error", "worker-sick", pid=pid, reason=reason)


def clock_leapt(by_s: float, *, nothing_expires_for_s: float) -> None:
    """The machine's clock was set, or it slept. Backwards, the whole queue is tried at once."""
    outcome = "nothing expires for a while" if by_s > 0 else "everything queued is tried now"
    emit("error", "clock-leapt", by_s=round(by_s), nothing_expires_for_s=nothing_expires_for_s, outcome=outcome)


def control_socket_back(path: str) -> None:
    """Somebody had taken it away; commands reach the relay again."""
    emit("warning", "control-socket-back", path=path)
