"""All monitored mailboxes: polls those that are due, several at a time, and takes over another configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mta import events
from mta.draining import finished
from mta.events import Sink
from mta.model.reply import MailError
from mta.ports.clock import Clock
from mta.ports.tracking_store import TrackingStore
from mta.tracking.monitor.assignment import Assignment
from mta.tracking.monitor.late_answers import LateAnswers
from mta.tracking.monitor.monitor import Means, Monitor, OpenReader
from mta.tracking.monitor.poll import Take
from mta.tracking.turns import MESSAGES, Turns

LOOK_EVERY_S = 1.0
"""How soon an administrator's order is seen."""
POLLS_AT_ONCE = 8
RUNNING, ENDED = "tracking-running", "tracking-ended"
"""Names of runs in the store: when the last one began, and when the last one began that ended as it should."""

SinksOf = Callable[[str], Sequence[Sink]]
"""The log of a mailbox, by its name; the same ones for the same name."""


class Monitors:
    """`run` works until it is cancelled or `drain` was called; `equip` takes over another configuration."""

    def __init__(
        self, store: TrackingStore, take: Take, open_reader: OpenReader, clock: Clock, sinks_of: SinksOf,
        turns: Turns, *, steady_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._sinks_of = sinks_of
        self._turns = turns
        late_answers = LateAnswers(store, take, clock, turns)
        self._means = Means(store, take, open_reader, clock, self._turns, late_answers, steady_s)
        self._monitors: dict[str, Monitor] = {}
        self._retired: list[Monitor] = []
        self._not_polled_yet: set[str] = set()
        """To their end, while cautious."""
        self._began: datetime | None = None
        self._look_now = asyncio.Event()
        self._is_draining = False
        self._store_fails_at = ""

    # --- orders -------------------------------------------------------------------------------------------------------

    def equip(self, assignments: Iterable[Assignment]) -> None:
        """Go by these from now on; a poll in hand ends as it began."""
        wanted = {each.settings.name: each for each in assignments}
        for name in self._monitors.keys() - wanted.keys():
            gone = self._monitors.pop(name)
            gone.is_retired = True
            self._retired.append(gone)
            events.mailbox_changed(name, change="removed")
        for name, assignment in wanted.items():
            self._assign(name, assignment)
        self._not_polled_yet &= wanted.keys()
        self.wake()

    def _assign(self, name: str, assignment: Assignment) -> None:
        sinks = self._sinks_of(name)
        known = self._monitors.get(name)
        if known is None:
            self._monitors[name] = Monitor(assignment, sinks, self._means)
            events.mailbox_changed(name, change="added")
        elif known.assign(assignment, sinks):
            events.mailbox_changed(name, change="changed")
        tls = getattr(assignment.settings, "tls", None)
        if tls is not None and not tls.verify:
            with events.logged_to(sinks):
                events.mailbox_unverified(name)

    @property
    def names(self) -> Collection[str]:
        return self._monitors.keys()

    @property
    def in_hand(self) -> Sequence[asyncio.Task[None]]:
        """Polls."""
        return [each.in_hand for each in self._every if each.in_hand is not None]

    def wake(self) -> None:
        """Look at once."""
        self._look_now.set()

    def ask(self, names: Iterable[str]) -> Mapping[str, int]:
        """Poll these at once; how many polls of each had ended before. Raises KeyError for one that isn't there."""
        monitors = [self._monitors[name] for name in names]
        for monitor in monitors:
            monitor.ask()
        self.wake()
        return {monitor.name: monitor.polls for monitor in monitors}

    def hold(self, name: str, for_s: float) -> bool:
        """Begin no poll of it for so long; whether none is in hand now. Raises KeyError."""
        self._monitors[name].hold(for_s)
        return self._monitors[name].in_hand is None

    def report(self) -> Mapping[str, Any]:
        """Of each mailbox, for `stampline mailbox list`."""
        now = self._clock.now()
        return {name: monitor.report(now) for name, monitor in self._monitors.items()}

    def summary(self) -> Mapping[str, Any]:
        """For `stampline status`."""
        now = self._clock.now()
        states = {name: monitor.state(now) for name, monitor in self._monitors.items()}
        return {
            "mailboxes": len(states),
            "polling": sum(state == "polling" for state in states.values()),
            "mailboxes_paused": sorted(name for name, state in states.items() if state == "paused"),
            "mailboxes_failing": {
                name: self._monitors[name].notes.reason
                for name, state in states.items()
                if state in ("can't sign in", "left alone")
            },
        }

    async def drain(self, limit_s: float) -> int:
        """Begin no poll, let those in hand end after their message; how many had to be broken off."""
        self._is_draining = True
        self.wake()
        for monitor in self._every:
            monitor.end_soon()
        return await finished(self.in_hand, limit_s)

    async def close(self) -> None:
        """End connections, and note that this was a proper end."""
        for monitor in self._every:
            await monitor.close()
        if self._began is None:
            return
        try:
            await self._store.note_run(ENDED, self._began)
        except MailError as exc:  # the next start is cautious, and no worse
            events.tracking_store_down(str(exc))

    @property
    def _every(self) -> list[Monitor]:
        return [*self._monitors.values(), *self._retired]

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Note that we run; be cautious where the last time ended in a crash. Raises MailError."""
        running, ended = await self._store.last_run(RUNNING), await self._store.last_run(ENDED)
        if running is not None and running != ended:
            self._turns.be_cautious(self._clock.now())
            self._not_polled_yet = set(self._monitors)
            events.tracking_cautious(running.isoformat(timespec="seconds"))
        began = self._clock.now()
        await self._store.note_run(RUNNING, began)
        self._began = began

    async def run(self) -> None:
        """Until drained or cancelled."""
        while not self._is_draining:
            await self.look()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()

    async def look(self) -> None:
        """Learn what administrators want, and begin the polls that are due."""
        try:
            stored = await self._store.mailbox_notes()
        except MailError as exc:
            self._tell_of_store(str(exc), "reading")
            return
        if self._store_fails_at == "reading":
            self._tell_of_store("")
        await self._let_retired_go()
        for name, monitor in self._monitors.items():
            if monitor.in_hand is None and name in stored:
                monitor.recall(stored[name])
        if self._is_draining:
            return
        now = self._clock.now()
        waited = [(since_s, each) for each in self._monitors.values() if (since_s := each.due_since_s(now)) is not None]
        waited.sort(key=lambda pair: -pair[0])
        room = POLLS_AT_ONCE - sum(each.in_hand is not None for each in self._every)
        for _, monitor in waited[: max(room, 0)]:
            monitor.in_hand = asyncio.create_task(self._poll(monitor))
        self._be_cautious_no_longer_than_needed(now)

    async def _poll(self, monitor: Monitor) -> None:
        try:
            with events.logged_to(monitor.sinks):
                await monitor.poll()
            self._tell_of_store("")
        except MailError as exc:
            self._tell_of_store(str(exc), "writing")
        finally:
            monitor.in_hand = None
            self._was_polled(monitor)
            self.wake()

    def _was_polled(self, monitor: Monitor) -> None:
        """What kills us may lie behind many that don't."""
        if monitor.progress is None or not monitor.progress.has_more:
            self._not_polled_yet.discard(monitor.name)

    def _be_cautious_no_longer_than_needed(self, now: datetime) -> None:
        """Mailboxes that nobody polls now, or none at all, keep nobody waiting."""
        left = [self._monitors[name] for name in self._not_polled_yet]
        if not any(monitor.in_hand is not None or monitor.may_be_polled(now) for monitor in left):
            self._turns.went_through(MESSAGES)

    def _tell_of_store(self, error: str, at: str = "") -> None:
        """Once when it fails, once when the same works again. "" is no error."""
        if error and not self._store_fails_at:
            events.tracking_store_down(error)
        elif not error and self._store_fails_at:
            events.tracking_store_back()
        self._store_fails_at = at

    async def _let_retired_go(self) -> None:
        for monitor in [each for each in self._retired if each.in_hand is None]:
            self._retired.remove(monitor)
            await monitor.close()
