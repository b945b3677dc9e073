"""Working with plug-ins: off the event loop, on a few threads of their own, within a time.

A thread can't be stopped. One that hangs is given up, and another takes its place, so that a plug-in that hangs now and
then costs the piece of work itself and nothing else. After STUCK_MAX of them no more are begun; then only an end of the
process helps, which ends its threads with it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = 4
STUCK_MAX = 12
"""Threads that may hang."""


class _Job:
    """A piece of work, and who waits for it."""

    __slots__ = ("future", "has_begun", "has_ended", "is_given_up", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.has_begun = False
        self.has_ended = False
        self.is_given_up = False


class PluginThreads:
    """Some threads. They are daemons: an end of the process doesn't wait for those that hang."""

    def __init__(self) -> None:
        self.stuck = 0
        """How many hang now."""
        self.on_sick: Callable[[int], None] | None = None
        """Called once, with their number, when STUCK_MAX hang."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        """None: a thread is to end."""
        self._threads = 0
        self._lock = threading.Lock()

    async def within(self, seconds: float, work: Callable[[], T]) -> T:
        """Do the work. Raises TimeoutError where it takes too long, waiting for a thread included."""
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._start_threads()
        self._jobs.put(job)
        try:
            async with asyncio.timeout(seconds):
                result: T = await job.future
                return result
        finally:
            self._leave(job)

    def end(self) -> None:
        """Nothing more is asked of them: they end behind the work that waits, and what they hold is free."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    def _start_threads(self) -> None:
        while self._threads < THREADS and self.stuck < STUCK_MAX:
            self._threads += 1
            threading.Thread(target=self._run, name="plug-in", daemon=True).start()

    def _leave(self, job: _Job) -> None:
        """Nobody waits any more: if a thread is still at it, that one hangs, and another is to take its place."""
        with self._lock:
            hangs = job.has_begun and not job.has_ended
            job.is_given_up = True
            if hangs:
                self.stuck += 1
                self._threads -= 1
        if hangs and self.stuck == STUCK_MAX and self.on_sick is not None:
            self.on_sick(self.stuck)

    def _run(self) -> None:
        """A thread's life: until it has been given up and comes back all the same."""
        while True:
            job = self._jobs.get()
            if job is None:
                return
            with self._lock:
                if job.is_given_up:
                    continue
                job.has_begun = True
            outcome, error = None, None
            try:
                outcome = job.work()
            except BaseException as exc:  # noqa: BLE001 - the thread's edge: it is the waiting one's to judge
                error = exc
            with self._lock:
                job.has_ended = True
                was_replaced = self._was_replaced(job)
            if was_replaced:
                return
            with suppress(RuntimeError):  # the loop has ended
                job.future.get_loop().call_soon_threadsafe(_answer, job.future, outcome, error)

    def _was_replaced(self, job: _Job) -> bool:
        """Whether the job's thread was given up while it was at it; then it ends."""
        if job.is_given_up:
            self.stuck -= 1
        return job.is_given_up


def _answer(future: asyncio.Future[Any], outcome: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)
