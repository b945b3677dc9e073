"""What comes after: a message that the store has is moved, deleted or marked on its server, or set aside there.

Where the server does that with many at once, they go together: then a crash leaves up to TOGETHER of them to be fetched
again, which the store knows. What it refuses so, is asked for one by one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mta import events
from mta.config.tracking_schema import MonitoredMailbox
from mta.crash import crash_point
from mta.ports.mailbox import ItemGoneError
from mta.ports.mailbox_reader import MailboxReader, PutsAwayTogether
from mta.ports.tracking_store import TrackingStore
from mta.tracking.monitor.leftovers import Leftover, Leftovers, is_of_the_message
from mta.tracking.monitor.progress import Progress

TOGETHER = 100
WITHIN_S = 5.0
"""How long one may wait for others."""


@dataclass(slots=True)
class PutAway:
    """Of one poll."""

    settings: MonitoredMailbox
    reader: MailboxReader
    store: TrackingStore
    leftovers: Leftovers
    progress: Progress
    _pending: list[Leftover] = field(default_factory=list)
    _since_s: float = 0.0

    async def later(self, leftover: Leftover) -> None:
        """With others, where they can go together; else now."""
        if not isinstance(self.reader, PutsAwayTogether):
            await self.now(leftover)
            return
        if not self._pending:
            self._since_s = time.monotonic()
        self._pending.append(leftover)
        if len(self._pending) >= TOGETHER or time.monotonic() - self._since_s >= WITHIN_S:
            await self.all()

    async def all(self) -> None:
        """Those that waited for others. A broken session is raised; they are left over then."""
        pending = self._pending
        try:
            if len(pending) > 1 and await self._is_done_together(pending):
                pending.clear()
            while pending:
                await self.now(pending[0])
                del pending[0]
        except BaseException:
            self.keep()
            raise

    def keep(self) -> None:
        """For the next session: they needn't be fetched again."""
        for leftover in self._pending:
            self.leftovers.add(leftover)
        self._pending.clear()

    async def now(self, leftover: Leftover) -> None:
        """Where the server doesn't let us, it is left over; a broken session is raised."""
        try:
            await self._settle(leftover)
        except Exception as error:
            is_known = leftover.ref in self.leftovers
            self.leftovers.add(leftover)
            if not is_of_the_message(error) and not self.leftovers.note_failure(leftover.ref, error):
                raise
            self.progress.stays += 1
            again_in_s = self.leftovers.put_off(leftover.ref)
            if not is_known:
                events.mailbox_message_stays(
                    self.settings.name, leftover.ref, message_id=leftover.message_id, what=self._what(leftover),
                    reason=str(error)[:200], again_in_s=again_in_s,
                )  # fmt: skip
            return
        self._settled(leftover)
        if leftover.folder:
            await self.store.end_message(self.settings.name, leftover.ref)

    async def _is_done_together(self, pending: list[Leftover]) -> bool:
        """False where the server refuses it, perhaps for one of them."""
        assert isinstance(self.reader, PutsAwayTogether)
        do = self._what(pending[0])
        if do == "delete":
            for leftover in pending:
                self.leftovers.note_deleted(leftover)
        try:
            await self.reader.put_away([each.ref for each in pending], do, self.settings.after.folder)
        except Exception as error:
            if is_of_the_message(error) or isinstance(error, ItemGoneError):
                return False
            raise
        for leftover in pending:
            self._settled(leftover)
        return True

    def _settled(self, leftover: Leftover) -> None:
        crash_point("message-moved")
        self.leftovers.settled(leftover.ref)

    async def _settle(self, leftover: Leftover) -> None:
        match self._what(leftover):
            case "delete":
                self.leftovers.note_deleted(leftover)
                await self.reader.delete(leftover.ref)
            case "mark-read":
                await self.reader.mark_read(leftover.ref)
            case _:
                await self.reader.move(leftover.ref, leftover.folder or self.settings.after.folder)

    def _what(self, leftover: Leftover) -> str:
        if leftover.folder:
            return "set-aside"
        return "delete" if self.settings.kind == "pop3" else self.settings.after.do
