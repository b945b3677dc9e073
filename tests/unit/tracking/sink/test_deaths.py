"""Tasks over which the process died: counted after a crash only, then dead letters; their target waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mta import events
from mta.model.tracking import TaskFilter, TaskState
from mta.ports.task_errors import TryAgainError
from tests.unit.tracking.monitor.office import Log
from tests.unit.tracking.sink.desks import Bench, bench, call

DONE, DEAD = TaskState.DONE, TaskState.DEAD


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await bench(tmp_path)
    yield made
    await made.runner.drain(0)
    await made.runner.close()
    await made.store.close()


async def died(desk: Bench, *keys: str, times: int = 2) -> None:
    """As a process leaves it that was killed over these tasks, each one alone."""
    for task in await desk.tasks():
        for _ in range(times if task.key in keys else 0):
            await desk.store.begin_message(":tasks", str(task.number))


async def test_what_killed_us_twice_alone_is_a_dead_letter_and_others_go_on(desk: Bench) -> None:
    await desk.add(call("a"), call("b"), call("c", "other"))
    await died(desk, "a")
    desk.turns.be_cautious(desk.clock.now())
    await desk.work()
    assert await desk.states() == {"a": (DEAD, "kills-us"), "b": (DONE, ""), "c": (DONE, "")}
    assert not desk.turns.is_cautious
    await desk.store.replay(TaskFilter(state=DEAD), desk.clock.now())
    desk.turns.be_cautious(desk.clock.now())  # its deaths before the replay don't count
    await desk.work()
    assert desk.other.calls[-1] == ("desk", "a")


async def test_what_we_outlived_counts_no_more(desk: Bench) -> None:
    await desk.add(call("a"))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    for _ in range(4):
        await died(desk, "a", times=1)
        desk.turns.be_cautious(desk.clock.now())
        await desk.work()
        desk.clock.go(hours=5)
    assert len(desk.other.calls) == 4


async def test_while_nothing_died_nothing_is_counted(desk: Bench) -> None:
    await desk.add(call("a"))
    await died(desk, "a")
    await desk.work()
    assert await desk.states() == {"a": (DONE, "")}


async def test_after_a_crash_one_thing_is_in_hand_at_a_time(desk: Bench) -> None:
    await desk.add(*(call(f"{name}{n}", name) for name in ("desk", "other") for n in range(4)))
    await desk.work()  # both have answered: several go at a time
    desk.turns.be_cautious(desk.clock.now())
    await desk.add(*(call(f"{name}{n}", name) for name in ("desk", "other") for n in range(4, 8)))
    async with desk.turns.of_task():  # somebody else's, such as a message
        await desk.runner.look()
        assert len(desk.other.calls) == 8
    await desk.work(2)
    assert len(desk.other.calls) == 16
    assert not desk.turns.is_cautious


async def test_what_comes_without_end_is_no_reason_to_go_on_with_one_at_a_time(desk: Bench) -> None:
    await desk.add(call("a"))
    desk.turns.be_cautious(desk.clock.now())
    desk.clock.go(seconds=1)
    await desk.add(call("b", due_at=desk.clock.now()))
    assert (await desk.runner.look(), desk.turns.is_cautious) == (2, True)
    await desk.settled()
    await desk.add(call("c", due_at=desk.clock.now()))
    assert (await desk.runner.look(), desk.turns.is_cautious) == (1, False)
    await desk.settled()


async def test_a_target_that_kills_again_and_again_waits_for_an_administrator(desk: Bench) -> None:
    await desk.add(*(call(f"a{n}") for n in range(4)), call("b", "other"))
    await died(desk, "a0", "a1")
    log = Log()
    events.configure([log], level="info")
    desk.turns.be_cautious(desk.clock.now())
    await desk.work()
    desk.clock.go(minutes=10)
    await desk.work()
    assert desk.other.calls == [("other", "b")]
    (left,) = desk.runner.report()["left_alone"]
    assert (left["target"], left["reason"]) == ("desk", "kills-us")
    assert log.count("tracking-target-left-alone") == 1
    desk.clock.go(hours=3)
    await desk.work()
    assert desk.other.calls == [("other", "b")]
    await desk.store.drop(TaskFilter(target="desk", state=DEAD))
    desk.runner.try_now()
    await desk.work()
    assert {key for _, key in desk.other.calls} == {"b", "a2", "a3"}
