"""Takes tasks that are due and has them carried out: several at a time, each target at its own pace.

At least once: between what the other side has done and our commit of it lies a moment in which this process may die.
Calls carry a key by which the other side knows them again, mails their Message-ID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import chain, repeat
from typing import Any, Protocol

from mta import events
from mta.config.outgoing_checks import allowed_senders
from mta.config.settings_digest import digest_of
from mta.config.tracking_schema import TrackingSettings, WebhookSink
from mta.draining import finished
from mta.model import task_reasons as reasons
from mta.model.reply import MailError
from mta.model.tracking import NewTask, Task, TaskFilter, TaskKind, TaskOutcome, TaskState, TaskTarget
from mta.ports.clock import Clock
from mta.ports.task_errors import RefusedTaskError, TaskError
from mta.ports.tracking_store import TrackingStore
from mta.tracking.sink.deaths import Deaths
from mta.tracking.sink.schedule import AFTER_OWN_FAULT_S, GIVE_UP_AFTER, LONGEST_PAUSE, begun_at, next_attempt
from mta.tracking.sink.target import LeftAloneError, Target
from mta.tracking.sink.ways import AccountWay, OpenAccount, OpenSink, SinkWay, WriteBack, WriteBackWay
from mta.tracking.turns import TASKS, Turns

LOOK_EVERY_S = 1.0
"""How long something due may wait, for nobody tells of new tasks; a look reads a few rows."""
STORE_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
"""Waits of a result that the store did not take; the last one repeats."""
IN_HAND_MAX = 64
AT_ONCE = 8
"""Tasks that one look takes, with their payload."""
DUE_WITHIN = 2 * LONGEST_PAUSE
"""What waits for longer, waits by a clock that was wrong."""
OCTETS_MAX = 50_000_000
"""Of payloads in hand, above which no more are taken."""


class Branch(Protocol):
    """What is used of a `mta.tracking.desk.Desk`."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> TrackingSettings: ...


class ClockWatch(Protocol):
    """Notices leaps of the clock."""

    @property
    def is_in_doubt(self) -> bool: ...

    def look(self) -> timedelta: ...


