"""What happens to our processes, and to the machine around them."""

from __future__ import annotations

from traceback import format_tb

from mta.events.log import emit


def started(component: str, *, version: str, snapshot: str, pid: int) -> None:
    emit("info", "started", component=component, version=version, snapshot=snapshot, pid=pid)


def stopping(component: str, *, reason: str, in_hand: int) -> None:
    emit("info", "stopping", component=component, reason=reason, in_hand=in_hand)


def stopped(component: str, *, left: int) -> None:
    emit("info", "stopped", component=component, left=left)


def listening(listener: str, *, address: str, port: int, role: str, tls: str) -> None:
    emit("info", "listening", listener=listener, address=address, port=port, role=role, tls=tls)


def worker_ready(slot: int, *, component: str, pid: int, snapshot: str) -> None:
    emit("info", "worker-ready", component=component, slot=slot, pid=pid, snapshot=snapshot)


def worker_stuck(slot: int, *, component: str, pid: int, silent_s: float) -> None:
    """It has not beaten for so long that the supervisor kills it."""
    emit("error", "worker-stuck", component=component, slot=slot, pid=pid, silent_s=round(silent_s, 1))


def worker_died(slot: int, *, component: str, pid: int, status: str, restart_in_s: float) -> None:
    emit(
        "error", "worker-died", component=component, slot=slot, pid=pid, status=status, restart_in_s=restart_in_s
    )  # fmt: skip


def reloaded(snapshot: str, *, rules: int, templates: int) -> None:
    emit("info", "reloaded", snapshot=snapshot, rules=rules, templates=templates)


def reload_refused(problem: str, *, problems: int, kept: str) -> None:
    emit("error", "reload-refused", problem=problem, problems=problems, kept=kept)


def bypass_changed(on: bool, *, until: str) -> None:
    emit("warning", "bypass-on" if on else "bypass-off", until=until)


def internal_error(where: str, *, error: str, queue_id: str = "", traceback: str = "") -> None:
    """`error` is the exception's repr; a UnicodeError's holds the whole text, which may be somebody's mail."""
    if error.startswith("Unicode"):
        error = error.partition("(")[0]
    emit("error", "internal-error", where=where, queue_id=queue_id, error=error, traceback=traceback)


def own_fault(where: str, exc: Exception) -> None:
    """Of ours, at somebody's mail: its kind and place, without the exception's text, which may hold some of it."""
    internal_error(where, error=type(exc).__name__, traceback="".join(format_tb(exc.__traceback__)))


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
