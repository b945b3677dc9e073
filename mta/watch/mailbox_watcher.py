"""Who looks at monitored mailboxes: none of them is to stop silently."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from mta.config.mailbox_hours import Schedule
from mta.config.tracking_schema import MonitoredMailbox
from mta.model.tracking import MailboxNotes
from mta.watch.trouble import CantLookError, Trouble, in_words

_STEP = timedelta(minutes=10)
_LOOKED_BACK = timedelta(days=15)
"""A mailbox that is polled on one day of a month has been silent for long by the next one all the same."""
_POLLS_MISSED = 3
"""So many of its own intervals have to be over, too."""


class MailboxWatcher:
    """Mailboxes without a good poll for too long, those that can't be signed in to, and pauses that were forgotten."""

    kinds = frozenset({"mailbox-silent", "mailbox-trouble", "mailbox-paused"})

    def __init__(
        self, look: Callable[[], Mapping[str, MailboxNotes]], mailboxes: Iterable[MonitoredMailbox],
        *, age: timedelta, forgotten: timedelta,
    ) -> None:  # fmt: skip
        """`look` is called in a thread; it raises where the store can't be read."""
        self._look = look
        self._mailboxes = [(each, Schedule.of(each.schedule)) for each in mailboxes if each.enabled]
        self._age = age
        self._forgotten = forgotten
        self._seen_at: dict[str, datetime] = {}
        """When a mailbox that was never polled was first seen."""

    async def look(self, now: datetime) -> Sequence[Trouble]:
        try:
            stored = await asyncio.to_thread(self._look)
        except Exception as exc:  # who watches the queue tells of it
            raise CantLookError(f"the store can't be read: {exc}") from exc
        troubles: list[Trouble] = []
        for mailbox, schedule in self._mailboxes:
            notes = stored.get(mailbox.name, MailboxNotes(mailbox.name))
            if notes.paused_at is not None:
                troubles += self._paused(notes, now)
            elif notes.trouble is not None:
                troubles.append(_trouble(notes))
            else:
                troubles += self._silent(mailbox, schedule, notes, now)
        return troubles

    def _paused(self, notes: MailboxNotes, now: datetime) -> Iterable[Trouble]:
        if notes.paused_at is not None and now - notes.paused_at >= self._forgotten:
            yield Trouble(
                f"mailbox-paused:{notes.name}",
                "mailbox-paused",
                f"mailbox {notes.name} is paused for {in_words(now - notes.paused_at)}",
                f"{notes.paused_by} has paused it; what comes waits in it. `stampline mailbox resume {notes.name}` "
                "lets it be polled.",
            )

    def _silent(
        self, mailbox: MonitoredMailbox, schedule: Schedule, notes: MailboxNotes, now: datetime
    ) -> Iterable[Trouble]:
        since = notes.answered_at or self._seen_at.setdefault(mailbox.name, now)
        allowed = max(self._age, _POLLS_MISSED * timedelta(minutes=mailbox.poll.every))
        if now - since < allowed or _open_time(schedule, since, now) < allowed:
            return
        said = f"It said: {_words(notes)} " if notes.reason else ""
        yield Trouble(
            f"mailbox-silent:{notes.name}",
            "mailbox-silent",
            f"mailbox {notes.name} was not polled for {in_words(now - since)}",
            f"{said}Messages wait in it, and nothing is lost. `stampline mailbox list` shows how it stands, `stampline "
            f"mailbox test {notes.name}` what fails; its log is mailbox-{notes.name}.",
        )


def _trouble(notes: MailboxNotes) -> Trouble:
    return Trouble(
        f"mailbox-trouble:{notes.name}",
        "mailbox-trouble",
        f"mailbox {notes.name} can't be signed in to: {notes.reason}",
        f"{notes.failures} polls in a row failed; record {notes.trouble} tells of it. It said: {_words(notes)} "
        "`stampline mailbox list` says how to mend it; `stampline "
        f"mailbox poll {notes.name}` tries it at once.",
    )


def _words(notes: MailboxNotes) -> str:
    """Of the server, as a sentence."""
    return f"{notes.reason}{': ' if notes.detail else ''}{notes.detail.rstrip('.')}."


def _open_time(schedule: Schedule, since: datetime, now: datetime) -> timedelta:
    """How much of this time it was to be polled, to ten minutes."""
    moment, total = max(since, now - _LOOKED_BACK), timedelta()
    while moment < now:
        if schedule.is_open(moment):
            total += min(_STEP, now - moment)
        moment += _STEP
    return total
