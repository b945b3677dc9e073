"""Every event that we log, one function each. A line has a time, `action`, and fields that grep finds.

Sinks: one file per component and day, journald, syslog, standard error. A sink that fails (full disk) loses lines,
never mail: `write` swallows OSError and counts it. No field ever holds a body, a subject, an attribute value or a
secret.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

Value = str | int | float | bool | None
Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
# White space, what has a meaning in logfmt, control characters, and marks that turn the direction of writing.
_NEEDS_QUOTES = re.compile(r'[\s"=\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]').search
# What JSON itself lets stand but a terminal does not.
_NEEDS_ESCAPES = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]").search
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_to_ascii_json = json.JSONEncoder().encode


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


class _Clock:
    """The local time as text, worked out once a second."""

    current: tuple[int, str, str, str] = (-1, "", "", "")
    """Second since 1970, its ISO 8601 text without and its zone, its day; replaced whole, for threads share it."""


def _now() -> tuple[str, str]:
    """Time with milliseconds and zone, and the day, both local."""
    now = time.time()
    second, start, zone, day = _Clock.current
    if second != int(now):
        local = time.localtime(now)
        start, day = time.strftime("%Y-%m-%dT%H:%M:%S", local), time.strftime("%Y-%m-%d", local)
        zone = time.strftime("%z", local)
        zone = f"{zone[:3]}:{zone[3:]}"
        second = int(now)
        _Clock.current = (second, start, zone, day)
    return f"{start}.{int((now - second) * 1000):03d}{zone}", day


def format_logfmt(fields: Mapping[str, Value]) -> str:
    """`key=value` pairs; values with spaces, quotes or control characters are quoted as in JSON."""
    parts = []
    for key, value in fields.items():
        if isinstance(value, str):
            if value:
                parts.append(f"{key}={_to_ascii_json(value)}" if _NEEDS_QUOTES(value) else f"{key}={value}")
        elif isinstance(value, bool):
            parts.append(f"{key}=true" if value else f"{key}=false")
        elif value is not None:
            parts.append(f"{key}={value}")
    return " ".join(parts)


def format_json(fields: Mapping[str, Value]) -> str:
    """One JSON object; empty values are left out."""
    kept = {key: value for key, value in fields.items() if value is not None and value != ""}
    line = _to_json(kept)
    return _to_ascii_json(kept) if not line.isascii() and _NEEDS_ESCAPES(line) else line


def format_event(level: Level, action: str, fields: Mapping[str, Value], *, as_json: bool) -> tuple[str, str]:
    """The finished line and its day; for `emit`, and for sinks that have something to say of themselves."""
    now, day = _now()
    if as_json:
        return format_json({"time": now, "level": level, "action": action, **fields}), day
    return f"time={now} level={level} action={action} {format_logfmt(fields)}".rstrip(), day


def emit(level: Level, action: str, **fields: Value) -> None:
    """Write one event to all sinks. Only the functions below (and their like) call this."""
    if not _Log.sinks or _LEVELS[level] < _Log.threshold:
        return
    line, day = format_event(level, action, fields, as_json=_Log.as_json)
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


# --- receive ---------------------------------------------------------------------------------------------------------


def connection_refused(listener: str, *, client: str, reason: str) -> None:
    emit("warning", "connection-refused", listener=listener, client=client, reason=reason)


def accept_failed(listener: str, *, error: str) -> None:
    """The machine has no room for another connection; clients wait meanwhile."""
    mend = "raise LimitNOFILE= of the service, or lower the listener's limits"
    emit("error", "accept-failed", listener=listener, error=error, outcome="clients wait, or time out", mend=mend)


def crowded(listener: str, *, connections: int, idle_s: float) -> None:
    """Most of the connections that it may have are taken, so idle ones are closed soon."""
    emit("warning", "crowded", listener=listener, connections=connections, idle_s=idle_s)


def tls_failed(listener: str, *, client: str, reason: str) -> None:
    emit("warning", "tls-failed", listener=listener, client=client, reason=reason)


def session_closed(listener: str, *, client: str, reason: str) -> None:
    emit("warning", "session-closed", listener=listener, client=client, reason=reason)


def command_refused(listener: str, *, client: str, command: str, reply: str) -> None:
    emit("info", "command-refused", listener=listener, client=client, command=command[:20], reply=reply)


def recipient_refused(listener: str, *, client: str, sender: str, recipient: str, reply: str) -> None:
    emit("info", "recipient-refused", listener=listener, client=client, sender=sender, recipient=recipient, reply=reply)


def message_refused(
    listener: str, *, client: str, sender: str, recipients: int, reply: str, rule: str = "", message_id: str = "",
    queue_id: str = "",
) -> None:  # fmt: skip
    emit(
        "warning", "message-refused", queue_id=queue_id, listener=listener, client=client, sender=sender,
        recipients=recipients, reply=reply, rule=rule, message_id=message_id,
    )  # fmt: skip


def message_accepted(
    queue_id: str, *, listener: str, client: str, sender: str, recipients: Iterable[object], size: int,
    message_id: str, kind: str, snapshot: str, tls: str, decide_ms: float, spool_ms: float, helo: str = "",
    account: str = "", certificate: str = "",
) -> None:  # fmt: skip
    emit(
        "info", "accepted", queue_id=queue_id, listener=listener, client=client, sender=sender,
        recipients=_list(recipients), size=size, message_id=message_id, kind=kind, snapshot=snapshot, tls=tls,
        helo=helo, account=account, certificate=certificate, decide_ms=round(decide_ms, 2),
        spool_ms=round(spool_ms, 2),
    )  # fmt: skip


def authenticated(
    queue_id: str, *, spf: str, spf_domain: str, dkim: str, dkim_domains: Iterable[str], dmarc: str, dmarc_domain: str,
    dmarc_policy: str, arc: str, arc_domain: str, took_ms: float,
) -> None:  # fmt: skip
    """What SPF, DKIM, DMARC and ARC say about a message from outside; empty where a method was not tried."""
    emit(
        "info", "authenticated", queue_id=queue_id, spf=spf, spf_domain=spf_domain, dkim=dkim,
        dkim_domains=_list(dkim_domains), dmarc=dmarc, dmarc_domain=dmarc_domain, dmarc_policy=dmarc_policy, arc=arc,
        arc_domain=arc_domain, took_ms=round(took_ms, 2),
    )  # fmt: skip


def from_outside(queue_id: str, *, reason: str) -> None:
    """Our own server passes on mail that has our domain in From or Sender, but is not ours."""
    emit("info", "from-outside", queue_id=queue_id, reason=reason)


def sealed(queue_id: str, *, group: int, domain: str, selector: str, instance: int, status: str) -> None:
    """A copy got our ARC set."""
    emit(
        "debug", "sealed", queue_id=queue_id, group=group, domain=domain, selector=selector, instance=instance,
        status=status,
    )  # fmt: skip


def mark_removed(queue_id: str, *, reason: str) -> None:
    emit("warning", "mark-removed", queue_id=queue_id, reason=reason)


def already_processed(queue_id: str) -> None:
    emit("info", "already-processed", queue_id=queue_id)


def over_limits(queue_id: str, *, what: str, limit: int, outcome: str) -> None:
    emit("warning", "over-limits", queue_id=queue_id, what=what, limit=limit, outcome=outcome)


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


def withheld(queue_id: str, *, rule: str, reason: str, recipients: Iterable[object]) -> None:
    """A rule's changes that this message may not get: it is signed, or of a kind that the rule doesn't name."""
    emit("info", "withheld", queue_id=queue_id, rule=rule, reason=reason, recipients=_list(recipients))


def too_many_variants(queue_id: str, *, wanted: int) -> None:
    emit("warning", "too-many-variants", queue_id=queue_id, wanted=wanted)


def recipient_added(queue_id: str, *, recipient: object, rule: str, in_place_of: str) -> None:
    """A rule sends a copy to somebody whom the envelope does not name, perhaps instead of a recipient."""
    emit(
        "info", "recipient-added", queue_id=queue_id, recipient=str(recipient), rule=rule, in_place_of=in_place_of
    )  # fmt: skip


def followed(queue_id: str, *, kind: str, rule: str, spawned: str, recipients: Iterable[object]) -> None:
    """A message of our own was queued with another one: an archive copy, a notice, an auto-response."""
    emit(
        "info", "followed", queue_id=queue_id, kind=kind, rule=rule, spawned=spawned, recipients=_list(recipients)
    )  # fmt: skip


def not_followed(queue_id: str, *, kind: str, rule: str, reason: str) -> None:
    """Rightly: it is done already, or it must not be done for this message."""
    emit("info", "not-followed", queue_id=queue_id, kind=kind, rule=rule, reason=reason)


def plugin_called(queue_id: str, *, rule: str, plugin: str, took_ms: float) -> None:
    emit("debug", "plugin-called", queue_id=queue_id, rule=rule, plugin=plugin, took_ms=round(took_ms, 2))


def plugin_slow(queue_id: str, *, limit_s: float) -> None:
    """Deciding took longer than plug-ins may: the client is told to come back."""
    emit("error", "plugin-slow", queue_id=queue_id, limit_s=limit_s)


def stamp_skipped(queue_id: str, *, group: int, template: str, reason: str) -> None:
    emit("info", "stamp-skipped", queue_id=queue_id, group=group, template=template, reason=reason)


def signed(queue_id: str, *, group: int, domain: str, selector: str) -> None:
    emit("debug", "signed", queue_id=queue_id, group=group, domain=domain, selector=selector)


# --- watch -----------------------------------------------------------------------------------------------------------


def alert(kind: str, *, key: str, what: str, mend: str) -> None:
    """Something is wrong that an administrator has to know; told by the channels, too."""
    emit("error", "alert", kind=kind, key=key, what=what, mend=mend)


def alert_over(kind: str, *, key: str, what: str) -> None:
    emit("info", "alert-over", kind=kind, key=key, what=what)


def alert_sent(channel: str, *, notices: int, keys: Iterable[str]) -> None:
    emit("info", "alert-sent", channel=channel, notices=notices, keys=_list(keys))


def alert_not_sent(channel: str, *, notices: int, error: str, again_in_s: float) -> None:
    emit("error", "alert-not-sent", channel=channel, notices=notices, error=error, again_in_s=again_in_s)


def watcher_blind(kinds: str, *, reason: str) -> None:
    """At the moment it can't be told whether something of these kinds is wrong."""
    emit("warning", "watcher-blind", kinds=kinds, reason=reason)


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


