"""Every event that we log, one function each. A line has a time, `action`, and fields that grep finds.

Sinks: one file per component and day, journald, syslog, standard error. A sink that fails (full disk) loses lines,
never mail: `write` swallows OSError and counts it. No field ever holds a body, a subject, an attribute value or a
secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Protocol

Value = str | int | float | bool | None
Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_NEEDS_QUOTES = re.compile(r'[\s"=\\\x00-\x1f\x7f-\x9f\u2028\u2029]|\A\Z')


class Sink(Protocol):
    def write(self, level: Level, action: str, line: str, day: str) -> None:
        """Take one finished line (no line end). Must not raise OSError. `day` is YYYY-MM-DD, local."""
        ...


class _Log:
    """Where this process's events go; set once at start by `configure`."""

    sinks: tuple[Sink, ...] = ()
    as_json = False
    threshold = 1


def configure(sinks: Iterable[Sink], *, as_json: bool = False, level: Level = "info") -> None:
    """Send all later events of this process to `sinks`."""
    _Log.sinks = tuple(sinks)
    _Log.as_json = as_json
    _Log.threshold = _LEVELS[level]


def format_logfmt(fields: dict[str, Value]) -> str:
    """`key=value` pairs; values with spaces, quotes or control characters are quoted as in JSON."""
    parts = []
    for key, value in fields.items():
        if value is None or value == "":
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f"{key}={json.dumps(text) if _NEEDS_QUOTES.search(text) else text}")
    return " ".join(parts)


def emit(level: Level, action: str, **fields: Value) -> None:
    """Write one event to all sinks. Only the functions below (and their like) call this."""
    if not _Log.sinks or _LEVELS[level] < _Log.threshold:
        return
    now = datetime.now(UTC).astimezone()
    stamped: dict[str, Value] = {"time": now.isoformat(timespec="milliseconds"), "level": level, "action": action}
    stamped.update(fields)
    if _Log.as_json:
        line = json.dumps({k: v for k, v in stamped.items() if v is not None and v != ""}, ensure_ascii=False)
    else:
        line = format_logfmt(stamped)
    day = now.strftime("%Y-%m-%d")
    for sink in _Log.sinks:
        sink.write(level, action, line, day)


def _list(values: Iterable[object]) -> str:
    return ",".join(str(value) for value in values)


# --- life of the processes -------------------------------------------------------------------------------------------


def started(component: str, *, version: str, snapshot: str, pid: int) -> None:
    emit("info", "started", component=component, version=version, snapshot=snapshot, pid=pid)


def stopping(component: str, *, reason: str, in_hand: int) -> None:
    emit("info", "stopping", component=component, reason=reason, in_hand=in_hand)


def stopped(component: str, *, left: int) -> None:
    emit("info", "stopped", component=component, left=left)


def listening(listener: str, *, address: str, port: int, role: str, tls: str) -> None:
    emit("info", "listening", listener=listener, address=address, port=port, role=role, tls=tls)


def worker_died(slot: int, *, pid: int, status: str, restart_in_s: float) -> None:
    emit("error", "worker-died", slot=slot, pid=pid, status=status, restart_in_s=restart_in_s)


def reloaded(snapshot: str, *, rules: int, templates: int) -> None:
    emit("info", "reloaded", snapshot=snapshot, rules=rules, templates=templates)


def reload_refused(problem: str, *, problems: int, kept: str) -> None:
    emit("error", "reload-refused", problem=problem, problems=problems, kept=kept)


def bypass_changed(on: bool, *, until: str) -> None:
    emit("warning", "bypass-on" if on else "bypass-off", until=until)


def internal_error(where: str, *, error: str, queue_id: str = "", traceback: str = "") -> None:
    emit("error", "internal-error", where=where, queue_id=queue_id, error=error, traceback=traceback)


# --- receive ---------------------------------------------------------------------------------------------------------


def connection_refused(listener: str, *, client: str, reason: str) -> None:
    emit("warning", "connection-refused", listener=listener, client=client, reason=reason)


def session_closed(listener: str, *, client: str, reason: str) -> None:
    emit("warning", "session-closed", listener=listener, client=client, reason=reason)


def recipient_refused(listener: str, *, client: str, sender: str, recipient: str, reply: str) -> None:
    emit("info", "recipient-refused", listener=listener, client=client, sender=sender, recipient=recipient, reply=reply)


def message_refused(
    listener: str, *, client: str, sender: str, recipients: int, reply: str, rule: str = "", message_id: str = ""
) -> None:
    emit(
        "warning", "message-refused", listener=listener, client=client, sender=sender, recipients=recipients,
        reply=reply, rule=rule, message_id=message_id,
    )  # fmt: skip


