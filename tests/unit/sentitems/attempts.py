"""Attempts at a job as the runner makes them: again when due, from the beginning where the process died."""

from __future__ import annotations

from dataclasses import replace

from mta.config.sentitems_schema import SentItemsSettings
from mta.model.sentitem import JobState, SentItemJob
from mta.ports.mailbox import MailboxError
from mta.sentitems import reasons
from mta.sentitems.verdict import Verdict
from mta.sentitems.work import work
from tests.unit.sentitems.remembered_server import Died, RememberedServer
from tests.unit.sentitems.samples import MAILBOX

ATTEMPTS_MAX = 20
_WAITS_S = {reasons.OUTCOME_UNKNOWN: 10.0, reasons.CONFLICT: 5.0, reasons.MADE_AGAIN: 900.0}


async def attempt(job: SentItemJob, server: RememberedServer, settings: SentItemsSettings) -> Verdict:
    return await work(job, MAILBOX, server, settings)


async def worked(job: SentItemJob, server: RememberedServer, settings: SentItemsSettings) -> Verdict:
    """The last verdict of a job that is tried until it has ended."""
    verdict = Verdict(JobState.WAITING, "never tried")
    for _ in range(ATTEMPTS_MAX):
        try:
            verdict = await attempt(job, server, settings)
        except Died:
            job = replace(job, reason=reasons.INTERRUPTED, attempts=0)
            continue
        except MailboxError as error:
            reason = job.reason if job.reason == reasons.INTERRUPTED else reasons.SERVER_BUSY
            verdict = Verdict(JobState.WAITING, reason, error.code, error.placed)
        if verdict.state is not JobState.WAITING:
            return verdict
        attempts = job.attempts + 1 if verdict.reason == job.reason else 1
        job = replace(job, reason=verdict.reason, attempts=attempts, placed=verdict.placed or job.placed)
        server.advance(_WAITS_S.get(verdict.reason, 60.0))
    return verdict
