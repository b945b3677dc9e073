"""Looks, and tells."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mta import events
from mta.ports.clock import Clock
from mta.ports.notification import NotificationChannel, NotificationError
from mta.watch.board import Board
from mta.watch.trouble import CantLookError, Trouble, Watcher, plain

SEND_AGAIN_S = (60.0, 300.0, 900.0)
"""Waits after a channel has failed; the last one repeats."""
LOOK_MAX_S = 60.0
"""Who takes longer than this to look doesn't know."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What to look at and whom to tell, worked out from one configuration."""

    watchers: tuple[Watcher, ...]
    channels: tuple[NotificationChannel, ...]
    every: timedelta
    repeat: timedelta
    state_file: Path


@dataclass(slots=True)
class _Failing:
    times: int
    again_at_s: float
    """On the monotonic clock, which nobody sets back."""


class Watch:
    """Runs until cancelled; `equip` takes over another configuration."""

    def __init__(self, equipment: Equipment, clock: Clock) -> None:
        self._clock = clock
        self._equipment = equipment
        self._failing: dict[str, _Failing] = {}
        self._looking: dict[Watcher, asyncio.Task[Sequence[Trouble]]] = {}
        self._look_now = asyncio.Event()
        self.board = Board(ends_after=equipment.every * 2, repeat=equipment.repeat)
        self.board.read(equipment.state_file)

    def equip(self, equipment: Equipment) -> None:
        """Go by this from now on, and look at once."""
        self._equipment = equipment
        self.board.ends_after, self.board.repeat = equipment.every * 2, equipment.repeat
        self._failing.clear()
        self._looking.clear()
        self._look_now.set()

    async def run(self) -> None:
        """Look and tell, again and again."""
        while True:
            await self.turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._equipment.every.total_seconds()):
                    await self._look_now.wait()
            self._look_now.clear()

    async def turn(self) -> None:
        """Look once, and send what is due."""
        equipment, now = self._equipment, self._clock.now()
        looks = await asyncio.gather(*(self._look(watcher, now) for watcher in equipment.watchers))
        known = {kind for kinds, found in looks if found is not None for kind in kinds}
        # What nobody looks for any more, since a reload say, is over.
        wanted = {kind for watcher in equipment.watchers for kind in watcher.kinds}
        known |= {entry.trouble.kind for entry in self.board.current} - wanted
        changes = self.board.update([trouble for _, found in looks for trouble in found or ()], known, now)
        for trouble in changes.begun:
            events.alert(trouble.kind, key=trouble.key, what=trouble.subject, mend=trouble.text)
        for trouble in changes.over:
            events.alert_over(trouble.kind, key=trouble.key, what=trouble.subject)
        await asyncio.gather(*(self._tell(channel, now) for channel in equipment.channels))
        self.board.forget({channel.name for channel in equipment.channels}, now)
        try:
            self.board.write(equipment.state_file)
        except OSError as exc:
            events.internal_error("watch", error=f"{equipment.state_file}: {exc.strerror}")

    async def _tell(self, channel: NotificationChannel, now: datetime) -> None:
        notices = self.board.due(channel.name, now)
        failing = self._failing.get(channel.name)
        if not notices or (failing is not None and time.monotonic() < failing.again_at_s):
            return
        try:
            await channel.send(notices)
        except NotificationError as exc:
            times = failing.times if failing is not None else 0
            wait_s = SEND_AGAIN_S[min(times, len(SEND_AGAIN_S) - 1)]
            self._failing[channel.name] = _Failing(times + 1, time.monotonic() + wait_s)
            events.alert_not_sent(channel.name, notices=len(notices), error=str(exc), again_in_s=wait_s)
            return
        self._failing.pop(channel.name, None)
        self.board.was_told(channel.name, notices, now)
        events.alert_sent(channel.name, notices=len(notices), keys=[notice.key for notice in notices])

    async def _look(self, watcher: Watcher, now: datetime) -> tuple[frozenset[str], Sequence[Trouble] | None]:
        """None where it can't be known; what one of them dies of, or hangs at, keeps the others from nothing.

        Whoever hangs, at a disk that doesn't answer say, is waited for again at the next turn, not started twice: a
        thread can't be stopped, and the others need some.
        """
        looking, wait_s = self._looking.get(watcher), 0.0
        if looking is None:
            looking, wait_s = asyncio.create_task(watcher.look(now)), LOOK_MAX_S
            self._looking[watcher] = looking
        done, _ = await asyncio.wait({looking}, timeout=wait_s)
        if not done:
            events.watcher_blind(",".join(sorted(watcher.kinds)), reason="it takes too long")
            return watcher.kinds, None
        self._looking.pop(watcher, None)
        try:
            return watcher.kinds, [plain(trouble) for trouble in looking.result()]
        except CantLookError as exc:
            events.watcher_blind(",".join(sorted(watcher.kinds)), reason=str(exc))
        except Exception as exc:  # noqa: BLE001 - the edge: whoever watches must go on watching
            events.internal_error("watch", error=repr(exc), traceback=traceback.format_exc())
        return watcher.kinds, None
