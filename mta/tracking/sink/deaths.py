"""Tasks over which the process dies: a plug-in that ends it, or a library that crashes.

Attempts are counted in the store only after a crash, while one thing is in hand at a time. What is begun and not ended
again and again is a dead letter; a target with several of these isn't asked until an administrator has seen to them.
"""

from __future__ import annotations

from datetime import timedelta

from mta.model import task_reasons as reasons
from mta.model.tracking import Task, TaskFilter, TaskState
from mta.ports.task_errors import TargetDownError
from mta.ports.tracking_store import TrackingStore
from mta.tracking.sink.target import Target

ATTEMPTS_MAX = 2
"""Attempts that were begun alone and not ended, after which a task is not tried again."""
DEADLY_MAX = 2
"""Dead letters of that kind, with which a target isn't asked any more."""
LOOK_AGAIN_AFTER = timedelta(hours=1)
_OF_TASKS = ":tasks"
"""Where attempts at messages have their mailbox; no mailbox is called so."""


class Deaths:
    """All of it raises MailError where the store can't be used."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store

    async def begin(self, task: Task) -> bool:
        """Count an attempt; False where there were too many: it is not to be tried."""
        return await self._store.begin_message(_OF_TASKS, str(task.number)) <= ATTEMPTS_MAX

    async def end(self, task: Task) -> None:
        """We have outlived it: what came before counts no more."""
        await self._store.end_message(_OF_TASKS, str(task.number))

    async def is_trusted(self, target: Target) -> bool:
        """False where it has killed us too often: then it is left alone."""
        if not target.is_trusted:
            at = target.at
            deadly = TaskFilter(
                kind=at.kind, organisation=at.organisation, target=at.target, state=TaskState.DEAD, reason=reasons.KILLS
            )  # fmt: skip
            dead = sum((await self._store.count_tasks(deadly)).values())
            target.is_trusted = dead < DEADLY_MAX
            if not target.is_trusted:
                detail = f"{dead} dead letters killed the process: mend it, then replay or drop them"
                target.leave_alone(TargetDownError(reasons.KILLS, detail, retry_after=LOOK_AGAIN_AFTER))
        return target.is_trusted
