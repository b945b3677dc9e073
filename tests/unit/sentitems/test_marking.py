"""What becomes of a job that marks: each copy by itself, and what one attempt means for the job and its mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from mta.model.mailbox_item import ItemRef
from mta.model.sentitem import EndpointNotes, JobState, MailboxNotes, SentItemJob
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointBusyError,
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    OutcomeUnknownError,
    RefusedError,
)
from mta.sentitems import reasons
from mta.sentitems.decisions import Circumstances, decide
from mta.sentitems.marking import COPIES_MAX, put_mark
from mta.sentitems.verdict import Verdict
from tests.unit.sentitems.remembered_server import RememberedServer
from tests.unit.sentitems.samples import MAILBOX, marking_job

LINKED = FiledMark("Transferred", "https://desk.example.com/7", "Ticket 7", {"Ticket": 7}, "ticket-7")


@dataclass
class Filing(RememberedServer):
    """Has copies of one message; each refuses what is scripted for it, the first error first."""

    copies: Sequence[FiledItem] = ()
    refusals: dict[str, list[MailboxError]] = field(default_factory=dict)
    done: list[tuple[str, FiledMark]] = field(default_factory=list)

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        return self.copies

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        if self.refusals.get(ref.id):
            raise self.refusals[ref.id].pop(0)
        self.done.append((ref.id, mark))
        return ref


def copies(*names: str) -> list[FiledItem]:
    return [FiledItem(ItemRef(name), "Inbox") for name in names]


async def marked(server: Filing) -> Verdict:
    return await put_mark(marking_job(LINKED), MAILBOX, server)


async def test_every_copy_gets_the_mark() -> None:
    server = Filing(copies=copies("a", "b"))
    assert await marked(server) == Verdict(JobState.DONE, detail="2 of 2 copies")
    assert server.done == [("a", LINKED), ("b", LINKED)]


async def test_a_loop_of_copies_is_not_marked_for_ever() -> None:
    server = Filing(copies=copies(*map(str, range(500))))
    await marked(server)
    assert len(server.done) == COPIES_MAX


async def test_what_is_protected_gets_no_link_in_its_body() -> None:
    server = Filing(copies=[replace(copies("a")[0], is_protected=True)])
    await marked(server)
    assert server.done == [("a", replace(LINKED, link_text=""))]


async def test_where_a_server_keeps_the_body_the_rest_is_put_on() -> None:
    server = Filing(copies=copies("a"), refusals={"a": [RefusedError("ErrorItemSavePropertyError")]})
    assert (await marked(server)).state is JobState.DONE
    assert server.done == [("a", replace(LINKED, link_text=""))]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ConflictError("ErrorIrresolvableConflict"), JobState.WAITING, reasons.CONFLICT),
        (ItemGoneError("ErrorItemNotFound"), JobState.WAITING, reasons.CONFLICT),
        (OutcomeUnknownError("timeout"), JobState.WAITING, reasons.OUTCOME_UNKNOWN),
        (RefusedError("ErrorItemCorrupt"), JobState.DONE, ""),
        (AccessDeniedError("NOPERM"), JobState.DONE, ""),
    ],
)
async def test_one_bad_copy_keeps_no_other_from_its_mark(error: MailboxError, state: JobState, reason: str) -> None:
    server = Filing(copies=copies("bad", "good"), refusals={"bad": [error] * 2})
    verdict = await marked(server)
    assert (verdict.state, verdict.reason) == (state, reason)
    assert error.code in verdict.detail
    assert [name for name, _ in server.done] == ["good"]


async def test_where_every_copy_is_refused_it_is_over() -> None:
    server = Filing(copies=copies("a"), refusals={"a": [RefusedError("LIMIT", "too many keywords")] * 2})
    assert await marked(server) == Verdict(JobState.GIVEN_UP, reasons.REFUSED, "LIMIT, in Inbox")


@pytest.mark.parametrize("error", [EndpointBusyError("429"), NoMailboxError("gone"), MailboxError("odd")])
async def test_what_tells_of_server_or_mailbox_passes(error: MailboxError) -> None:
    with pytest.raises(type(error)):
        await marked(Filing(copies=copies("a"), refusals={"a": [error]}))


# --- decisions --------------------------------------------------------------------------------------------------------


def around(job: SentItemJob, after: timedelta, notes: MailboxNotes | None = None) -> Circumstances:
    return Circumstances(
        job.created_at + after, timedelta(days=1), notes or MailboxNotes(MAILBOX), EndpointNotes("exchange")
    )


NOTHING = Verdict(JobState.WAITING, reasons.NOT_FOUND)


def test_a_copy_is_looked_for_until_search_for_and_then_let_go() -> None:
    """What nobody keeps is no fault that an administrator has to look at."""
    job = marking_job(LINKED)
    soon = decide(job, NOTHING, around(job, timedelta(seconds=1)))
    assert (soon.state, soon.reason) == (JobState.WAITING, reasons.NOT_FOUND)
    assert soon.due_at is not None
    late = replace(job, reason=reasons.NOT_FOUND, attempts=8)
    last = decide(late, NOTHING, around(job, timedelta(hours=23)))
    assert last.due_at == job.created_at + timedelta(days=1)
    over = decide(late, NOTHING, around(job, timedelta(days=1)))
    assert (over.state, over.reason) == (JobState.SKIPPED, reasons.NOT_FOUND)


def test_who_keeps_no_filed_message_is_not_held_for_one_who_keeps_no_sent_items() -> None:
    job = marking_job(LINKED)
    notes = MailboxNotes(MAILBOX, missing_in_a_row=2)
    outcome = decide(job, NOTHING, around(job, timedelta(days=2), notes))
    assert outcome.mailbox_notes == notes
    done = decide(job, Verdict(JobState.DONE), around(job, timedelta(seconds=1), notes))
    assert done.mailbox_notes == notes


def test_a_mailbox_that_keeps_no_sent_items_is_looked_into_for_marks_as_often_as_others() -> None:
    job = marking_job(LINKED)
    notes = MailboxNotes(MAILBOX, seldom_until=job.created_at + timedelta(days=1))
    outcome = decide(job, NOTHING, around(job, timedelta(seconds=1), notes))
    assert outcome.state is JobState.WAITING
