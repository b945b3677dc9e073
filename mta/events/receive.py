"""Mail on its way in."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit, listed


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
        recipients=listed(recipients), size=size, message_id=message_id, kind=kind, snapshot=snapshot, tls=tls,
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
        dkim_domains=listed(dkim_domains), dmarc=dmarc, dmarc_domain=dmarc_domain, dmarc_policy=dmarc_policy, arc=arc,
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
