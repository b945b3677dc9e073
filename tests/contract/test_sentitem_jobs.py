"""The port `SentItemJobs`: what each adapter has to do with jobs, notes and the switch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.store.errors import SlotTakenError
from mta.model.delivery import Settlement, State
from mta.model.queue import QueueFilter
from mta.model.sentitem import EndpointNotes, JobFilter, JobKind, JobOutcome, JobState, MailboxNotes, Switch, job_id
from mta.model.writeback import FiledMark, NewMark
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import LEASE, LeaseLostError, Spool
from tests.contract.sentitem_jobs import ALL, DATE, JANE, STAMP, WAIT, Mail, OpenJobs, done, due, one, waits
from tests.contract.spools import EVERYTHING, LARGE, Open, SettableClock, queue_ids

BOSS = "boss@example.com"
SOON = timedelta(minutes=5)


async def given_up(jobs: SentItemJobs, clock: SettableClock) -> None:
    (job,) = await due(jobs, clock)
    await jobs.settle(JobOutcome(job, JobState.GIVEN_UP, "not-found"))


# --- made ----------------------------------------------------------------------------------------------------------


async def test_a_delivered_copy_makes_a_job(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    message = await mail.send()
    sent_at = clock.now()
    job = await one(jobs)
    assert (job.id, job.mailbox, job.organisation) == (job_id(JANE, "<a1@example.com>", DATE), JANE, "default")
    assert (job.message_id, job.date, job.state) == ("<a1@example.com>", DATE, JobState.WAITING)
    assert (job.created_at, job.due_at, job.is_leased) == (sent_at, sent_at + WAIT, False)
    (copy,) = job.copies
    assert (copy.queue_id, copy.group, copy.external, copy.recipients) == (message.queue_id, 0, True, 1)
    assert (copy.sent_at, copy.body.size_octets) == (sent_at, 0)


async def test_it_has_the_bytes_when_it_is_leased(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send(data=b"Subject: y\r\n\r\nhello\r\n")
    (job,) = await due(jobs, clock)
    (copy,) = job.copies
    assert copy.body.data == b"Subject: y\r\n\r\nhello\r\n"
    assert copy.variant == STAMP
    assert job.is_leased
    assert job.due_at == clock.now() + LEASE


async def test_a_large_body_is_its_file(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send(data=LARGE)
    (job,) = await due(jobs, clock)
    (copy,) = job.copies
    assert copy.body.path is not None
    assert copy.body.path.read_bytes() == LARGE


async def test_nobody_else_sees_a_delivered_message(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    message = await mail.send(data=LARGE)
    assert await queue_ids(spool) == []
    assert (await spool.count(EVERYTHING)).messages == 0
    assert await spool.load(message.queue_id) is None
    with pytest.raises(KeyError):
        await spool.read_body(message.queue_id)
    assert await spool.retry_now(EVERYTHING) == 0
    assert await spool.delete(EVERYTHING) == 0
    assert list(await spool.lease_due(clock.now(), limit=10)) == []
    (job,) = await due(jobs, clock)
    assert job.copies[0].body.size_octets == len(LARGE)


async def test_a_message_can_still_be_accepted_under_its_own_number_after_a_restart(
    jobs: SentItemJobs, mail: Mail, spool: Spool, open_spool: Open, clock: SettableClock
) -> None:
    clock.pass_(timedelta(days=1))
    await mail.send()
    await spool.close()
    clock.pass_(-timedelta(days=1))
    again = Mail(await open_spool(0), clock)
    await again.send("<a2@example.com>")
    assert len(await jobs.entries(ALL)) == 2


async def test_a_delegates_mailbox_is_a_job_of_its_own(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    message = await mail.accept()
    await mail.deliver(message, mailboxes=(BOSS, JANE))
    leased = await due(jobs, clock)
    assert {job.mailbox for job in leased} == {BOSS, JANE}
    assert len({job.id for job in leased}) == 2
    first, second = leased
    await jobs.settle(done(first))
    assert second.copies[0].body.data is not None
    await jobs.give_back(second.id, clock.now())
    (again,) = await jobs.lease_due(clock.now(), limit=10)
    assert again.copies[0].body == second.copies[0].body


async def test_copies_of_one_message_share_a_job(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    message = await mail.accept(hops=("a", "b"))
    await mail.deliver(message, 0, external=False)
    clock.pass_(timedelta(seconds=10))
    await mail.deliver(message, 1)
    (job,) = await due(jobs, clock)
    assert [(copy.group, copy.external) for copy in job.copies] == [(0, False), (1, True)]
    assert [copy.variant.group for copy in job.copies] == [0, 1]


async def test_siblings_of_one_message_share_a_job(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    began = clock.now()
    first = await mail.send()
    clock.pass_(timedelta(seconds=30))
    second = await mail.send()
    job = await one(jobs)
    assert job.due_at == began + WAIT
    assert [copy.queue_id for copy in job.copies] == [first.queue_id, second.queue_id]


async def test_what_differs_in_message_id_date_or_mailbox_is_a_job_of_its_own(jobs: SentItemJobs, mail: Mail) -> None:
    await mail.send()
    await mail.send("<a2@example.com>")
    await mail.send(date=DATE + timedelta(seconds=1))
    await mail.send(date=None)
    await mail.send(mailbox=BOSS)
    found = await jobs.entries(ALL)
    assert len({job.id for job in found}) == 5
    assert [job.date for job in found].count(None) == 1


async def test_a_later_attempts_recipients_join_their_copy(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    message = await mail.accept(hops=("a", "a"))
    first = mail.copy(message, 0)
    some = Settlement(message.queue_id, "a", (), {0: State.DELIVERED}, clock.now(), (STAMP,), sent=(first,))
    await spool.settle(some)
    await spool.lease_due(clock.now(), limit=10)
    rest = Settlement(message.queue_id, "a", (), {1: State.DELIVERED}, sent=(replace(first, external=False),))
    await spool.settle(rest)
    (job,) = await due(jobs, clock)
    (copy,) = job.copies
    assert (copy.recipients, copy.external, copy.variant) == (2, True, STAMP)


async def test_copies_without_end_are_not_kept(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock, tmp_path: Path
) -> None:
    """As of a program that gives all its mail one Message-ID and Date."""
    for _ in range(210):
        await mail.send()
    assert len((await one(jobs)).copies) == 200
    (job,) = await due(jobs, clock)
    await jobs.settle(done(job))
    await mail.send(data=LARGE)
    assert (await one(jobs)).state is JobState.DONE
    assert [path for path in (tmp_path / "spool" / "bodies").rglob("*") if path.is_file()] == []


async def test_an_added_message_id_is_told(jobs: SentItemJobs, mail: Mail, spool: Spool) -> None:
    message = await mail.accept()
    copy = replace(mail.copy(message), is_id_ours=True)
    await spool.settle(Settlement(message.queue_id, "a", (), {0: State.DELIVERED}, variants=(STAMP,), sent=(copy,)))
    assert (await one(jobs)).is_id_ours


async def test_message_ids_that_are_no_utf8_make_one_job(jobs: SentItemJobs, mail: Mail) -> None:
    await mail.send("<\udce4\ud800@example.com>")
    await mail.send("<\udce4\ud800@example.com>")
    job = await one(jobs)
    assert len(job.copies) == 2
    assert job.id == job_id(job.mailbox, job.message_id, job.date)


async def test_a_settlement_without_its_lease_makes_no_job(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    message = await mail.accept()
    await spool.give_back(message.queue_id, "a", clock.now())
    with pytest.raises(LeaseLostError):
        await mail.deliver(message)
    assert await jobs.entries(ALL) == []


# --- leased --------------------------------------------------------------------------------------------------------


async def test_a_job_is_due_when_siblings_had_their_time(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    expected = clock.now() + WAIT
    assert await jobs.next_due() == expected
    assert await jobs.lease_due(expected - timedelta(microseconds=1), limit=10) == ()
    assert len(await jobs.lease_due(expected, limit=10)) == 1


async def test_the_longest_due_come_first_and_one_of_each_mailbox(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    for number in range(3):
        await mail.send(f"<b{number}@example.com>", mailbox=BOSS)
        clock.pass_(timedelta(seconds=1))
        await mail.send(f"<j{number}@example.com>")
        clock.pass_(timedelta(seconds=1))
    taken = await jobs.lease_due(clock.pass_(WAIT), limit=10)
    assert [job.message_id for job in taken] == ["<b0@example.com>", "<j0@example.com>"]
    assert list(await jobs.lease_due(clock.now(), limit=10)) == []
    await jobs.settle(done(taken[1]))
    assert [job.message_id for job in await jobs.lease_due(clock.now(), limit=10)] == ["<j1@example.com>"]


async def test_no_more_than_asked_for(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    for number in range(5):
        await mail.send(mailbox=f"s{number}@example.com")
    clock.pass_(WAIT)
    assert len(await jobs.lease_due(clock.now(), limit=2)) == 2
    assert len(await jobs.lease_due(clock.now(), limit=10)) == 3


async def test_busy_mailboxes_are_passed_over(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send(mailbox=BOSS)
    await mail.send()
    (job,) = await jobs.lease_due(clock.pass_(WAIT), limit=10, busy=[BOSS])
    assert job.mailbox == JANE


async def test_mailboxes_are_left_alone_until_their_time(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    until = clock.now() + timedelta(minutes=30)
    await jobs.note_mailbox(MailboxNotes(JANE, resume_at=until))
    assert await due(jobs, clock) == []
    assert await jobs.next_due() == until
    await mail.send("<later@example.com>")
    assert await jobs.lease_due(until - timedelta(seconds=1), limit=10) == ()
    assert len(await jobs.lease_due(until, limit=10)) == 1


async def test_left_alone_no_longer_a_mailbox_has_its_turn(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await jobs.note_mailbox(MailboxNotes(JANE, resume_at=clock.now() + timedelta(days=1)))
    await mail.send()
    assert await due(jobs, clock) == []
    await jobs.note_mailbox(MailboxNotes(JANE))
    assert len(await jobs.lease_due(clock.now(), limit=10)) == 1


async def test_endpoints_are_left_alone(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    await mail.send("<b@example.com>", mailbox=BOSS)
    for job in await due(jobs, clock):
        await jobs.settle(
            replace(waits(job, clock.now(), "server-busy"), endpoint="old" if job.mailbox == JANE else "new")
        )
    (job,) = await jobs.lease_due(clock.now(), limit=10, left_alone=["old"])
    assert (job.mailbox, job.endpoint) == (BOSS, "new")


async def test_where_a_mailbox_is_now_counts_for_all_its_jobs(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    await jobs.settle(replace(waits(job, clock.now()), endpoint="old"))
    await mail.send("<new@example.com>")
    await jobs.note_mailbox(MailboxNotes(JANE, endpoint="new"))
    clock.pass_(WAIT)
    assert list(await jobs.lease_due(clock.now(), limit=10, left_alone=["new"])) == []
    assert len(await jobs.lease_due(clock.now(), limit=10, left_alone=["old"])) == 1


async def test_a_lease_that_ran_out_is_due_again(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    assert list(await jobs.lease_due(clock.now(), limit=10)) == []
    (again,) = await jobs.lease_due(clock.pass_(LEASE), limit=10)
    assert (again.id, again.reason) == (job.id, "interrupted")


async def test_leases_are_renewed(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    clock.pass_(LEASE / 2)
    await jobs.renew()
    assert list(await jobs.lease_due(clock.pass_(LEASE * 0.75), limit=10)) == []
    assert await jobs.settle(done(job)) is JobState.DONE


async def test_what_a_dead_process_had_is_due_at_once(
    jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    await jobs.close()
    successor = await open_jobs(True)
    (again,) = await successor.lease_due(clock.now(), limit=10)
    assert again.id == job.id
    assert again.copies == job.copies
    assert again.reason == "interrupted", "nobody knows how far it came"


async def test_one_process_works_on_jobs(
    jobs: SentItemJobs, open_jobs: OpenJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta.adapters.store.slots._PATIENCE_S", 0.0)
    with pytest.raises(SlotTakenError):
        await open_jobs(True)


async def test_given_back_is_no_attempt(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    later = clock.now() + SOON
    await jobs.give_back(job.id, later)
    job = await one(jobs)
    assert (job.due_at, job.attempts, job.is_leased) == (later, 0, False)


# --- settled -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [JobState.DONE, JobState.SKIPPED])
async def test_what_ended_well_lets_go_of_its_bytes(
    state: JobState, jobs: SentItemJobs, mail: Mail, clock: SettableClock, tmp_path: Path
) -> None:
    await mail.send(data=LARGE)
    (job,) = await due(jobs, clock)
    (path,) = [copy.body.path for copy in job.copies]
    assert path is not None
    assert await jobs.settle(JobOutcome(job, state, "why", placed=job.copies[0].key)) is state
    assert not path.exists()
    ended = await one(jobs)
    assert (ended.state, ended.reason, ended.due_at, ended.placed) == (state, "why", None, job.copies[0].key)
    assert [copy.key for copy in ended.copies] == [job.copies[0].key]
    assert await jobs.next_due() is None


async def test_bytes_stay_while_another_mailbox_or_recipient_needs_them(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    message = await mail.accept(data=LARGE, hops=("a", "b"))
    await mail.deliver(message, 0, mailboxes=(JANE, BOSS))
    first, second = await due(jobs, clock)
    (path,) = [copy.body.path for copy in first.copies]
    assert path is not None
    await jobs.settle(done(first))
    await jobs.settle(done(second))
    assert path.read_bytes() == LARGE
    await spool.settle(Settlement(message.queue_id, "b", (), {1: State.FAILED}))
    assert not path.exists()


async def test_given_up_keeps_its_bytes_until_it_is_forgotten(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send(data=LARGE)
    (job,) = await due(jobs, clock)
    (path,) = [copy.body.path for copy in job.copies]
    assert path is not None
    await jobs.settle(JobOutcome(job, JobState.GIVEN_UP, "quota"))
    assert path.exists()
    assert await jobs.forget(clock.now(), 10) == 0
    assert await jobs.forget(clock.now() + SOON, 10) == 1
    assert not path.exists()
    assert await jobs.entries(ALL) == []


async def test_a_job_that_waits_counts_attempts_of_one_reason(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send()
    seen = []
    clock.pass_(WAIT)
    for reason in ("not-found", "not-found", "server-busy"):
        (job,) = await jobs.lease_due(clock.now(), limit=10)
        assert await jobs.settle(waits(job, clock.now(), reason)) is JobState.WAITING
        seen.append((await one(jobs)).attempts)
    assert seen == [1, 2, 1]


async def test_what_is_known_stays_known(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    await jobs.settle(replace(waits(job, clock.now()), endpoint="exchange", placed="q1.0", detail="busy"))
    (job,) = await jobs.lease_due(clock.now(), limit=10)
    await jobs.settle(waits(job, clock.now()))
    job = await one(jobs)
    assert (job.endpoint, job.placed, job.detail) == ("exchange", "q1.0", "")


async def test_a_lost_lease_can_not_settle(
    jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    await jobs.close()
    successor = await open_jobs(True)
    (again,) = await successor.lease_due(clock.now(), limit=10)
    await successor.settle(done(again))
    with pytest.raises(LeaseLostError):
        await successor.settle(done(job))


@pytest.mark.parametrize("state", [JobState.DONE, JobState.SKIPPED, JobState.GIVEN_UP])
async def test_a_copy_that_came_meanwhile_keeps_a_job_waiting(
    state: JobState, jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send(external=False)
    (job,) = await due(jobs, clock)
    await mail.send()
    assert await jobs.settle(JobOutcome(job, state, placed=job.copies[0].key)) is JobState.WAITING
    (again,) = await jobs.lease_due(clock.now(), limit=10)
    assert again.placed == job.copies[0].key
    assert [copy.body.size_octets > 0 for copy in again.copies] == [True, True]
    assert await jobs.settle(done(again)) is JobState.DONE


async def test_a_later_copy_gives_a_job_that_was_done_work_again(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send(external=False)
    (job,) = await due(jobs, clock)
    await jobs.settle(done(job))
    clock.pass_(timedelta(hours=3))
    await mail.send()
    assert (await one(jobs)).due_at == clock.now() + WAIT
    (again,) = await due(jobs, clock)
    assert (again.id, again.placed, again.attempts) == (job.id, job.copies[0].key, 0)
    assert [copy.body.size_octets > 0 for copy in again.copies] == [False, True]


async def test_later_recipients_of_the_same_copy_give_no_work(
    jobs: SentItemJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    message = await mail.accept(data=LARGE, hops=("a", "a"))
    first = mail.copy(message, 0)
    some = Settlement(message.queue_id, "a", (), {0: State.DELIVERED}, clock.now(), (STAMP,), sent=(first,))
    await spool.settle(some)
    (job,) = await due(jobs, clock)
    await jobs.settle(done(job))
    (path,) = [copy.body.path for copy in job.copies]
    assert path is not None
    assert path.exists()
    await spool.lease_due(clock.now(), limit=10)
    await spool.settle(Settlement(message.queue_id, "a", (), {1: State.DELIVERED}, sent=(first,)))
    job = await one(jobs)
    assert (job.state, job.copies[0].recipients) == (JobState.DONE, 2)
    assert not path.exists()


async def test_what_was_skipped_stays_skipped(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    await jobs.skip(ALL, "by-administrator")
    second = await mail.send(data=LARGE)
    job = await one(jobs)
    assert (job.state, len(job.copies), job.copies[1].queue_id) == (JobState.SKIPPED, 2, second.queue_id)
    assert await due(jobs, clock) == []


async def test_a_copy_joins_what_was_given_up(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    await given_up(jobs, clock)
    await mail.send()
    assert (await one(jobs)).state is JobState.GIVEN_UP
    assert await jobs.retry(ALL, clock.now()) == 1
    (job,) = await jobs.lease_due(clock.now(), limit=10)
    assert [copy.body.size_octets > 0 for copy in job.copies] == [True, True]


async def test_notes_are_written_with_the_outcome(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    (job,) = await due(jobs, clock)
    until = clock.now() + SOON
    mailbox = MailboxNotes(JANE, "jane.doe@example.com", "exchange", clock.now(), 2, until, until, until)
    endpoint = EndpointNotes("exchange", until, True, "sign-in", "401", 3, 4, "digest")
    outcome = replace(waits(job, until), mailbox_notes=mailbox, endpoint_notes=endpoint)
    await jobs.settle(outcome)
    assert await jobs.mailbox_notes([JANE, BOSS]) == {JANE: mailbox}
    assert await jobs.endpoint_notes() == {"exchange": endpoint}
    with pytest.raises(LeaseLostError):
        await jobs.settle(replace(outcome, mailbox_notes=MailboxNotes(JANE, "other@example.com")))
    assert await jobs.mailbox_notes([JANE]) == {JANE: mailbox}


async def test_notes_are_kept_over_restarts_and_replaced(
    jobs: SentItemJobs, open_jobs: OpenJobs, clock: SettableClock
) -> None:
    await jobs.note_endpoint(EndpointNotes("exchange", is_stopped=True))
    await jobs.note_endpoint(EndpointNotes("exchange", connections=2))
    await jobs.note_mailbox(MailboxNotes(JANE, missing_in_a_row=1))
    await jobs.note_mailbox(MailboxNotes(JANE, missing_in_a_row=2))
    await jobs.close()
    successor = await open_jobs(True)
    assert await successor.endpoint_notes() == {"exchange": EndpointNotes("exchange", connections=2)}
    assert await successor.mailbox_notes([JANE]) == {JANE: MailboxNotes(JANE, missing_in_a_row=2)}


async def test_a_mailbox_of_a_server_is_known_that_was_open_to_us_lately(
    jobs: SentItemJobs, clock: SettableClock
) -> None:
    assert await jobs.mailbox_at("local") == ""
    now = clock.now()
    for notes in (
        MailboxNotes("old@example.com", "old@example.com", "local", now - timedelta(days=1)),
        MailboxNotes("new@example.com", "primary@example.com", "local", now),
        MailboxNotes("away@example.com", "away@example.com", "local", now + SOON, absent_until=now),
        MailboxNotes("denied@example.com", "denied@example.com", "local", now + SOON, denied_since=now),
        MailboxNotes("elsewhere@example.com", "elsewhere@example.com", "cloud", now + SOON),
    ):
        await jobs.note_mailbox(notes)
    assert await jobs.mailbox_at("local") == "primary@example.com"


async def test_a_mailbox_is_forgotten_with_its_last_job(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    await mail.send("<a2@example.com>")
    notes = MailboxNotes(JANE, "jane.doe@example.com")
    await jobs.note_mailbox(notes)
    (job,) = await due(jobs, clock)
    await jobs.settle(done(job))
    later = clock.pass_(timedelta(days=8))
    assert await jobs.forget(later, 10) == 1
    assert await jobs.mailbox_notes([JANE]) == {JANE: notes}
    (job,) = await jobs.lease_due(later, limit=10)
    await jobs.settle(done(job))
    assert await jobs.forget(later + SOON, 10) == 1
    assert await jobs.mailbox_notes([JANE]) == {}


async def test_what_waits_is_never_forgotten_and_no_more_than_asked_for(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    for number in range(3):
        await mail.send(f"<a{number}@example.com>", mailbox=f"s{number}@example.com")
    first, second, _ = await due(jobs, clock)
    await jobs.settle(done(first))
    await jobs.settle(done(second))
    later = clock.pass_(timedelta(days=30))
    assert [await jobs.forget(later, 1) for _ in range(3)] == [1, 1, 0]
    assert (await one(jobs)).state is JobState.WAITING


# --- administrators ------------------------------------------------------------------------------------------------


async def test_the_switch(
    jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, spool: Spool, clock: SettableClock
) -> None:
    administrator = await open_jobs(False)
    await mail.send()
    assert await administrator.switch() is Switch.ON
    assert not await administrator.set_switch(Switch.ON, by_whom="root", at=clock.now())
    assert await administrator.set_switch(Switch.PAUSED, by_whom="root", at=clock.now())
    assert not await administrator.set_switch(Switch.PAUSED, by_whom="root", at=clock.now())
    assert await jobs.switch() is Switch.PAUSED
    assert await spool.makes_sent_items()
    assert await due(jobs, clock) == []
    assert await administrator.set_switch(Switch.OFF, by_whom="root", at=clock.now())
    assert not await spool.makes_sent_items()
    assert await due(jobs, clock) == []
    assert await administrator.set_switch(Switch.ON, by_whom="root", at=clock.now())
    assert await spool.makes_sent_items()
    assert len(await jobs.lease_due(clock.now(), limit=10)) == 1


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (JobFilter(), {"<a@example.com>", "<b@example.com>", "<c@example.com>"}),
        (JobFilter(mailbox="JANE@*"), {"<a@example.com>", "<c@example.com>"}),
        (JobFilter(message_id="<b@*"), {"<b@example.com>"}),
        (JobFilter(state=JobState.DONE), {"<a@example.com>"}),
        (JobFilter(state=JobState.WAITING, mailbox=BOSS), {"<b@example.com>"}),
        (JobFilter(reason="repl*"), {"<a@example.com>"}),
        (JobFilter(endpoint="exchange"), {"<a@example.com>"}),
        (JobFilter(organisation="other"), set()),
        (JobFilter(organisation="default", older_than_s=60), {"<a@example.com>", "<b@example.com>"}),
        (JobFilter(younger_than_s=60), {"<c@example.com>"}),
        (JobFilter(id=job_id(BOSS, "<b@example.com>", DATE).upper()), {"<b@example.com>"}),
        (JobFilter(mailbox="jane_example.com"), set()),
        (JobFilter(mailbox="\udce4*"), set()),
        (JobFilter(queue_id="nothing"), set()),
    ],
    ids=["all", "mailbox", "message-id", "state", "state-and-mailbox", "reason", "endpoint", "organisation", "older",
         "younger", "id", "underscore", "no-utf8", "queue-id"],
)  # fmt: skip
async def test_jobs_are_found_by_what_administrators_know(
    which: JobFilter, found: set[str], jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    message = await mail.send("<a@example.com>")
    (job,) = await due(jobs, clock)
    await jobs.settle(replace(done(job), endpoint="exchange"))
    await mail.send("<b@example.com>", mailbox=BOSS)
    clock.pass_(timedelta(hours=1))
    await mail.send("<c@example.com>")
    assert {job.message_id for job in await jobs.entries(which)} == found
    assert sum((await jobs.counts(which)).values()) == len(found)
    assert len(await jobs.entries(which, limit=1)) == min(1, len(found))
    (of_queue_id,) = await jobs.entries(JobFilter(queue_id=message.queue_id))
    assert of_queue_id.message_id == "<a@example.com>"


async def test_counts_by_state_and_reason(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    for number in range(4):
        await mail.send(mailbox=f"s{number}@example.com")
    first, second, third, _ = await due(jobs, clock)
    await jobs.settle(done(first))
    await jobs.settle(waits(second, clock.now()))
    await jobs.settle(waits(third, clock.now()))
    assert await jobs.counts(ALL) == {
        (JobState.DONE, "replaced"): 1,
        (JobState.WAITING, "not-found"): 2,
        (JobState.WAITING, ""): 1,
    }


async def test_retry_makes_due_what_waits_and_what_was_given_up(
    jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, clock: SettableClock
) -> None:
    administrator = await open_jobs(False)
    await mail.send("<a@example.com>", mailbox="a@example.com")
    await given_up(jobs, clock)
    await mail.send("<b@example.com>", mailbox="b@example.com")
    (job,) = await due(jobs, clock)
    await jobs.settle(done(job))
    await mail.send("<c@example.com>", mailbox="c@example.com")
    assert await administrator.retry(ALL, clock.now()) == 2
    taken = await jobs.lease_due(clock.now(), limit=10)
    assert {(job.mailbox, job.reason, job.attempts) for job in taken} == {
        ("a@example.com", "", 0),
        ("c@example.com", "", 0),
    }
    assert all(job.copies[0].body.size_octets for job in taken)
    assert await administrator.retry(ALL, clock.now()) == 0, "in work already"


async def test_skip_ends_what_waits(jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, clock: SettableClock) -> None:
    administrator = await open_jobs(False)
    await mail.send(data=LARGE)
    await mail.send(mailbox=BOSS)
    (job,) = await jobs.lease_due(clock.pass_(WAIT), limit=10, busy=[BOSS])
    assert await administrator.skip(ALL, "by-administrator") == 1, "what is in work is left alone"
    assert job.copies[0].body.path is not None
    assert job.copies[0].body.path.exists()
    await jobs.settle(waits(job, clock.now() + SOON))
    assert await administrator.skip(JobFilter(mailbox=JANE), "by-administrator") == 1
    assert not job.copies[0].body.path.exists()
    assert await jobs.counts(ALL) == {(JobState.SKIPPED, "by-administrator"): 2}
    assert await administrator.skip(ALL, "by-administrator") == 0


async def test_many_are_changed_in_steps(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    for number in range(450):
        await mail.send(f"<{number}@example.com>")
    assert await jobs.retry(ALL, clock.now()) == 450
    assert await jobs.skip(ALL, "by-administrator") == 450
    assert await jobs.next_due() is None
    assert await jobs.forget(clock.now() + SOON, 1000) == 450


async def test_an_administrator_finds_jobs_while_others_work(
    jobs: SentItemJobs, open_jobs: OpenJobs, mail: Mail, clock: SettableClock
) -> None:
    administrator = await open_jobs(False)
    await mail.send()
    await due(jobs, clock)
    job = await one(administrator)
    assert job.is_leased
    assert job.copies[0].body.size_octets == 0


async def test_times_before_1970_and_far_ahead(jobs: SentItemJobs, mail: Mail) -> None:
    dates = [datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    for date in dates:
        await mail.send(date=date)
    assert [job.date for job in await jobs.entries(ALL)] == dates


async def test_drain_finds_an_empty_queue(jobs: SentItemJobs, mail: Mail, spool: Spool) -> None:
    await mail.send()
    assert (await spool.count(QueueFilter())).messages == 0
    assert list(await spool.entries(QueueFilter())) == []


# --- marks ------------------------------------------------------------------------------------------------------------


def _mark(clock: SettableClock, *, mailbox: str = JANE, record: str = "ticket-7", **changes: Any) -> NewMark:
    mark = FiledMark("Transferred", "https://desk.example.com/7", "", {"Ticket": 7}, record)
    return NewMark(mailbox, "default", "<a1@example.com>", replace(mark, **changes), clock.now(), clock.now())


async def test_a_mark_is_a_job_beside_that_for_sent_items(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    new = _mark(clock)
    assert await jobs.add_marks([new, _mark(clock, mailbox=BOSS)]) == 2
    assert [job.id for job in await jobs.entries(JobFilter(kind=JobKind.COPY))] == [
        job_id(JANE, "<a1@example.com>", DATE)
    ]
    (job,) = await jobs.entries(JobFilter(kind=JobKind.MARK, mailbox=JANE))
    assert (job.id, job.kind, job.mark, job.copies, job.date) == (new.id, JobKind.MARK, new.mark, (), None)
    assert await jobs.counts(JobFilter(kind=JobKind.MARK)) == {(JobState.WAITING, ""): 2}


async def test_the_same_mark_is_made_once_and_another_one_is_put_on(jobs: SentItemJobs, clock: SettableClock) -> None:
    assert await jobs.add_marks([_mark(clock)]) == 1
    assert await jobs.add_marks([_mark(clock)]) == 0
    (job,) = await due(jobs, clock)
    await jobs.settle(JobOutcome(job, JobState.DONE))
    clock.pass_(SOON)
    assert await jobs.add_marks([_mark(clock)]) == 0
    assert (await one(jobs)).state is JobState.DONE
    assert await jobs.add_marks([_mark(clock, category="Filed")]) == 1
    again = await one(jobs)
    assert (again.id, again.state, again.due_at, again.created_at) == (
        job.id, JobState.WAITING, clock.now(), clock.now()
    )  # fmt: skip
    assert again.mark is not None
    assert again.mark.category == "Filed"


async def test_another_records_mark_is_a_job_of_its_own(jobs: SentItemJobs, clock: SettableClock) -> None:
    assert await jobs.add_marks([_mark(clock), _mark(clock, record="ticket-8")]) == 2


async def test_a_mark_that_changes_while_it_is_put_on_is_put_on_again(jobs: SentItemJobs, clock: SettableClock) -> None:
    await jobs.add_marks([_mark(clock)])
    (leased,) = await due(jobs, clock)
    await jobs.add_marks([_mark(clock, category="Filed")])
    assert await due(jobs, clock) == []
    assert await jobs.settle(JobOutcome(leased, JobState.DONE)) is JobState.WAITING
    (job,) = await due(jobs, clock)
    assert job.mark is not None
    assert job.mark.category == "Filed"
    assert await jobs.settle(JobOutcome(job, JobState.DONE)) is JobState.DONE


async def test_whether_a_mailboxs_own_copy_is_to_come(jobs: SentItemJobs, mail: Mail, clock: SettableClock) -> None:
    await mail.send()
    await jobs.add_marks([_mark(clock, mailbox=BOSS)])
    assert await jobs.is_copy_to_come({JANE, BOSS}, "<a1@example.com>")
    assert not await jobs.is_copy_to_come({BOSS}, "<a1@example.com>")
    assert not await jobs.is_copy_to_come({JANE}, "<a2@example.com>")
    (copy,) = [job for job in await due(jobs, clock) if job.kind is JobKind.COPY]
    assert await jobs.is_copy_to_come({JANE}, "<a1@example.com>")
    await jobs.settle(JobOutcome(copy, JobState.SKIPPED, "edited"))
    assert not await jobs.is_copy_to_come({JANE}, "<a1@example.com>")


async def test_marks_are_held_by_the_switch_and_skipped_by_their_kind(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock
) -> None:
    await mail.send()
    await jobs.add_marks([_mark(clock, mailbox=BOSS)])
    await jobs.set_switch(Switch.OFF, by_whom="ann", at=clock.now())
    clock.pass_(WAIT)
    assert await due(jobs, clock) == []
    assert await jobs.add_marks([_mark(clock)]) == 1  # made all the same: what is filed is not forgotten
    assert await jobs.skip(JobFilter(kind=JobKind.MARK), "by-administrator") == 2
    assert await jobs.counts(ALL) == {(JobState.WAITING, ""): 1, (JobState.SKIPPED, "by-administrator"): 2}


async def test_the_spool_sees_nothing_of_marks(jobs: SentItemJobs, spool: Spool, clock: SettableClock) -> None:
    await jobs.add_marks([_mark(clock)])
    assert await queue_ids(spool) == []
    assert (await spool.count(EVERYTHING)).messages == 0
    assert await jobs.forget(clock.now() + SOON, 10) == 0
    (job,) = await due(jobs, clock)
    await jobs.settle(JobOutcome(job, JobState.DONE))
    assert await jobs.forget(clock.now() + SOON, 10) == 1