def settle_failed(queue_id: str, *, error: str, again_in_s: float) -> None:
    """The outcome of an attempt can't be written; the copies are sent, so it is written as soon as it can be."""
    emit("error", "settle-failed", queue_id=queue_id, error=error, again_in_s=again_in_s)


def lease_lost(queue_id: str, *, next_hop: str) -> None:
    emit("error", "lease-lost", queue_id=queue_id, next_hop=next_hop)


def next_hop_stopped(next_hop: str, *, reason: str, probe_in_s: float) -> None:
    emit("error", "next-hop-stopped", next_hop=next_hop, reason=reason, probe_in_s=round(probe_in_s, 1))


def next_hop_resumed(next_hop: str) -> None:
    emit("info", "next-hop-resumed", next_hop=next_hop)


def next_hop_login_refused(next_hop: str, *, reason: str, probe_in_s: float) -> None:
    """It does not take the user and password of the configuration: its mail waits until it does."""
    emit("error", "next-hop-login-refused", next_hop=next_hop, reason=reason, probe_in_s=round(probe_in_s, 1))


def next_hop_in_clear_text(next_hop: str, *, remote: str, reason: str) -> None:
    """TLS failed where it is wanted but not required; said once for as long as it is not tried again."""
    emit("warning", "next-hop-in-clear-text", next_hop=next_hop, remote=remote, reason=reason)


