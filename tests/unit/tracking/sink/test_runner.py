"""Tasks: order, back-off, circuits, dead letters, reloads, clocks, the end."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.tracking import NewTask, Task, TaskFilter, TaskKind, TaskOutcome, TaskState
from mta.ports.outgoing import Sent
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from tests.unit.tracking.sink.desks import NOON, NOTICE, Bench, Desk, bench, call, notice, settings

WAITING, DONE, DEAD = TaskState.WAITING, TaskState.DONE, TaskState.DEAD


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await bench(tmp_path)
    yield made
    await made.runner.drain(0)
    await made.runner.close()
    await made.store.close()


async def test_what_is_due_is_done_once(desk: Bench) -> None:
    await desk.add(call("a"), call("b", "other"), notice("c", "jane@example.net"))
    await desk.work(2)
    assert sorted(desk.other.calls) == [("desk", "a"), ("other", "b"), ("post", "desk@example.com")]
    assert set((await desk.states()).values()) == {(DONE, "")}
    assert [task.attempts for task in await desk.tasks()] == [1, 1, 1]


async def test_what_is_not_due_waits(desk: Bench) -> None:
    await desk.add(call("a", due_at=NOON + timedelta(hours=1)))
    await desk.work()
    assert desk.other.calls == []
    desk.clock.go(hours=1)
    await desk.work()
    assert desk.other.calls == [("desk", "a")]


async def test_calls_of_one_record_keep_their_order_also_when_one_fails(desk: Bench) -> None:
    record, another = await desk.transaction("<1@x>"), await desk.transaction("<2@x>")
    await desk.add(
        *(call(f"{each}{n}", transaction=of) for n in range(4) for each, of in (("a", record), ("b", another)))
    )
    tries = itertools.count()
    desk.other.answers["desk"] = lambda: TryAgainError("status-500") if next(tries) in (2, 3) else None
    for _ in range(4):
        await desk.work()
        desk.clock.go(minutes=10)
    done = [key for _, key in desk.other.calls]
    assert set((await desk.states()).values()) == {(DONE, "")}
    for each in "ab":
        mine = [key for key in done if key.startswith(each)]
        assert sorted(mine) == mine
    assert len(done) == 10


async def test_a_failure_waits_longer_each_time_and_dies_at_the_end(desk: Bench) -> None:
    await desk.add(call("a"))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    waits = []
    for _ in range(60):
        await desk.work()
        (task,) = await desk.tasks()
        if task.state is DEAD:
            break
        assert task.due_at is not None
        waits.append((task.due_at - desk.clock.now()).total_seconds())
        desk.clock.time = task.due_at
    assert (task.state, task.reason) == (DEAD, "status-500")
    assert desk.clock.now() == NOON + timedelta(days=3)
    assert waits[:4] == sorted(waits[:4])
    assert 10 <= waits[0] <= 12
    assert 20 < len(waits) < 40


async def test_a_refusal_is_a_dead_letter_at_once_and_can_be_replayed(desk: Bench) -> None:
    await desk.add(call("a"), call("b"))
    desk.other.answers["desk"] = lambda: RefusedTaskError("status-400", "no such field")
    await desk.work()
    assert set((await desk.states()).values()) == {(DEAD, "status-400")}
    desk.clock.go(days=10)
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    assert await desk.store.replay(TaskFilter(state=DEAD), desk.clock.now()) == 2
    await desk.work()
    assert set((await desk.states()).values()) == {(WAITING, "status-500")}  # its age counts from the replay
    del desk.other.answers["desk"]
    desk.clock.go(minutes=5)
    await desk.work()
    assert set((await desk.states()).values()) == {(DONE, "")}


async def test_a_target_that_is_down_is_asked_seldom_and_keeps_no_other_waiting(desk: Bench) -> None:
    await desk.add(*(call(f"a{n}") for n in range(100)), *(call(f"b{n}", "other") for n in range(20)))
    desk.other.answers["desk"] = lambda: TargetDownError("unreachable", "no route")
    await desk.work()
    assert [name for name, _ in desk.other.calls].count("desk") == 1
    assert [name for name, _ in desk.other.calls].count("other") == 20
    assert desk.runner.report()["left_alone"] == [
        {"kind": "call", "organisation": "example", "target": "desk", "reason": "unreachable", "detail": "no route"}
    ]
    assert sum(task.attempts for task in await desk.tasks(target="desk")) == 1
    for _ in range(20):
        desk.clock.go(minutes=15)
        await desk.work()
    assert [name for name, _ in desk.other.calls].count("desk") == 21
    del desk.other.answers["desk"]
    desk.clock.go(minutes=15)
    await desk.work()
    assert set((await desk.states()).values()) == {(DONE, "")}
    assert desk.runner.report()["left_alone"] == []


async def test_a_pause_that_the_other_side_asks_for_is_kept(desk: Bench) -> None:
    await desk.add(call("a"), call("b"))
    desk.other.answers["desk"] = lambda: TargetDownError("status-429", retry_after=timedelta(hours=2))
    await desk.work()
    del desk.other.answers["desk"]
    desk.clock.go(hours=1, minutes=59)
    await desk.work()
    assert len(desk.other.calls) == 1
    desk.clock.go(minutes=1)
    await desk.work()
    assert set((await desk.states()).values()) == {(DONE, "")}


async def test_tasks_that_all_fail_are_the_targets_trouble(desk: Bench) -> None:
    """A server that answers each call by 500 is spared the other thousand."""
    await desk.add(*(call(f"a{n}") for n in range(200)))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    await desk.work()
    assert len(desk.other.calls) < 10


async def test_one_that_always_fails_does_not_stop_the_others(desk: Bench) -> None:
    await desk.add(call("poison"), *(call(f"a{n}") for n in range(20)))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500") if desk.other.calls[-1][1] == "poison" else None
    await desk.work()
    states = await desk.states()
    assert states.pop("poison") == (WAITING, "status-500")
    assert set(states.values()) == {(DONE, "")}


async def test_a_target_is_asked_alone_first_and_then_by_some(desk: Bench) -> None:
    desk.other.gate = asyncio.Event()
    await desk.add(*(call(f"a{n}") for n in range(30)))
    await desk.runner.look()
    for _ in range(5):
        await desk.runner.look()
    assert desk.other.most_at_a_time in ({}, {"desk": 1})
    desk.other.gate.set()
    await desk.work(2)
    assert len(desk.other.calls) == 30
    assert desk.other.most_at_a_time["desk"] <= 4


async def test_what_nobody_knows_waits_for_its_configuration(desk: Bench) -> None:
    await desk.add(call("a", "later"), call("b", "desk"))
    await desk.work(2)
    assert await desk.states() == {"a": (WAITING, ""), "b": (DONE, "")}
    assert desk.runner.report()["not_configured"] == [{"kind": "call", "organisation": "example", "target": "later"}]
    hook = {"kind": "webhook", "name": "later", "url": "https://x.example.com", "key": {"env": "KEY"}}
    desk.runner.equip({"example": Desk("example", settings(sinks=[hook]))})
    await desk.work()
    assert await desk.states() == {"a": (DONE, ""), "b": (DONE, "")}


async def test_another_configuration_of_a_target_has_it_tried_at_once(desk: Bench) -> None:
    await desk.add(call("a"), call("b"))
    desk.other.answers["desk"] = lambda: TargetDownError("unreachable")
    await desk.work()
    del desk.other.answers["desk"]
    desk.runner.equip([Desk("example", settings())])
    await desk.work()
    assert len(desk.other.calls) == 1  # the same settings change nothing
    hook = {"kind": "webhook", "name": "desk", "url": "https://new.example.com", "key": {"env": "KEY"}}
    desk.runner.equip([Desk("example", settings(sinks=[hook]))])
    await desk.work()
    assert set((await desk.states()).values()) == {(DONE, "")}
    assert desk.other.closed == ["desk"]
    assert desk.other.opened == ["desk", "desk"]


async def test_notices_come_from_whom_the_account_may_send_for(desk: Bench) -> None:
    foreign = NOTICE.replace(b"desk@", b"boss@")
    nobody, several = NOTICE.replace(b"From:", b"X-From:"), NOTICE.replace(b"To:", b"From: a@example.com\r\nTo:")
    to = "jane@example.net"
    await desk.add(notice("a", to, message=foreign), notice("b", to, message=nobody), notice("c", to, message=several))
    await desk.add(notice("d"), notice("e", to))
    await desk.work()
    assert await desk.states() == {
        "a": (DEAD, "sender-not-allowed"),
        "b": (DEAD, "unsendable"),
        "c": (DEAD, "unsendable"),
        "d": (DEAD, "unsendable"),
        "e": (DONE, ""),
    }
    assert [mail.recipients for mail in desk.other.mails] == [(to,)]


async def test_a_sender_that_is_not_allowed_any_more_is_refused(desk: Bench) -> None:
    await desk.add(notice("a", "jane@example.net"))
    desk.runner.equip([Desk("example", settings(allowed_senders=["other@example.com"]))])
    await desk.work()
    assert await desk.states() == {"a": (DEAD, "sender-not-allowed")}


async def test_recipients_who_are_put_off_get_it_later_and_nobody_gets_it_twice(desk: Bench) -> None:
    jane, joe, jim = "jane@example.net", "joe@example.net", "jim@example.net"
    answers: Iterator[Sent | TaskError] = iter(
        [Sent({joe: "450 later"}, {jim: "550 unknown"}), TryAgainError("deferred"), Sent()]
    )
    desk.other.answers["post"] = lambda: next(answers)
    await desk.add(notice("a", jane, joe, jim))
    for _ in range(3):
        await desk.work()
        desk.clock.go(minutes=5)
    assert [mail.recipients for mail in desk.other.mails] == [(jane, joe, jim), (joe,), (joe,)]
    assert await desk.states() == {"a": (DONE, "some-refused"), "a+later": (DONE, "")}
    (first, _) = await desk.tasks()
    assert first.detail == "jim@example.net: 550 unknown"


async def test_after_a_leap_forwards_nothing_is_given_up(desk: Bench) -> None:
    await desk.add(call("a"))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    desk.clock.go(days=30)
    desk.leaps.is_in_doubt = True
    await desk.work()
    assert (await desk.states())["a"] == (WAITING, "status-500")
    desk.leaps.is_in_doubt = False
    desk.clock.go(hours=1)
    await desk.work()
    assert (await desk.states())["a"] == (DEAD, "status-500")


async def test_after_a_leap_backwards_nothing_waits_for_times_far_ahead(desk: Bench) -> None:
    await desk.add(call("a"), call("b", "other"))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    desk.other.answers["other"] = lambda: TargetDownError("unreachable")
    await desk.work()
    desk.other.answers.clear()
    desk.clock.go(days=-30)
    desk.leaps.leap = timedelta(days=-30)
    await desk.work()
    assert set((await desk.states()).values()) == {(DONE, "")}


async def test_a_clock_that_was_set_back_while_we_did_not_run_keeps_nothing_waiting(desk: Bench) -> None:
    await desk.add(call("a", due_at=NOON + timedelta(days=400)))
    await desk.work()
    assert await desk.states() == {"a": (DONE, "")}


async def test_a_fault_of_ours_costs_no_other_task_and_tells_no_content(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret text of a record")

    desk.other.answers["desk"] = broken
    await desk.add(call("a"), call("b", "other"))
    await desk.work()
    assert await desk.states() == {"a": (WAITING, "internal-error"), "b": (DONE, "")}
    (task, _) = await desk.tasks()
    assert "secret" not in task.detail
    assert task.due_at is not None
    assert task.due_at - NOON >= timedelta(minutes=10)


async def test_what_cannot_be_opened_waits_and_says_why(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/etc/key")

    monkeypatch.setattr(desk.runner, "_open_sink", missing)
    await desk.add(call("a"))
    await desk.work()
    (task,) = await desk.tasks()
    assert (task.state, task.reason) == (WAITING, "not-opened")
    assert "/etc/key" in task.detail


async def test_write_backs_wait_where_nobody_writes_back(desk: Bench) -> None:
    await desk.add(NewTask("w", TaskKind.WRITE_BACK, "example", "jane@example.com", b"{}", NOON))
    await desk.work(2)
    assert await desk.states() == {"w": (WAITING, "")}


async def test_write_backs_are_carried_out_mailbox_by_mailbox(tmp_path: Path) -> None:
    written: list[str] = []

    async def write_back(task: Task) -> None:
        if task.target.startswith("jane"):
            raise TargetDownError("unreachable")
        written.append(task.target)

    mine = settings(write_back={"audience": {"addresses": ["*@example.com"]}})
    desk = await bench(tmp_path, mine, write_back)
    people = [f"{name}@example.com" for name in ("jane", "joe", "jim")]
    await desk.add(*(NewTask(each, TaskKind.WRITE_BACK, "example", each, b"{}", NOON) for each in people))
    await desk.work(2)
    assert sorted(written) == people[:0:-1]
    assert (await desk.states())["jane@example.com"] == (WAITING, "unreachable")
    await desk.runner.close()
    await desk.store.close()


async def test_the_end_waits_for_what_is_in_hand_and_what_is_broken_off_is_done_again(desk: Bench) -> None:
    desk.other.gate = asyncio.Event()
    await desk.add(call("a"), call("b", "other"))
    running = asyncio.create_task(desk.runner.run())
    async with asyncio.timeout(60):
        while len(desk.other.calls) < 2:
            await asyncio.sleep(0.001)
    assert await desk.runner.drain(0.01) == 2
    await running
    assert set((await desk.states()).values()) == {(WAITING, "")}
    assert [task.attempts for task in await desk.tasks()] == [0, 0]


async def test_new_tasks_are_found_while_it_runs(desk: Bench) -> None:
    running = asyncio.create_task(desk.runner.run())
    await desk.add(call("a"))
    desk.runner.wake()
    async with asyncio.timeout(60):
        while (await desk.states())["a"] != (DONE, ""):
            await asyncio.sleep(0.001)
    await desk.runner.drain(1)
    await running


async def test_what_an_administrator_drops_is_not_done_and_lets_the_next_one_go(desk: Bench) -> None:
    record = await desk.transaction("<1@x>")
    await desk.add(call("a", transaction=record), call("b", transaction=record), call("c", "other"))
    desk.other.answers["desk"] = lambda: TryAgainError("status-500")
    desk.other.answers["other"] = lambda: RefusedTaskError("status-404")
    await desk.work()
    assert await desk.store.drop(TaskFilter(reason="status-404")) == 1
    assert await desk.store.drop(TaskFilter(number=1)) == 1
    assert await desk.store.drop(TaskFilter(number=1)) == 0
    assert await desk.store.replay(TaskFilter(), desk.clock.now()) == 0
    desk.other.answers.clear()
    await desk.work()
    assert await desk.states() == {"a": (DONE, "by-administrator"), "b": (DONE, ""), "c": (DONE, "by-administrator")}
    task = await desk.store.task(1)
    assert task is not None
    assert task.payload == b""
    counts = await desk.store.count_tasks(TaskFilter(kind=TaskKind.CALL))
    assert {(at.target, state): count for (at, state), count in counts.items()} == {
        ("desk", DONE): 2,
        ("other", DONE): 1,
    }


async def test_a_store_that_fails_afterwards_has_nothing_done_twice(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta.tracking.sink.runner.AFTER_OWN_FAULT_S", 0.01)
    settle, failures = desk.store.settle_task, iter([RuntimeError("one"), RuntimeError("two")])

    async def failing(outcome: TaskOutcome) -> None:
        for error in failures:
            raise error
        await settle(outcome)

    monkeypatch.setattr(desk.store, "settle_task", failing)
    await desk.add(call("a"))
    await desk.work(3)
    assert desk.other.calls == [("desk", "a")]
    assert await desk.states() == {"a": (DONE, "")}


async def test_targets_that_never_answer_leave_room_for_others(desk: Bench) -> None:
    hook = {"kind": "webhook", "url": "https://x.example.com", "key": {"env": "KEY"}}
    names = [f"silent{n}" for n in range(10)]
    desk.runner.equip([Desk("example", settings(sinks=[{**hook, "name": name} for name in (*names, "desk")]))])
    never = asyncio.Event()
    await desk.add(*(call(f"{name}-{n}", name) for name in names for n in range(20)), call("a"))
    silent = desk.other.asked

    async def asked(name: str, what: str) -> Sent:
        if name != "desk":
            await never.wait()
        return await silent(name, what)

    desk.other.asked = asked  # type: ignore[method-assign]
    async with asyncio.timeout(60):
        while (await desk.states())["a"] != (DONE, ""):
            await desk.runner.look()
            await asyncio.sleep(0)


async def test_memory_stays_flat_however_much_waits(desk: Bench) -> None:
    """60 MB of payloads, of which a few are in hand at a time."""
    payload = b'"%b"' % (b"x" * 60_000)
    for start in range(0, 1000, 50):
        numbers = range(start, start + 50)
        await desk.add(
            *(NewTask(f"{n}", TaskKind.CALL, "example", "desk", b"%d %b" % (n, payload), NOON) for n in numbers)
        )
    tracemalloc.start()
    try:
        await desk.work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(desk.other.calls) == 1000
    assert peak < 8_000_000
