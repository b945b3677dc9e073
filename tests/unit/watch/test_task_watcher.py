"""Dead letters and tasks that wait for too long, on a real store."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from mta.adapters.store.look import look_at_tasks
from mta.model.tracking import NewTask, TaskFilter, TaskKind, TaskOutcome, TaskState
from mta.watch.task_watcher import TaskWatcher
from mta.watch.trouble import CantLookError, Trouble
from tests.unit.tracking.sink.desks import NOON, Bench, bench, call, notice

HOUR = timedelta(hours=1)


async def found(desk: Bench, folder: Path) -> dict[str, Trouble]:
    watcher = TaskWatcher(partial(look_at_tasks, folder), age=4 * HOUR)
    troubles = await watcher.look(desk.clock.now())
    assert {trouble.kind for trouble in troubles} <= watcher.kinds
    return {trouble.key: trouble for trouble in troubles}


async def test_each_target_with_dead_or_late_tasks_is_told_of(tmp_path: Path) -> None:
    desk = await bench(tmp_path)
    marks = (NewTask(name, TaskKind.WRITE_BACK, "example", name, b"{}", NOON) for name in ("a@x.com", "b@x.com"))
    await desk.add(call("1"), call("2"), call("3", "other"), notice("4", "jane@example.net"), *marks)
    assert await found(desk, tmp_path) == {}
    await desk.store.settle_task(TaskOutcome(1, TaskState.DEAD, "status-404"))
    await desk.store.settle_task(TaskOutcome(3, TaskState.DONE))
    assert set(await found(desk, tmp_path)) == {"tasks-dead:call:example:desk"}
    desk.clock.go(hours=5)
    troubles = await found(desk, tmp_path)
    assert {key: trouble.subject for key, trouble in troubles.items()} == {
        "tasks-dead:call:example:desk": "1 call for sink desk could not be done",
        "tasks-late:call:example:desk": "1 call for sink desk waits for longer than 4 hours",
        "tasks-late:notice:example:post": "1 notice for outgoing account post waits for longer than 4 hours",
        "tasks-late:write-back:example:": "2 write-backs for mailboxes of example wait for longer than 4 hours",
    }
    assert "records replay --kind call --target desk" in troubles["tasks-dead:call:example:desk"].text
    await desk.store.replay(TaskFilter(kind=TaskKind.CALL), desk.clock.now())
    await desk.store.drop(TaskFilter(kind=TaskKind.WRITE_BACK))
    keys = {"tasks-late:call:example:desk", "tasks-late:notice:example:post"}
    assert set(await found(desk, tmp_path)) == keys  # what was replayed has its time again, the other call has not
    await desk.store.close()


async def test_where_there_is_no_store_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(CantLookError):
        await TaskWatcher(partial(look_at_tasks, tmp_path), age=HOUR).look(NOON)
