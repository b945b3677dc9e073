"""The port `TrackingStore`: tasks, monitored mailboxes, and what is forgotten."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.tracking import (
    EntryState,
    MailboxNotes,
    TaskFilter,
    TaskKind,
    TaskOutcome,
    TaskState,
    TaskTarget,
)
from mta.ports.tracking_store import TrackingStore
from tests.contract.spools import SettableClock
from tests.contract.tracking import DESK, Arrivals, OpenTracking

MINUTE = timedelta(minutes=1)
EVERY_TASK = TaskFilter()
LARGE = bytes(range(256)) * 600


async def settle(store: TrackingStore, number: int, state: TaskState = TaskState.DONE, **how: object) -> None:
    await store.settle_task(TaskOutcome(number, state, **how))  # type: ignore[arg-type]


async def keys(arrivals: Arrivals, limit: int = 100) -> list[str]:
    return [task.key for task in await arrivals.due(limit)]


# --- order ---------------------------------------------------------------------------------------------------------


async def test_a_task_has_its_payload_when_it_is_due(arrivals: Arrivals, tracking: TrackingStore) -> None:
    transaction = await arrivals.open()
    tasks = (arrivals.task("a", transaction, payload=b'{"x":1}'), arrivals.task("b", payload=LARGE, target="large"))
    assert await tracking.add_tasks(tasks) == 2
    assert await tracking.add_tasks(tasks) == 0, "once for each key"
    small, large = await arrivals.due()
    assert (small.key, small.payload, small.transaction, small.target) == ("a", b'{"x":1}', transaction, "hook")
    assert (small.state, small.attempts, small.created_at) == (TaskState.WAITING, 0, arrivals.clock.now())
    assert large.payload == LARGE
    assert [task.payload for task in await tracking.tasks(EVERY_TASK)] == [b"", b""]


async def test_in_one_line_a_later_one_waits_for_the_one_ahead(arrivals: Arrivals, tracking: TrackingStore) -> None:
    one, two = await arrivals.open("<1@x>"), await arrivals.open("<2@x>")
    await tracking.add_tasks(
        [
            arrivals.task("1a", one), arrivals.task("1b", one), arrivals.task("1c", one),
            arrivals.task("other line", two), arrivals.task("other target", one, target="b"),
            arrivals.task("other kind", one, kind=TaskKind.NOTICE), arrivals.task("x"), arrivals.task("y"),
        ]
    )  # fmt: skip
    free = {"other line", "other target", "other kind", "x", "y"}
    assert set(await keys(arrivals)) == {"1a", *free}
    (first,) = [task for task in await arrivals.due() if task.key == "1a"]
    await settle(tracking, first.number, TaskState.WAITING, due_at=arrivals.clock.now() + MINUTE)
    assert set(await keys(arrivals)) == free, "what waits for its next try holds its line up"
    arrivals.clock.pass_(MINUTE)
    assert set(await keys(arrivals)) == {"1a", *free}
    await settle(tracking, first.number, TaskState.DEAD, reason="refused")
    assert set(await keys(arrivals)) == {"1b", *free}, "a dead one doesn't"


async def test_the_oldest_due_come_first_whatever_their_target(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await tracking.add_tasks(
        [arrivals.task(f"{target}{wait}", target=target, wait_s=wait) for wait in (3, 1, 2, 9) for target in "ab"]
    )
    arrivals.clock.pass_(timedelta(seconds=5))
    assert await keys(arrivals, limit=4) == ["a1", "b1", "a2", "b2"]
    assert set(await keys(arrivals)) == {"a1", "b1", "a2", "b2", "a3", "b3"}


async def test_busy_ones_other_kinds_and_targets_left_alone_are_passed_over(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock
) -> None:
    await tracking.add_tasks([arrivals.task(key, target=key, kind=kind) for key, kind in zip("abc", TaskKind)])  # noqa: B905
    first = (await arrivals.due())[0]
    assert [task.key for task in await arrivals.due(busy=(first.number,))] == ["b", "c"]
    assert [task.key for task in await tracking.due_tasks([TaskKind.NOTICE], clock.now(), limit=9, busy=())] == ["b"]
    alone = [TaskTarget(TaskKind.CALL, DESK, "a"), TaskTarget(TaskKind.CALL, DESK, "b")]
    left = await tracking.due_tasks(list(TaskKind), clock.now(), limit=9, busy=(), left_alone=alone)
    assert [task.key for task in left] == ["b", "c"]


async def test_busy_ones_do_not_use_up_the_limit(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await tracking.add_tasks([arrivals.task(str(number), target=str(number % 3)) for number in range(9)])
    busy = tuple(task.number for task in await arrivals.due(limit=4))
    assert len(busy) == 4
    assert len(await arrivals.due(limit=4, busy=busy)) == 4


async def test_merged_lines_are_one_line(arrivals: Arrivals, tracking: TrackingStore) -> None:
    gone, into = await arrivals.open("<1@x>"), await arrivals.open("<2@x>")
    await tracking.add_tasks([arrivals.task("1", gone), arrivals.task("2", into), arrivals.task("3", gone)])
    await tracking.merge(gone, into, arrivals.clock.now())
    for expected in ("1", "2", "3"):
        (task,) = await arrivals.due()
        assert (task.key, task.transaction) == (expected, into)
        await settle(tracking, task.number)


# --- what becomes of them ------------------------------------------------------------------------------------------


async def test_what_is_done_lets_go_of_its_payload(arrivals: Arrivals, tracking: TrackingStore, tmp_path: Path) -> None:
    await tracking.add_tasks([arrivals.task("a", payload=LARGE)])
    (task,) = await arrivals.due()
    await settle(tracking, task.number, detail="200 OK")
    (done,) = await tracking.tasks(EVERY_TASK)
    assert (done.state, done.attempts, done.detail, done.due_at) == (TaskState.DONE, 1, "200 OK", None)
    assert [path for path in (tmp_path / "spool" / "bodies").rglob("*") if path.is_file()] == []
    again = await tracking.task(task.number)
    assert again is not None
    assert again.payload == b""
    assert await tracking.add_tasks([arrivals.task("a")]) == 0, "its key is known"


async def test_a_result_of_what_has_ended_changes_nothing(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await tracking.add_tasks([arrivals.task("a")])
    (task,) = await arrivals.due()
    await settle(tracking, task.number)
    await settle(tracking, task.number, TaskState.WAITING, due_at=arrivals.clock.now())
    await settle(tracking, 999)
    assert [each.state for each in await tracking.tasks(EVERY_TASK)] == [TaskState.DONE]
    assert await arrivals.due() == []


async def test_a_dead_one_is_replayed_as_new_and_in_its_place(
    arrivals: Arrivals, tracking: TrackingStore, open_tracking: OpenTracking, clock: SettableClock
) -> None:
    transaction = await arrivals.open()
    await tracking.add_tasks([arrivals.task("first", transaction, payload=b"kept"), arrivals.task("then", transaction)])
    (first,) = await arrivals.due()
    await settle(tracking, first.number, TaskState.DEAD, reason="refused", detail="410 Gone")
    assert await keys(arrivals) == ["then"]
    now = clock.pass_(timedelta(days=4))
    administrator = await open_tracking(False)
    assert await administrator.replay(EVERY_TASK, now) == 1
    (task,) = await arrivals.due()
    assert (task.key, task.payload, task.attempts, task.reason, task.detail) == ("first", b"kept", 0, "", "")
    assert (task.begun_at, task.created_at) == (now, now - timedelta(days=4))
    await settle(tracking, task.number)
    assert await keys(arrivals) == ["then"]


async def test_waiting_ones_are_replayed_where_they_are_asked_for(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock
) -> None:
    await tracking.add_tasks([arrivals.task("a"), arrivals.task("b", target="b")])
    for task in await arrivals.due():
        await settle(tracking, task.number, TaskState.WAITING, reason="unreachable", due_at=clock.now() + 9 * MINUTE)
    assert await tracking.replay(EVERY_TASK, clock.now()) == 0
    assert await tracking.replay(TaskFilter(state=TaskState.DONE), clock.now()) == 0
    assert await tracking.replay(TaskFilter(state=TaskState.WAITING, target="hook"), clock.now()) == 1
    (task,) = await arrivals.due()
    assert (task.key, task.attempts, task.reason) == ("a", 1, "unreachable")


async def test_many_are_replayed_in_steps(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await tracking.add_tasks([arrivals.task(str(number)) for number in range(450)])
    for task in await arrivals.due(limit=1000):
        await settle(tracking, task.number, TaskState.DEAD)
    assert await tracking.replay(EVERY_TASK, arrivals.clock.now()) == 450
    assert len(await arrivals.due(limit=1000)) == 450


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (TaskFilter(), "dcba"),
        (TaskFilter(number=2), "b"),
        (TaskFilter(kind=TaskKind.NOTICE), "c"),
        (TaskFilter(organisation="other"), "d"),
        (TaskFilter(target="WEB*"), "b"),
        (TaskFilter(state=TaskState.DEAD), "a"),
        (TaskFilter(module="ticket"), "ba"),
        (TaskFilter(record=1, module="tick*"), "ba"),
        (TaskFilter(record=2), ""),
        (TaskFilter(target="\udcff"), ""),
    ],
    ids=str,
)
async def test_filters(arrivals: Arrivals, tracking: TrackingStore, which: TaskFilter, found: str) -> None:
    transaction = await arrivals.open()
    await tracking.add_tasks(
        [
            arrivals.task("a", transaction), arrivals.task("b", transaction, target="webhook"),
            arrivals.task("c", kind=TaskKind.NOTICE), arrivals.task("d", organisation="other"),
        ]
    )  # fmt: skip
    await settle(tracking, 1, TaskState.DEAD)
    assert "".join(task.key for task in await tracking.tasks(which)) == found


async def test_a_task_whose_payload_is_gone_is_dead_and_keeps_no_other_waiting(
    arrivals: Arrivals, tracking: TrackingStore, tmp_path: Path
) -> None:
    transaction = await arrivals.open()
    await tracking.add_tasks([arrivals.task("a", transaction, payload=LARGE), arrivals.task("b", transaction)])
    for path in (tmp_path / "spool" / "bodies").rglob("*"):
        if path.is_file():
            path.unlink()
    assert await keys(arrivals) == []
    assert await keys(arrivals) == ["b"]
    dead = await tracking.tasks(TaskFilter(state=TaskState.DEAD))
    assert [(task.key, task.reason) for task in dead] == [("a", "payload-missing")]


# --- monitored mailboxes -------------------------------------------------------------------------------------------


async def test_what_is_remembered_of_a_mailbox(arrivals: Arrivals, tracking: TrackingStore) -> None:
    now = arrivals.clock.now()
    notes = MailboxNotes(
        "support", failures=2, trouble=await arrivals.open(), polled_at=now, answered_at=now - MINUTE, reason="sign-in",
        detail="AUTHENTICATE failed", taken=7, set_aside=1, resume_at=now + MINUTE,
    )  # fmt: skip
    assert await tracking.mailbox_notes() == {}
    await tracking.note_mailbox(notes)
    assert await tracking.mailbox_notes() == {"support": notes}


async def test_pausing_is_the_administrators(
    arrivals: Arrivals, tracking: TrackingStore, open_tracking: OpenTracking
) -> None:
    now = arrivals.clock.now()
    administrator = await open_tracking(False)
    assert await administrator.pause("support", "eve", now)
    assert not await administrator.pause("support", "bob", now + MINUTE)
    await tracking.note_mailbox(MailboxNotes("support", taken=3))
    notes = (await tracking.mailbox_notes())["support"]
    assert (notes.paused_at, notes.paused_by, notes.taken) == (now, "eve", 3)
    assert await administrator.resume("support")
    assert not await administrator.resume("support")
    assert not await administrator.resume("other")
    notes = (await tracking.mailbox_notes())["support"]
    assert (notes.paused_at, notes.paused_by, notes.taken) == (None, "", 3)


async def test_what_is_left_alone_for_a_while_is_resumed_at_once(arrivals: Arrivals, tracking: TrackingStore) -> None:
    await tracking.note_mailbox(MailboxNotes("support", failures=4, resume_at=arrivals.clock.now() + MINUTE))
    assert await tracking.resume("support")
    assert (await tracking.mailbox_notes())["support"].resume_at is None


async def test_attempts_that_were_begun_and_not_ended_are_counted_over_restarts(
    tracking: TrackingStore, open_tracking: OpenTracking
) -> None:
    assert await tracking.begin_message("support", "17") == 1
    await tracking.close()
    again = await open_tracking(True)
    assert await again.begin_message("support", "17") == 2
    assert await again.begin_message("sales", "17") == 1
    await again.end_message("support", "17")
    assert await again.begin_message("support", "17") == 1


async def test_runs(arrivals: Arrivals, tracking: TrackingStore) -> None:
    now = arrivals.clock.now()
    assert await tracking.last_run("digest:daily") is None
    await tracking.note_run("digest:daily", now)
    await tracking.note_run("digest:daily", now + MINUTE)
    assert await tracking.last_run("digest:daily") == now + MINUTE


# --- forgetting ----------------------------------------------------------------------------------------------------


async def test_what_ended_is_forgotten_and_what_belongs_to_a_record_stays(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    transaction = await arrivals.ticket()
    dead, waits = arrivals.task("dead", payload=LARGE), arrivals.task("waits", target="b")
    await arrivals.take(None, message_id="<2@x>", state=EntryState.FILTERED, counted=("a@x",), tasks=(dead, waits))
    await settle(tracking, 1, TaskState.DEAD)
    await tracking.begin_message("support", "17")
    later = clock.pass_(timedelta(days=90))
    await arrivals.take(None, message_id="<3@x>", state=EntryState.FILTERED)
    assert await tracking.forget(later, limit=100) == 4  # entry, task, count, attempt
    assert await tracking.forget(later, limit=100) == 0
    assert [entry.message_id for entry in await tracking.entries()] == ["<3@x>", "<1@customer.example>"]
    assert [task.key for task in await tracking.tasks(EVERY_TASK)] == ["waits"]
    assert [path for path in (tmp_path / "spool" / "bodies").rglob("*") if path.is_file()] == []
    record = await tracking.record(transaction)
    assert record is not None
    assert record.notes == 1


async def test_a_number_of_a_task_is_not_given_again(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock
) -> None:
    await tracking.add_tasks([arrivals.task("a")])
    await settle(tracking, 1)
    assert await tracking.forget(clock.pass_(MINUTE), limit=10) == 1
    await tracking.add_tasks([arrivals.task("b")])
    assert [task.number for task in await arrivals.due()] == [2]


async def test_a_little_is_forgotten_at_a_time(
    arrivals: Arrivals, tracking: TrackingStore, clock: SettableClock
) -> None:
    for number in range(5):
        await arrivals.take(None, message_id=f"<{number}@x>", state=EntryState.FILTERED)
    later = clock.pass_(MINUTE)
    assert [await tracking.forget(later, limit=2) for _ in range(4)] == [2, 2, 1, 0]