def next_hop_tls_unusable(next_hop: str, *, error: str) -> None:
    """A changed certificate, key or CA file can't be used; the former is."""
    emit("error", "next-hop-tls-unusable", next_hop=next_hop, error=error)


def next_hop_unknown(next_hop: str, *, used: str) -> None:
    """A queued message names a next hop that the configuration no longer has."""
    emit("warning", "next-hop-unknown", next_hop=next_hop, used=used)


def next_hop_frozen(next_hop: str, *, by: str, reason: str) -> None:
    """An administrator has it left alone: its mail is accepted and waits."""
    emit("warning", "next-hop-frozen", next_hop=next_hop, by=by, reason=reason)


def next_hop_thawed(next_hop: str, *, by: str) -> None:
    emit("warning", "next-hop-thawed", next_hop=next_hop, by=by)


def draining(*, by: str, reason: str) -> None:
    """An administrator has this node take no mail: clients get 421 4.3.2."""
    emit("warning", "draining", by=by, reason=reason)


def undrained(*, by: str) -> None:
    emit("warning", "undrained", by=by)


def left_alone(queue_id: str, *, next_hop: str, reason: str) -> None:
    """A delivery is put back untried: its next hop is frozen."""
    emit("info", "left-alone", queue_id=queue_id, next_hop=next_hop, reason=reason)


def message_read(queue_id: str, *, by: str) -> None:
    """An administrator had the message's bytes printed."""
    emit("warning", "message-read", queue_id=queue_id, by=by)


def queue_changed(what: str, *, by: str, which: str, queue_ids: Sequence[str], to: str = "") -> None:
    """`to` is the new next hop, where they are rerouted."""
    emit(
        "warning", "queue-changed", what=what, by=by, which=which, to=to, messages=len(queue_ids),
        queue_ids=_list(queue_ids),
    )  # fmt: skip


# --- directory -------------------------------------------------------------------------------------------------------


def directory_server_failed(server: str, *, error: str, again_in_s: float) -> None:
    """Another server is asked, where there is one."""
    emit("warning", "directory-server-failed", server=server, error=error, again_in_s=round(again_in_s, 1))


def directory_server_back(server: str) -> None:
    emit("info", "directory-server-back", server=server)


def directory_down(source: str, *, error: str) -> None:
    """No server answers; what is cached is used until one does."""
    emit("error", "directory-down", source=source, error=error)


def directory_up(source: str, *, down_s: float) -> None:
    emit("info", "directory-up", source=source, down_s=round(down_s, 1))


def directory_stale(source: str, *, entries: int, oldest_s: float) -> None:
    """Entries past their time were used because no server answers; said once a minute."""
    emit("warning", "directory-stale", source=source, entries=entries, oldest_s=round(oldest_s))


def directory_loaded(source: str, *, people: int, took_s: float) -> None:
    emit("info", "directory-loaded", source=source, people=people, took_s=round(took_s, 1))