class TaskRunner:
    """`run` works until it is cancelled or `drain` was called; `equip` takes over another configuration."""

    def __init__(
        self, store: TrackingStore, open_sink: OpenSink, open_account: OpenAccount, write_back: WriteBack | None,
        clock: Clock, turns: Turns, clock_watch: ClockWatch | None = None,
    ) -> None:  # fmt: skip
        """Without `write_back` those tasks wait. `clock_watch`: whoever else looks at it takes leaps away from us."""
        self._store = store
        self._open_sink = open_sink
        self._open_account = open_account
        self._write_back = write_back
        self._clock = clock
        self._turns = turns
        self._deaths = Deaths(store)
        self._clock_watch = clock_watch
        self._branches: dict[str, TrackingSettings] = {}
        self._targets: dict[TaskTarget, Target] = {}
        self._retired: list[Target] = []
        self._missing: set[TaskTarget] = set()
        """Of tasks that were seen, and that the configuration has not."""
        self._to_hasten: set[TaskTarget] = set()
        """Their settings have changed: what they were left alone for may be mended."""
        self._in_hand: dict[int, tuple[Task, asyncio.Task[None]]] = {}
        self._look_now = asyncio.Event()
        self._is_draining = False
        self._waits_too_long: bool | None = None
        """Tasks wait for times that a clock which was wrong has noted; None while that isn't known."""

    # --- orders -------------------------------------------------------------------------------------------------------

    def equip(self, desks: Mapping[str, Branch] | Iterable[Branch]) -> None:
        """Go by this from now on; what is in hand ends as it began."""
        each = desks.values() if isinstance(desks, Mapping) else desks
        self._branches = {desk.name: desk.settings for desk in each}
        self._missing.clear()
        former, self._targets = self._targets, {}
        for at, target in former.items():
            if target.digest == self._digest(at):
                self._targets[at] = target
                continue
            self._retired.append(target)
            self._to_hasten.add(at)
        self._warn()
        self.wake()

    def _warn(self) -> None:
        """Of what is allowed and shouldn't be."""
        for name, settings in self._branches.items():
            webhooks = [sink for sink in settings.sinks if isinstance(sink, WebhookSink)]
            for other in (*webhooks, *settings.accounts):
                if not other.tls.verify:
                    events.tracking_target_unverified(other.name, organisation=name)

    def wake(self) -> None:
        """Look at once: there are new tasks, or an administrator has replayed some."""
        self._look_now.set()

    def try_now(self) -> None:
        """An administrator has mended something: leave no target alone."""
        for target in self._targets.values():
            target.try_now()
        self.wake()

    async def drain(self, limit_s: float = 10.0) -> int:
        """Take no more, wait so long for what is in hand, break off the rest, which will be done again; how many."""
        self._is_draining = True
        self.wake()
        return await finished([task for _, task in self._in_hand.values()], limit_s)

    async def close(self) -> None:
        """End connections and threads."""
        for target in (*self._retired, *self._targets.values()):
            await target.close()

    def report(self) -> Mapping[str, Any]:
        """For `stampline status`."""
        return {
            "in_hand": len(self._in_hand),
            "left_alone": [
                {**_named(target.at), "reason": target.reason, "detail": target.detail}
                for target in self._targets.values()
                if target.is_left_alone
            ],
            "not_configured": [_named(at) for at in sorted(self._missing, key=str)],
        }

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until drained or cancelled."""
        while not self._is_draining:
            taken = 0
            with suppress(MailError):  # the store has its own log lines for what is wrong with it
                taken = await self.look()
            if not taken:
                await self._wait()

    async def look(self) -> int:
        """Take what is due and fits; how many. Raises MailError where the store can't be used."""
        await self._heed_clock()
        await self._keep_house()
        room = min(IN_HAND_MAX - len(self._in_hand), AT_ONCE)
        if room <= 0 or sum(len(task.payload) for task, _ in self._in_hand.values()) >= OCTETS_MAX:
            return 0
        due = await self._store.due_tasks(
            self._kinds, self._clock.now(), limit=room, busy=set(self._in_hand), left_alone=self._left_alone()
        )
        in_hand = [task for task, _ in self._in_hand.values()]
        if not any(self._was_due_before_caution(task) for task in (*due, *in_hand)):
            self._turns.went_through(TASKS)
        begun = 0
        for task in due:
            target = self._target(TaskTarget(task.kind, task.organisation, task.target))
            if target is not None and (target.is_left_alone or not await self._deaths.is_trusted(target)):
                continue
            # Draining since we asked; or enough of this target's is in hand: what it keeps waiting, others would miss.
            if target is not None and not target.is_full and not self._is_draining:
                target.in_hand += 1
                self._in_hand[task.number] = (task, asyncio.create_task(self._do(task, target)))
                begun += 1
        return begun

    def _was_due_before_caution(self, task: Task) -> bool:
        """What came since is no reason for it: it may come without end."""
        return task.due_at is not None and task.due_at <= self._turns.cautious_since

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._look_now.wait()
        self._look_now.clear()

    @property
    def _kinds(self) -> Collection[TaskKind]:
        return tuple(kind for kind in TaskKind if kind is not TaskKind.WRITE_BACK or self._write_back is not None)

    def _left_alone(self) -> set[TaskTarget]:
        """Targets that get nothing now: they are in trouble, enough waits for them, or nobody knows them."""
        held = {target.at for target in self._targets.values() if target.is_left_alone or target.is_full}
        return held | self._missing

    # --- targets ------------------------------------------------------------------------------------------------------

    def _target(self, at: TaskTarget) -> Target | None:
        """None for one that is not configured."""
        target = self._targets.get(at)
        if target is None and at not in self._missing:
            target = self._made(at)
            if target is not None:
                self._targets[at] = target
            else:
                self._missing.add(at)
                events.tracking_target_missing(at.target, kind=at.kind.value, organisation=at.organisation)
        return target

    def _made(self, at: TaskTarget) -> Target | None:
        settings = self._branches.get(at.organisation)
        if settings is None:
            return None
        digest = self._digest(at)
        if at.kind is TaskKind.WRITE_BACK:
            if self._write_back is None or settings.write_back is None:
                return None
            return Target(at, WriteBackWay(self._write_back), GIVE_UP_AFTER, digest, self._clock)
        if at.kind is TaskKind.CALL:
            sink = next((each for each in settings.sinks if each.name == at.target), None)
            if sink is None:
                return None
            return Target(at, SinkWay(sink, self._open_sink), sink.give_up_after, digest, self._clock)
        account = next((each for each in settings.accounts if each.name == at.target), None)
        if account is None:
            return None
        way = AccountWay(account, settings, self._open_account, self._clock)
        return Target(at, way, GIVE_UP_AFTER, digest, self._clock)

    def _digest(self, at: TaskTarget) -> str:
        """Of everything that its target goes by; "" where it is not configured."""
        settings = self._branches.get(at.organisation)
        if settings is None:
            return ""
        if at.kind is TaskKind.WRITE_BACK:
            return digest_of(settings.write_back) if settings.write_back is not None else ""
        items = settings.sinks if at.kind is TaskKind.CALL else settings.accounts
        item = next((each for each in items if each.name == at.target), None)
        if item is None:
            return ""
        senders = sorted(allowed_senders(settings)) if at.kind is TaskKind.NOTICE else []
        return " ".join((digest_of(item), *senders))

    # --- one task -----------------------------------------------------------------------------------------------------

    async def _do(self, task: Task, target: Target) -> None:
        try:
            async with self._turns.of_task():
                if self._turns.is_cautious:
                    await self._try_alone(task, target)
                else:
                    await self._carry_out(task, target)
        finally:
            target.in_hand -= 1
            del self._in_hand[task.number]
            self.wake()

    async def _try_alone(self, task: Task, target: Target) -> None:
        """With nothing else in hand, and counted: it may be what we died of."""
        try:
            is_to_be_tried = await self._deaths.begin(task)
        except MailError:
            await asyncio.sleep(STORE_AGAIN_S[0])
            return
        try:
            if is_to_be_tried:
                await self._carry_out(task, target)
            else:
                target.is_trusted = False
                await self._settle(task, TaskOutcome(task.number, TaskState.DEAD, reasons.KILLS))
        finally:  # also where it was we who broke it off
            with suppress(MailError):
                await self._deaths.end(task)

    async def _carry_out(self, task: Task, target: Target) -> None:
        try:
            done = await target.carry_out(task)
        except LeftAloneError:
            return  # it is still due, and comes again with the others
        except TaskError as error:
            outcome = self._after(error, task, target)
        except Exception as exc:  # noqa: BLE001 - the task's edge: it is tried again
            events.own_fault(f"task {task.number}", exc)
            retry_after = timedelta(seconds=AFTER_OWN_FAULT_S)
            outcome = self._after(TaskError(reasons.INTERNAL_ERROR, retry_after=retry_after), task, target)
        else:
            outcome = TaskOutcome(task.number, TaskState.DONE, done.reason, done.detail)
            await self._settle(task, outcome, done.followers)
            return
        await self._settle(task, outcome)

    def _after(self, error: TaskError, task: Task, target: Target) -> TaskOutcome:
        """Dead where it was refused, or has had its time; nothing is given up while the clock is in doubt."""
        now = self._clock.now()
        is_late = now - begun_at(task) >= target.give_up_after
        is_doubtful = self._clock_watch is not None and self._clock_watch.is_in_doubt
        if isinstance(error, RefusedTaskError) or (is_late and not is_doubtful):
            return TaskOutcome(task.number, TaskState.DEAD, error.reason, error.detail)
        due_at = next_attempt(task, now, target.give_up_after, error.retry_after)
        if target.is_left_alone and target.resume_at is not None:
            due_at = target.resume_at
        return TaskOutcome(task.number, TaskState.WAITING, error.reason, error.detail, due_at)

    async def _settle(self, task: Task, outcome: TaskOutcome, followers: Sequence[NewTask] = ()) -> None:
        if followers:
            await self._insist(task, lambda: self._store.add_tasks(followers))
        await self._insist(task, lambda: self._store.settle_task(outcome))
        events.tracking_task(
            task.number, kind=task.kind.value, organisation=task.organisation, target=task.target,
            record=str(task.transaction or ""), state=outcome.state.value, reason=outcome.reason,
            detail=outcome.detail, attempts=task.attempts + 1,
            is_news=outcome.state is not TaskState.WAITING or outcome.reason != task.reason,
        )  # fmt: skip

    async def _insist(self, task: Task, write: Callable[[], Awaitable[object]]) -> None:
        """Until the store takes it: what was done elsewhere is done, and would be done again."""
        for wait_s in chain(STORE_AGAIN_S, repeat(STORE_AGAIN_S[-1])):
            try:
                await write()
                return
            except MailError:
                await asyncio.sleep(wait_s)
            except Exception as exc:  # noqa: BLE001 - the task's edge: it stays in hand
                events.own_fault(f"task {task.number}", exc)
                await asyncio.sleep(AFTER_OWN_FAULT_S)

    # --- beside them --------------------------------------------------------------------------------------------------

    async def _heed_clock(self) -> None:
        """After a leap backwards, also while we didn't run, what was due would wait for times that are far ahead."""
        leap = self._clock_watch.look() if self._clock_watch is not None else timedelta(0)
        if leap:
            events.clock_leapt(leap.total_seconds(), nothing_expires_for_s=3600.0 if leap > timedelta(0) else 0.0)
        if leap < timedelta(0):
            self.try_now()
            self._waits_too_long = True
        which, now = TaskFilter(state=TaskState.WAITING), self._clock.now()
        if self._waits_too_long is None:
            newest = await self._store.tasks(which)
            self._waits_too_long = any(task.due_at is not None and task.due_at > now + DUE_WITHIN for task in newest)
        if self._waits_too_long:
            await self._store.replay(which, now)
            self._waits_too_long = False

    async def _keep_house(self) -> None:
        while self._to_hasten:
            at = next(iter(self._to_hasten))
            if at in self._targets or self._digest(at):
                which = TaskFilter(
                    kind=at.kind, organisation=at.organisation, target=at.target, state=TaskState.WAITING
                )
                await self._store.replay(which, self._clock.now())
            self._to_hasten.discard(at)
        for target in [each for each in self._retired if not each.in_hand]:
            self._retired.remove(target)
            await target.close()
        for at in [at for at, target in self._targets.items() if at.kind is TaskKind.WRITE_BACK and target.is_idle]:
            del self._targets[at]


def _named(at: TaskTarget) -> dict[str, str]:
    return {"kind": at.kind.value, "organisation": at.organisation, "target": at.target}