def message_accepted(
    queue_id: str, *, listener: str, client: str, sender: str, recipients: Iterable[object], size: int,
    message_id: str, kind: str, snapshot: str, tls: str, decide_ms: float, spool_ms: float,
) -> None:  # fmt: skip
    emit(
        "info", "accepted", queue_id=queue_id, listener=listener, client=client, sender=sender,
        recipients=_list(recipients), size=size, message_id=message_id, kind=kind, snapshot=snapshot, tls=tls,
        decide_ms=round(decide_ms, 2), spool_ms=round(spool_ms, 2),
    )  # fmt: skip


def mark_removed(queue_id: str, *, reason: str) -> None:
    emit("warning", "mark-removed", queue_id=queue_id, reason=reason)


def already_processed(queue_id: str) -> None:
    emit("info", "already-processed", queue_id=queue_id)


def spool_full(*, free: int, reserve: int) -> None:
    emit("error", "spool-full", free=free, reserve=reserve)


def spool_has_room(*, free: int) -> None:
    emit("info", "spool-has-room", free=free)


# --- decide, stamp, sign ---------------------------------------------------------------------------------------------


def decided(
    queue_id: str, *, group: int, recipients: Iterable[object], rules: Iterable[str], actions: Iterable[str],
    direction: str,
) -> None:  # fmt: skip
    emit(
        "info", "decided", queue_id=queue_id, group=group, recipients=_list(recipients), rules=_list(rules),
        actions=_list(actions), direction=direction,
    )  # fmt: skip


def audited(queue_id: str, *, rule: str, recipients: Iterable[object], actions: Iterable[str]) -> None:
    emit("info", "audited", queue_id=queue_id, rule=rule, recipients=_list(recipients), actions=_list(actions))


def rule_failed(queue_id: str, *, rule: str, error: str, outcome: str) -> None:
    emit("error", "rule-failed", queue_id=queue_id, rule=rule, error=error, outcome=outcome)


def too_many_variants(queue_id: str, *, wanted: int, limit: int) -> None:
    emit("warning", "too-many-variants", queue_id=queue_id, wanted=wanted, limit=limit)


def stamp_skipped(queue_id: str, *, group: int, template: str, reason: str) -> None:
    emit("info", "stamp-skipped", queue_id=queue_id, group=group, template=template, reason=reason)


def signed(queue_id: str, *, group: int, domain: str, selector: str) -> None:
    emit("debug", "signed", queue_id=queue_id, group=group, domain=domain, selector=selector)


# --- deliver ---------------------------------------------------------------------------------------------------------


def delivered(
    queue_id: str, *, group: int, recipients: Iterable[object], next_hop: str, remote: str, reply: str, tls: str,
    delay_ms: float, attempt_ms: float, attempts: int,
) -> None:  # fmt: skip
    emit(
        "info", "delivered", queue_id=queue_id, group=group, recipients=_list(recipients), next_hop=next_hop,
        remote=remote, reply=reply, tls=tls, delay_ms=round(delay_ms, 1), attempt_ms=round(attempt_ms, 1),
        attempts=attempts,
    )  # fmt: skip


def deferred(
    queue_id: str, *, recipients: Iterable[object], next_hop: str, remote: str, reply: str, attempts: int, due_at: str
) -> None:
    emit(
        "warning", "deferred", queue_id=queue_id, recipients=_list(recipients), next_hop=next_hop, remote=remote,
        reply=reply, attempts=attempts, due_at=due_at,
    )  # fmt: skip


def failed(
    queue_id: str, *, recipients: Iterable[object], next_hop: str, remote: str, reply: str, dsn: str, attempts: int
) -> None:
    emit(
        "error", "failed", queue_id=queue_id, recipients=_list(recipients), next_hop=next_hop, remote=remote,
        reply=reply, dsn=dsn, attempts=attempts,
    )  # fmt: skip


def dropped(queue_id: str, *, recipients: Iterable[object], reason: str) -> None:
    emit("info", "dropped", queue_id=queue_id, recipients=_list(recipients), reason=reason)


def held(queue_id: str, *, recipients: Iterable[object], reason: str) -> None:
    emit("info", "held", queue_id=queue_id, recipients=_list(recipients), reason=reason)


def removed(queue_id: str) -> None:
    """The message's last recipient is final; it has left the queue."""
    emit("info", "removed", queue_id=queue_id)


def lease_lost(queue_id: str, *, next_hop: str) -> None:
    emit("error", "lease-lost", queue_id=queue_id, next_hop=next_hop)


def next_hop_stopped(next_hop: str, *, reason: str, probe_in_s: float) -> None:
    emit("error", "next-hop-stopped", next_hop=next_hop, reason=reason, probe_in_s=round(probe_in_s, 1))


def next_hop_resumed(next_hop: str) -> None:
    emit("info", "next-hop-resumed", next_hop=next_hop)


def queue_changed(what: str, *, by: str, which: str, deliveries: int) -> None:
    emit("warning", "queue-changed", what=what, by=by, which=which, deliveries=deliveries)
