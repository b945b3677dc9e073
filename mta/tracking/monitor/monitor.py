"""One monitored mailbox while the process runs: its server, when it is polled next, and what is known against it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mta import events
from mta.config.mailbox_hours import Schedule
from mta.config.settings_digest import digest_of
from mta.config.tracking_schema import MonitoredMailbox
from mta.events import Sink
from mta.model.reply import MailError
from mta.model.tracking import MailboxNotes
from mta.ports.clock import Clock
from mta.ports.directory import DirectoryDownError
from mta.ports.mailbox import MailboxError
from mta.ports.mailbox_reader import MailboxReader
from mta.ports.tracking_store import TrackingStore
from mta.tracking.monitor.assignment import Assignment
from mta.tracking.monitor.late_answers import LateAnswers
from mta.tracking.monitor.leftovers import Leftovers
from mta.tracking.monitor.mends import mend_of, not_opened
from mta.tracking.monitor.pauses import PAUSE_MAX, SIGN_IN_ERRORS, TROUBLE_AFTER, pause_after
from mta.tracking.monitor.poll import Poll, Take
from mta.tracking.monitor.progress import Progress
from mta.tracking.monitor.sign_in_trouble import SignInTrouble
from mta.tracking.turns import Turns

OpenReader = Callable[[MonitoredMailbox], MailboxReader]
"""Asks no server. Raises OSError or KeyError where a secret or file can't be read."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all monitors work with."""

    store: TrackingStore
    take: Take
    open_reader: OpenReader
    clock: Clock
    turns: Turns
    late_answers: LateAnswers
    steady_s: Callable[[], float]
    """Goes on evenly, whatever the clock is set to."""


