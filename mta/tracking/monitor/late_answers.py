"""Answers that were polled before what they answer: taken once more when that has come.

The store keeps such a message whole and says when one that it waits for is known; from there on it goes the way of any
message. What becomes of it then is its end: it joins, or stays left out.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from mta import events
from mta.config.tracking_schema import MonitoredMailbox
from mta.crash import crash_point
from mta.model.reply import MailError
from mta.model.tracking import HeldAnswer
from mta.ports.clock import Clock
from mta.ports.tracking_store import TrackingStore
from mta.tracking.monitor.assignment import Assignment
from mta.tracking.monitor.poll import Take
from mta.tracking.turns import Turns

AT_ONCE = 100
"""After one poll; the next one goes on."""
ATTEMPTS_MAX = 4
"""More than at messages of a mailbox: what kills us may be another one that is in hand."""


class LateAnswers:
    """Of all organisations; one at a time, whichever mailbox's poll has brought what they wait for."""

    def __init__(self, store: TrackingStore, take: Take, clock: Clock, turns: Turns) -> None:
        self._store = store
        self._take = take
        self._clock = clock
        self._turns = turns
        self._turn = asyncio.Lock()

    async def look(self, assignment: Assignment, is_ending: Callable[[], bool]) -> None:
        """Take those of the mailbox's organisation that are due. Raises MailError."""
        for _ in range(AT_ONCE):
            async with self._turn:
                if is_ending():
                    return
                held = await self._store.answer_due(assignment.desk.name)
                if held is None:
                    return
                async with self._turns.of_message(len(held.data)):
                    await self._one(held, assignment)

    async def _one(self, held: HeldAnswer, assignment: Assignment) -> None:
        """Attempts are counted as those at any message, for this one may kill us, too."""
        ref = f"answer:{held.key}"
        if await self._store.begin_message(held.mailbox, ref) > ATTEMPTS_MAX:
            error = f"the process died over it {ATTEMPTS_MAX} times"
            events.mailbox_answer_given_up(held.mailbox, entry=held.key, error=error)
        else:
            crash_point("answer-begun")
            try:
                await self._taken(held, assignment, self._clock.now())
            except (asyncio.CancelledError, MailError):
                with suppress(MailError):  # it was not the message's fault
                    await self._store.end_message(held.mailbox, ref)
                raise
            except Exception as exc:  # noqa: BLE001 - the message's edge: others have to go on
                # Without the exception's own text, which may be somebody's mail.
                where = "".join(traceback.format_tb(exc.__traceback__))
                events.mailbox_answer_given_up(
                    held.mailbox, entry=held.key, error=type(exc).__name__, traceback=where
                )  # fmt: skip
        await self._store.let_go(held.organisation, held.key)
        await self._store.end_message(held.mailbox, ref)

    async def _taken(self, held: HeldAnswer, assignment: Assignment, now: datetime) -> None:
        settings = _settings_of(held, assignment)
        taken = await self._take(held.data, settings, assignment.desk, self._store, now)
        if settings.log_messages:
            events.mailbox_answer(
                held.mailbox, message_id=taken.message_id, state=taken.state.value, reason=taken.reason,
                record=str(taken.transaction or ""),
            )  # fmt: skip


def _settings_of(held: HeldAnswer, assignment: Assignment) -> MonitoredMailbox:
    """Of the mailbox that it came by; of this one, where that is monitored no more."""
    named = (each for each in assignment.desk.settings.mailboxes if each.name == held.mailbox)
    return next(named, assignment.settings)
