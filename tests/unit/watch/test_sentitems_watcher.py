"""What is wrong with Sent Items, on a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from mta.adapters.store.look import look_at_sent_items
from mta.model.sentitem import EndpointNotes, JobOutcome, JobState, MailboxNotes, Switch
from mta.ports.sentitem_jobs import SentItemJobs
from mta.watch.sentitems_watcher import SentItemsWatcher
from mta.watch.trouble import CantLookError, Trouble
from tests.contract.sentitem_jobs import WAIT, Mail, jobs, mail, open_jobs
from tests.contract.spools import SettableClock, clock, open_spool, spool

__all__ = ["clock", "jobs", "mail", "open_jobs", "open_spool", "spool"]
HOUR = timedelta(hours=1)


async def found(folder: Path, clock: SettableClock) -> dict[str, Trouble]:
    watcher = SentItemsWatcher(partial(look_at_sent_items, folder / "spool"), age=4 * HOUR, forgotten=HOUR)
    troubles = await watcher.look(clock.now())
    assert {trouble.kind for trouble in troubles} <= watcher.kinds
    return {trouble.key: trouble for trouble in troubles}


async def test_nothing_is_wrong(jobs: SentItemJobs, mail: Mail, clock: SettableClock, tmp_path: Path) -> None:
    await mail.send()
    assert await found(tmp_path, clock) == {}


async def test_a_stopped_server_and_what_it_said(jobs: SentItemJobs, clock: SettableClock, tmp_path: Path) -> None:
    await jobs.note_endpoint(EndpointNotes("exchange", is_stopped=True, reason="sign-in", detail="401: Unauthorized"))
    await jobs.note_endpoint(EndpointNotes("online", resume_at=clock.now() + HOUR, reason="server-busy"))
    [(key, trouble)] = (await found(tmp_path, clock)).items()
    assert key == "sent-items-server:exchange"
    assert "resume --server exchange" in trouble.text
    assert "401: Unauthorized" in trouble.text


async def test_each_denied_mailbox_and_how_many_where_there_are_many(
    jobs: SentItemJobs, clock: SettableClock, tmp_path: Path
) -> None:
    for number in range(25):
        denied = MailboxNotes(f"m{number:02}@example.com", endpoint="exchange", denied_since=clock.now())
        await jobs.note_mailbox(denied)
    troubles = await found(tmp_path, clock)
    assert len(troubles) == 21
    assert "25 mailboxes" in troubles["sent-items-denied"].subject
    assert "m00@example.com" in troubles["sent-items-denied:m00@example.com"].subject
    await jobs.note_mailbox(replace(denied, denied_since=None))
    assert "24 mailboxes" in (await found(tmp_path, clock))["sent-items-denied"].subject


@pytest.mark.parametrize(("reason", "is_late"), [("server-down", True), ("", True), ("not-found", False)])
async def test_jobs_that_wait_for_too_long_for_a_server(
    reason: str, is_late: bool, jobs: SentItemJobs, mail: Mail, clock: SettableClock, tmp_path: Path
) -> None:
    await mail.send()
    if reason:
        [job] = await jobs.lease_due(clock.pass_(WAIT), limit=1)
        await jobs.settle(JobOutcome(job, JobState.WAITING, reason, due_at=clock.now() + 9 * HOUR))
    clock.pass_(5 * HOUR)
    troubles = await found(tmp_path, clock)
    assert bool(troubles) == is_late
    if is_late:
        assert "1 job for longer than 4 hours" in troubles["sent-items-age"].subject


async def test_a_pause_that_may_have_been_forgotten(
    jobs: SentItemJobs, mail: Mail, clock: SettableClock, tmp_path: Path
) -> None:
    await mail.send()
    await jobs.set_switch(Switch.PAUSED, by_whom="test", at=clock.now())
    assert await found(tmp_path, clock) == {}
    clock.pass_(5 * HOUR)
    assert set(await found(tmp_path, clock)) == {"sent-items-paused"}
    await jobs.set_switch(Switch.OFF, by_whom="test", at=clock.now())
    assert await found(tmp_path, clock) == {}


async def test_without_a_store_nothing_is_known(clock: SettableClock, tmp_path: Path) -> None:
    with pytest.raises(CantLookError):
        await found(tmp_path, clock)