class Monitor:
    """`poll` is called for one poll at a time; `assign` changes what the next one goes by."""

    def __init__(self, assignment: Assignment, sinks: Iterable[Sink], means: Means) -> None:
        self.assignment = assignment
        self.sinks: tuple[Sink, ...] = tuple(sinks)
        """Its log."""
        self.notes = MailboxNotes(assignment.settings.name)
        """As stored last."""
        self.progress: Progress | None = None
        """Of the poll in hand, or of the last one."""
        self.in_hand: asyncio.Task[None] | None = None
        self.is_retired = False
        """It is in the configuration no more."""
        self._means = means
        self._schedule = Schedule.of(assignment.settings.schedule)
        self._leftovers = Leftovers(means.steady_s)
        self._reader: MailboxReader | None = None
        self._reader_of = ""
        self._others = 0
        """Failures since the last good poll that somebody's mending would not help."""
        self._told = ""
        """The code of the failure that was told of last; "" once a poll went well."""
        self._mend = ""
        self._next_s = means.steady_s()
        self._held_until_s = 0.0
        self._forgiven: datetime | None = None
        """A wait in the store that is none any more: its mailbox's settings were changed since."""
        self._is_asked = False
        """An administrator wants it polled now, whatever the schedule says."""
        self.polls = 0
        """That have ended, well or not."""
        self._is_ending = False

    @property
    def name(self) -> str:
        return self.assignment.settings.name

    # --- orders -------------------------------------------------------------------------------------------------------

    def assign(self, assignment: Assignment, sinks: Iterable[Sink]) -> bool:
        """Go by this from the next poll on. Whether the mailbox's own settings are others: then it is tried at once."""
        is_changed = assignment.settings != self.assignment.settings
        self.assignment, self.sinks = assignment, tuple(sinks)
        if is_changed:
            self._schedule = Schedule.of(assignment.settings.schedule)
            self.hurry()
        return is_changed

    def hurry(self) -> None:
        """Poll as soon as the schedule lets it, whatever is held against it."""
        self._next_s = self._means.steady_s()
        self._forgiven = self.notes.resume_at
        self.notes = replace(self.notes, resume_at=None)

    def ask(self) -> None:
        """Poll at once, also outside its hours."""
        self.hurry()
        self._is_asked = True

    def hold(self, for_s: float) -> None:
        """Begin no poll for so long: somebody tries the mailbox himself."""
        self._held_until_s = self._means.steady_s() + for_s

    def end_soon(self) -> None:
        """The poll in hand ends after its message in hand."""
        self._is_ending = True

    def recall(self, notes: MailboxNotes) -> None:
        """Go by what the store says: what the last process knew, and what administrators have ordered."""
        was_paused = self.notes.paused_at is not None
        had_wait = self.notes.resume_at is not None
        if notes.resume_at is not None and notes.resume_at == self._forgiven:
            notes = replace(notes, resume_at=None)
        self.notes = notes
        if (was_paused and notes.paused_at is None) or (had_wait and notes.resume_at is None):
            self.hurry()

    # --- when ---------------------------------------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        return self.notes.paused_at is not None

    @property
    def is_held(self) -> bool:
        return self._means.steady_s() < self._held_until_s

    def due_since_s(self, now: datetime) -> float | None:
        """How long it has been due; None while it isn't."""
        if self.in_hand is not None or self.is_paused or self.is_held or self.is_retired:
            return None
        waited_s = self._means.steady_s() - self._next_s
        if self._is_asked:
            return max(waited_s, 0.0)
        return waited_s if waited_s >= 0 and self.may_be_polled(now) else None

    def may_be_polled(self, now: datetime) -> bool:
        """Whether nothing but its interval keeps it from that."""
        is_open = self.assignment.settings.enabled and self._schedule.is_open(now)
        return is_open and not self.is_paused and not self._is_left_alone(now)

    def _is_left_alone(self, now: datetime) -> bool:
        resume_at = self.notes.resume_at
        return resume_at is not None and now < resume_at <= now + PAUSE_MAX

    def state(self, now: datetime) -> str:
        """In a word."""
        if not self.assignment.settings.enabled:
            return "disabled"
        if self.is_paused:
            return "paused"
        if self.in_hand is not None:
            return "polling"
        if self.notes.trouble is not None or self.notes.failures:
            return "can't sign in"
        if self._is_left_alone(now):
            return "left alone"
        return "waiting" if self._schedule.is_open(now) else "off hours"

    def next_poll(self, now: datetime) -> datetime | None:
        """When it is polled next, as far as can be told."""
        if self.is_paused or not self.assignment.settings.enabled:
            return None
        wait_s = max(self._next_s - self._means.steady_s(), 0.0)
        moment = now + timedelta(seconds=wait_s)
        if self.notes.resume_at is not None and self.notes.resume_at <= now + PAUSE_MAX:
            moment = max(moment, self.notes.resume_at)
        return self._schedule.next_open(moment)

    def report(self, now: datetime) -> dict[str, Any]:
        """For `stampline mailbox list`, as JSON values."""
        next_poll, progress = self.next_poll(now), self.progress
        return {
            "state": self.state(now),
            "next_poll": next_poll.isoformat(timespec="seconds") if next_poll is not None else None,
            "polls": self.polls,
            "stays": len(self._leftovers),
            "failure": self._told,
            "detail": self.notes.detail if self._told else "",
            "mend": self._mend if self._told else "",
            "progress": None if progress is None else {
                "of": progress.of, "done": progress.done, "taken": progress.taken, "known": progress.known,
                "set_aside": progress.set_aside, "failed": progress.failed, "stays": progress.stays,
                "per_s": round(progress.per_s, 1), "has_more": progress.has_more,
                "is_over": progress.took_s is not None,
            },
        }  # fmt: skip

    # --- one poll -----------------------------------------------------------------------------------------------------

    async def poll(self) -> None:
        """Whatever becomes of it, is noted. Raises MailError where the store can't be used."""
        means, assignment = self._means, self.assignment
        every = timedelta(minutes=assignment.settings.poll.every)
        began_s = means.steady_s()
        # One that goes on with what the one before left counts on.
        progress = self.progress
        if progress is None or not progress.has_more:
            progress = Progress()
        self.progress = progress
        progress.has_more, progress.took_s = False, None
        before = replace(progress)
        was_asked, self._is_asked, self._is_ending = self._is_asked, False, False
        try:
            reader = await self._opened(assignment.settings)
            poll = Poll(
                assignment, reader, means.store, means.take, means.clock, means.turns, self._leftovers, progress,
                lambda: self._is_ending,
            )  # fmt: skip
            await poll.run()
            await means.late_answers.look(assignment, lambda: self._is_ending)
            progress.end()
            self._next_s = means.steady_s() if progress.has_more else began_s + every.total_seconds()
            self._is_asked |= was_asked and progress.has_more
            await self._went_well(progress, progress.minus(before))
        except DirectoryDownError as error:
            progress.end()
            await self._let_go()
            await self._failed(error, assignment, progress.minus(before))
        except (asyncio.CancelledError, MailError):
            self._next_s = means.steady_s() + min(every.total_seconds(), 30.0)
            await self._let_go()
            raise
        except Exception as error:  # noqa: BLE001 - the poll's edge: the other mailboxes go on
            progress.end()
            await self._let_go()
            await self._failed(error, assignment, progress.minus(before))
        finally:
            self.polls += 1
            if self.assignment.settings != assignment.settings:  # changed meanwhile
                self.hurry()

    async def close(self) -> None:
        """End its connections."""
        await self._let_go()

    async def _opened(self, settings: MonitoredMailbox) -> MailboxReader:
        """Made in a thread: importing what speaks to Exchange takes seconds. Raises SignInError."""
        digest = digest_of(settings)
        if self._reader is not None and self._reader_of != digest:  # a password may be another one by now
            await self._let_go()
        if self._reader is None:
            try:
                self._reader = await asyncio.to_thread(self._means.open_reader, settings)
            except (OSError, KeyError) as exc:
                raise not_opened(exc) from exc
            self._reader_of = digest
        return self._reader

    async def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                await reader.close()
            except Exception as exc:  # noqa: BLE001 - the adapter's edge: nothing hangs on a connection that is over
                events.internal_error(f"mailbox {self.name}", error=repr(exc))

    # --- how it went --------------------------------------------------------------------------------------------------

    async def _went_well(self, progress: Progress, this: Progress) -> None:
        """`this` is the poll's own part of it."""
        events.mailbox_polled(
            self.name, server=progress.server, waiting=this.of, taken=this.taken, known=this.known,
            set_aside=this.set_aside, failed=this.failed, stays=this.stays, took_s=progress.took_s or 0.0,
            per_s=progress.per_s, more=progress.has_more, in_all=progress.of,
        )  # fmt: skip
        if self._told:
            events.mailbox_answers(self.name, reason=self._told)
        self._others, self._told = 0, ""
        now = self._means.clock.now()
        if self.notes.trouble is not None:
            await SignInTrouble(self._means.store, self.assignment, now).close(self.notes)
        await self._note(
            replace(
                self.notes, failures=0, trouble=None, polled_at=now, answered_at=now, reason="", detail="",
                resume_at=None,
            ),
            this,
        )  # fmt: skip

    async def _failed(self, error: Exception, assignment: Assignment, this: Progress) -> None:
        every = timedelta(minutes=assignment.settings.poll.every)
        is_sign_in = isinstance(error, SIGN_IN_ERRORS)
        failures = self.notes.failures + is_sign_in
        self._others += not is_sign_in
        pause = pause_after(error, failures=failures, others=self._others, every=every)
        now = self._means.clock.now()
        reason, detail = _words(error)
        if not isinstance(error, MailboxError | DirectoryDownError):
            events.own_fault(f"mailbox {self.name}", error)
        mend = mend_of(error, assignment.settings)
        events.mailbox_poll_failed(
            self.name, reason=reason, detail=detail, mend=mend, failures=failures,
            again_in_s=pause.length.total_seconds(), is_news=reason != self._told or 0 < failures <= TROUBLE_AFTER,
        )  # fmt: skip
        self._told, self._mend = reason, mend
        self._next_s = self._means.steady_s()
        notes = replace(
            self.notes, failures=failures, polled_at=now, reason=reason, detail=detail, resume_at=now + pause.length
        )
        try:
            if failures >= TROUBLE_AFTER and notes.trouble is None:
                trouble = SignInTrouble(self._means.store, assignment, now)
                notes = replace(notes, trouble=await trouble.open(notes, mend))
            await self._note(notes, this)
        except MailError:  # nothing says by now how long the server is to be left alone
            self._next_s = self._means.steady_s() + pause.length.total_seconds()
            raise

    async def _note(self, notes: MailboxNotes, this: Progress) -> None:
        notes = replace(notes, taken=notes.taken + this.taken, set_aside=notes.set_aside + this.set_aside)
        # What an administrator has ordered meanwhile isn't ours to write; it is read with the next look.
        await self._means.store.note_mailbox(notes)
        self.notes = replace(notes, paused_at=self.notes.paused_at, paused_by=self.notes.paused_by)


def _words(error: Exception) -> tuple[str, str]:
    """Code and detail; of an error that we didn't foresee the kind only: its text might hold anything."""
    if isinstance(error, MailboxError):
        return error.code, error.detail[:400]
    if isinstance(error, DirectoryDownError):
        return "directory-down", "the directory does not answer"
    return "internal-error", type(error).__name__
