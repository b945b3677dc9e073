"""What the rules decide, what is made of it, and what follows."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit, listed


def decided(
    queue_id: str, *, group: int, recipients: Iterable[object], rules: Iterable[str], actions: Iterable[str],
    direction: str,
) -> None:  # fmt: skip
    emit(
        "info", "decided", queue_id=queue_id, group=group, recipients=listed(recipients), rules=listed(rules),
        actions=listed(actions), direction=direction,
    )  # fmt: skip


def audited(queue_id: str, *, rule: str, recipients: Iterable[object], actions: Iterable[str]) -> None:
    emit("info", "audited", queue_id=queue_id, rule=rule, recipients=listed(recipients), actions=listed(actions))


def rule_failed(queue_id: str, *, rule: str, error: str, outcome: str) -> None:
    emit("error", "rule-failed", queue_id=queue_id, rule=rule, error=error, outcome=outcome)


def withheld(queue_id: str, *, rule: str, reason: str, recipients: Iterable[object]) -> None:
    """A rule's changes that this message may not get: it is signed, or of a kind that the rule doesn't name."""
    emit("info", "withheld", queue_id=queue_id, rule=rule, reason=reason, recipients=listed(recipients))


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
        "info", "followed", queue_id=queue_id, kind=kind, rule=rule, spawned=spawned, recipients=listed(recipients)
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
