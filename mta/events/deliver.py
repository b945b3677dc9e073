"""Mail on its way out, and the queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mta.events.log import emit, listed


def delivered(
    queue_id: str, *, group: int, recipients: Iterable[object], next_hop: str, remote: str, reply: str, tls: str,
    delay_ms: float, attempt_ms: float, attempts: int,
) -> None:  # fmt: skip
    emit(
        "info", "delivered", queue_id=queue_id, group=group, recipients=listed(recipients), next_hop=next_hop,
        remote=remote, reply=reply, tls=tls, delay_ms=round(delay_ms, 1), attempt_ms=round(attempt_ms, 1),
        attempts=attempts,
    )  # fmt: skip


def deferred(
    queue_id: str, *, recipients: Iterable[object], next_hop: str, remote: str, reply: str, attempts: int, due_at: str
) -> None:
    emit(
        "warning", "deferred", queue_id=queue_id, recipients=listed(recipients), next_hop=next_hop, remote=remote,
        reply=reply, attempts=attempts, due_at=due_at,
    )  # fmt: skip


def failed(
    queue_id: str, *, recipients: Iterable[object], next_hop: str, remote: str, reply: str, dsn: str, attempts: int
) -> None:
    emit(
        "error", "failed", queue_id=queue_id, recipients=listed(recipients), next_hop=next_hop, remote=remote,
        reply=reply, dsn=dsn, attempts=attempts,
    )  # fmt: skip


def dropped(queue_id: str, *, recipients: Iterable[object], reason: str) -> None:
    emit("info", "dropped", queue_id=queue_id, recipients=listed(recipients), reason=reason)


def held(queue_id: str, *, recipients: Iterable[object], reason: str) -> None:
    emit("info", "held", queue_id=queue_id, recipients=listed(recipients), reason=reason)


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
        queue_ids=listed(queue_ids),
    )  # fmt: skip
