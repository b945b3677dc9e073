"""One target of tasks as it stands: whether it is left alone, how many may be at it, and what carries tasks out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mta import events
from mta.model import task_reasons as reasons
from mta.model.tracking import NewTask, Task, TaskTarget
from mta.ports.clock import Clock
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError
from mta.tracking.sink.schedule import DOWN_WAITS_S, FAILING_MAX, LONGEST_PAUSE, SIGN_IN_WAITS_S, nth

AT_A_TIME = 4
_NOT_LET_IN = frozenset({reasons.SIGN_IN, reasons.TLS_FAILED, reasons.NOT_OPENED})


@dataclass(frozen=True, slots=True)
class Done:
    """A task was carried out. `reason` and `detail` tell of what was left of it, `followers` carry that on."""

    reason: str = ""
    detail: str = ""
    followers: tuple[NewTask, ...] = ()


class Way(Protocol):
    """What carries a kind of task out at one target."""

    def __call__(self, task: Task) -> Awaitable[Done]:
        """Raises TaskError."""
        ...

    async def close(self) -> None: ...


class LeftAloneError(Exception):
    """Nobody is to ask the target now; the task wasn't tried."""


class Target:
    """`digest` tells whether its settings are still the same."""

    def __init__(self, at: TaskTarget, way: Way, give_up_after: timedelta, digest: str, clock: Clock) -> None:
        self.at = at
        self.give_up_after = give_up_after
        self.digest = digest
        self.reason = ""
        """Why it is left alone, or was last."""
        self.detail = ""
        self.resume_at: datetime | None = None
        self.in_hand = 0
        """Tasks that are at it, or wait for their turn."""
        self._way = way
        self._clock = clock
        self._failures = 0
        self._rounds = 0
        """How often it was found to be in trouble."""
        self._failing: set[int] = set()
        """Numbers of different tasks that failed since the last success."""
        self.is_trusted = False
        """That it doesn't kill us was looked up."""
        self._has_answered = False
        self._busy = 0
        self._turn = asyncio.Condition()

    @property
    def limit(self) -> int:
        """How many may be at it. One, until it has answered: more would be in vain, or lock an account."""
        return AT_A_TIME if self._has_answered and not self._failures else 1

    @property
    def is_left_alone(self) -> bool:
        return self.resume_at is not None and self.resume_at > self._clock.now()

    @property
    def is_full(self) -> bool:
        """Enough waits for it."""
        return self.in_hand >= 2 * self.limit

    @property
    def is_idle(self) -> bool:
        """Nothing is to be remembered of it."""
        return not self.in_hand and not self._failures

    async def carry_out(self, task: Task) -> Done:
        """In its turn. Raises LeftAloneError, TaskError."""
        async with self._its_turn():
            round_ = self._rounds
            try:
                done = await self._way(task)
            except TaskError as error:
                self._failed(task, error, round_)
                raise
            self._answered()
            return done

    async def close(self) -> None:
        """End connections; only when nothing is in hand."""
        await self._way.close()

    def try_now(self) -> None:
        """Whatever it waited for."""
        self.resume_at, self.is_trusted = None, False

    @asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        async with self._turn:
            await self._turn.wait_for(lambda: self.is_left_alone or self._busy < self.limit)
            if self.is_left_alone:
                raise LeftAloneError
            self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            await asyncio.shield(self._wake())

    async def _wake(self) -> None:
        async with self._turn:
            self._turn.notify_all()

    def _answered(self) -> None:
        self._failing.clear()
        self._has_answered = True
        if self._failures:
            self._failures, self.resume_at = 0, None
            events.tracking_target_answers(
                self.at.target, kind=self.at.kind.value, organisation=self.at.organisation, reason=self.reason
            )

    def _failed(self, task: Task, error: TaskError, round_: int) -> None:
        """Leave it alone, if the failure is not the task's own; of several that began together one counts."""
        if isinstance(error, RefusedTaskError):
            self._answered()
            return
        if not isinstance(error, TargetDownError):
            self._failing.add(task.number)
            if len(self._failing) < FAILING_MAX:
                return
        if round_ == self._rounds:
            self._rounds += 1
            self.leave_alone(error)

    def leave_alone(self, error: TaskError) -> None:
        """For a while, for this reason."""
        waits = SIGN_IN_WAITS_S if error.reason in _NOT_LET_IN else DOWN_WAITS_S
        wait = timedelta(seconds=nth(waits, self._failures))
        if error.retry_after is not None:
            wait = min(max(error.retry_after, wait), LONGEST_PAUSE)
        self._failures += 1
        self.reason, self.detail, self.resume_at = error.reason, error.detail, self._clock.now() + wait
        events.tracking_target_left_alone(
            self.at.target, kind=self.at.kind.value, organisation=self.at.organisation, reason=error.reason,
            detail=error.detail, for_s=wait.total_seconds(),
        )  # fmt: skip
