"""Jobs are made with the settlement: killed around it, over retries, and for siblings that several workers got."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.model.sentitem import JobFilter, SentItemJob
from tests.e2e.sentitems.mailboxes import RULES, TEMPLATES, Mailboxes, message, sent_items, submit
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

SIBLINGS = 8
WAITS = {"wait": "1h"}
"""So long that jobs are seen before they are worked on."""


class Busy:
    """A next hop's script: recipients `busy…@` are deferred as long as `is_busy`."""

    def __init__(self) -> None:
        self.is_busy = True

    def __call__(self, verb: str, argument: str) -> str | None:
        return "450 4.2.1 busy" if self.is_busy and verb == "RCPT" and argument.startswith("busy") else None


async def jobs_of(relay: Relay) -> Sequence[SentItemJob]:
    jobs = await SqliteSentItemJobs.open(relay.folder / "spool")
    try:
        return await jobs.entries(JobFilter())
    finally:
        await jobs.close()


async def bytes_of(relay: Relay) -> list[int]:
    """Of each copy of every job, once the relay has ended."""
    jobs = await SqliteSentItemJobs.open(relay.folder / "spool", works=True)
    await jobs.retry(JobFilter(), datetime.now(UTC))
    leased = await jobs.lease_due(datetime.now(UTC), limit=1000)
    await jobs.close()
    return [copy.body.size_octets for job in leased for copy in job.copies]


@pytest.mark.parametrize("point", ["before-settle", "after-settle"])
def test_killed_around_the_settlement_there_is_one_job_in_the_end(tmp_path: Path, point: str) -> None:
    mailboxes = Mailboxes(tmp_path / "mailboxes", "jane")
    content = message("<m@example.com>")
    with (
        Sink() as sink,
        running_relay(
            tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES,
            environment={"STAMPLINE_CRASH_AT": point}, organisation=sent_items(mailboxes.settings(), **WAITS),
        ) as relay,
    ):  # fmt: skip
        submit(relay, content)
        relay.wait_for_event("worker-died", status="signal SIGKILL")
        relay.kill()
        made = len(asyncio.run(jobs_of(relay)))
        assert made == 0 if point != "after-settle" else made <= 1
        relay.start()
        wait_until(lambda: asyncio.run(jobs_of(relay)), 60, "a job")
        relay.stop()
        (job,) = asyncio.run(jobs_of(relay))
        assert [copy.recipients for copy in job.copies] == [1]
        assert asyncio.run(bytes_of(relay)) == [len(content)]


def test_siblings_and_retries_over_several_workers_are_one_job(tmp_path: Path) -> None:
    mailboxes = Mailboxes(tmp_path / "mailboxes", "jane")
    content, busy = message("<m@example.com>"), Busy()
    with (
        Sink(busy) as sink,
        running_relay(
            tmp_path / "relay", sink.port, rules=RULES, templates=TEMPLATES, workers=2,
            retry={"schedule": ["1s"], "expire_after": "2d"},
            organisation=sent_items(mailboxes.settings(), **WAITS),
        ) as relay,
    ):  # fmt: skip

        def sibling(number: int) -> None:
            submit(relay, content, f"bob{number}@example.net", f"busy{number}@example.net")

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(sibling, range(SIBLINGS)))
        wait_until(lambda: len(relay.events("deferred")) >= SIBLINGS, 60, "all deferred once")
        busy.is_busy = False
        wait_until(lambda: len(sink.arrived) == 2 * SIBLINGS, 60, "all delivered")
        relay.wait_until_settled()
        relay.stop()
        (job,) = asyncio.run(jobs_of(relay))
        assert [copy.recipients for copy in job.copies] == [2] * SIBLINGS
        assert asyncio.run(bytes_of(relay)) == [len(content)] * SIBLINGS
