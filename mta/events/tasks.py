"""What tracking has to do elsewhere: calls of sinks, notices, write-backs."""

from __future__ import annotations

from mta.events.log import Level, emit


def tracking_task(
    task: int, *, kind: str, organisation: str, target: str, record: str, state: str, reason: str, detail: str,
    attempts: int, is_news: bool,
) -> None:  # fmt: skip
    """A task was tried: how it stands. No news: it waits on for the same reason as before."""
    level: Level = "warning" if state == "dead" else "info" if is_news else "debug"
    emit(
        level, "tracking-task", task=task, kind=kind, organisation=organisation,
        target=target, record=record, state=state, reason=reason, detail=detail, attempts=attempts,
    )  # fmt: skip


def tracking_target_left_alone(
    target: str, *, kind: str, organisation: str, reason: str, detail: str, for_s: float
) -> None:
    """A sink, account or mailbox is in trouble: its tasks wait so long, and lose no attempt by it."""
    emit(
        "warning", "tracking-target-left-alone", target=target, kind=kind, organisation=organisation, reason=reason,
        detail=detail, for_s=round(for_s, 1),
    )  # fmt: skip


def tracking_target_answers(target: str, *, kind: str, organisation: str, reason: str) -> None:
    """After it was left alone for that reason."""
    emit("info", "tracking-target-answers", target=target, kind=kind, organisation=organisation, was=reason)


def tracking_target_missing(target: str, *, kind: str, organisation: str) -> None:
    """Tasks wait for a sink or account that the configuration has not."""
    emit("warning", "tracking-target-missing", target=target, kind=kind, organisation=organisation)


def tracking_target_unverified(target: str, *, organisation: str) -> None:
    """Said of a sink or account at each start and reload."""
    emit(
        "warning", "tracking-target-unverified", target=target, organisation=organisation,
        what="tls: verify: false, so anybody on the way can read and change everything, passwords too",
    )  # fmt: skip


def tracking_tasks_changed(operation: str, *, by: str, which: str, tasks: int) -> None:
    """An administrator has replayed or dropped tasks."""
    emit("warning", "tracking-tasks-changed", operation=operation, by=by, which=which, tasks=tasks)


def tracking_plugin_stuck(plugin: str, *, threads: int) -> None:
    """So many calls of a plug-in hang that it is not called any more until the process is restarted."""
    emit("error", "tracking-plugin-stuck", plugin=plugin, threads=threads)
