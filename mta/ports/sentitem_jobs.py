"""The durable jobs in mailboxes. Each call is one transaction; when it returns, it is on disk and synced.

The relay makes those for Sent Items by `Settlement.sent`, in the settling transaction, tracking those that mark filed
messages; one process works on all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mta.model.sentitem import EndpointNotes, JobFilter, JobOutcome, JobState, MailboxNotes, SentItemJob, Switch
from mta.model.writeback import NewMark


class SentItemJobs(Protocol):
    async def lease_due(
        self, now: datetime, *, limit: int, busy: Collection[str] = (), left_alone: Collection[str] = ()
    ) -> Sequence[SentItemJob]:
        """Take due jobs, oldest due first, with their copies: at most one for each mailbox.

        None of mailboxes that are `busy` (address keys) or left alone (`MailboxNotes.resume_at`), and none of endpoints
        that are `left_alone`; where a mailbox is, its notes say, else its job's last attempt. A job whose lease ran out
        is due, `interrupted`. Nothing while the switch is not ON.
        """
        ...

    async def settle(self, outcome: JobOutcome) -> JobState:
        """Write down what became of a leased job; gives its state now. Raises LeaseLostError.

        A job that is done or skipped lets go of its bytes and is remembered, so that it is not made again; one that is
        given up keeps them until it is forgotten. Where a copy came since it was leased, it waits on and is due.
        """
        ...

    async def give_back(self, job: str, due_at: datetime) -> None:
        """End a lease without a result."""
        ...

    async def renew(self) -> None:
        """Prolong all leases of this process."""
        ...

    async def next_due(self) -> datetime | None:
        """When the first waiting job is due, None where none waits; cheap."""
        ...

    async def mailbox_notes(self, mailboxes: Collection[str]) -> Mapping[str, MailboxNotes]:
        """What is remembered of these mailboxes."""
        ...

    async def mailbox_at(self, endpoint: str) -> str:
        """The primary address of a mailbox that was lately found on this endpoint and is open to us; "" for none."""
        ...

    async def is_copy_to_come(self, mailboxes: Collection[str], message_id: str) -> bool:
        """Whether a job for Sent Items waits for this message in one of these mailboxes (address keys)."""
        ...

    async def endpoint_notes(self) -> Mapping[str, EndpointNotes]:
        """What is remembered of every endpoint, by name."""
        ...

    async def note_mailbox(self, notes: MailboxNotes) -> None: ...

    async def note_endpoint(self, notes: EndpointNotes) -> None: ...

    async def add_marks(self, marks: Sequence[NewMark]) -> int:
        """Make jobs that mark, or change the mark of those there; how many are to be worked on by that.

        One whose mark is the same stays as it is.
        """
        ...

    async def forget(self, ended_before: datetime, limit: int) -> int:
        """Forget jobs that ended before then; gives how many."""
        ...

    # Below: for administrators.

    async def switch(self) -> Switch: ...

    async def set_switch(self, switch: Switch, *, by_whom: str, at: datetime) -> bool:
        """Order it, also over restarts; False where that is so already."""
        ...

    async def entries(self, which: JobFilter, *, limit: int = 1000) -> Sequence[SentItemJob]:
        """Jobs, oldest first; their copies without bodies and edits."""
        ...

    async def counts(self, which: JobFilter) -> Mapping[tuple[JobState, str], int]:
        """How many match, by state and reason."""
        ...

    async def retry(self, which: JobFilter, now: datetime) -> int:
        """Make waiting jobs due, and given-up ones anew; gives how many."""
        ...

    async def skip(self, which: JobFilter, reason: str) -> int:
        """End waiting jobs that nobody works on; gives how many."""
        ...

    async def close(self) -> None: ...
