"""What administrators are told."""

from __future__ import annotations

from collections.abc import Iterable

from mta.events.log import emit, listed


def alert(kind: str, *, key: str, what: str, mend: str) -> None:
    """Something is wrong that an administrator has to know; told by the channels, too."""
    emit("error", "alert", kind=kind, key=key, what=what, mend=mend)


def alert_over(kind: str, *, key: str, what: str) -> None:
    emit("info", "alert-over", kind=kind, key=key, what=what)


def alert_sent(channel: str, *, notices: int, keys: Iterable[str]) -> None:
    emit("info", "alert-sent", channel=channel, notices=notices, keys=listed(keys))


def alert_not_sent(channel: str, *, notices: int, error: str, again_in_s: float) -> None:
    emit("error", "alert-not-sent", channel=channel, notices=notices, error=error, again_in_s=again_in_s)


def watcher_blind(kinds: str, *, reason: str) -> None:
    """At the moment it can't be told whether something of these kinds is wrong."""
    emit("warning", "watcher-blind", kinds=kinds, reason=reason)
