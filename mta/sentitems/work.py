"""One attempt at one job: what is in the mailbox, what is to be there, and the way from one to the other.

The original goes last, behind a new item that was read back and verified, so that at no moment there is none of them;
whatever an attempt leaves when it breaks off, the next one finds by our stamp and goes on from there.
"""

from __future__ import annotations

from dataclasses import replace

from mta.config.sentitems_schema import SentItemsSettings
from mta.model.sentitem import JobState, SentItemJob
from mta.ports.mailbox import ConflictError, ItemGoneError, OutcomeUnknownError, SentItems
from mta.sentitems import reasons
from mta.sentitems.copies import Content, UnusableCopyError, content_of, has_bytes, off_the_loop, size_octets, wanted
from mta.sentitems.in_place import can_be_in_place, rewrite
from mta.sentitems.locate import locate
from mta.sentitems.replace import Replacement
from mta.sentitems.situation import Situation
from mta.sentitems.verdict import Verdict

LOOKS = 2
"""So often it is looked for an item that may have been made, before it is made again."""


async def work(job: SentItemJob, mailbox: str, server: SentItems, settings: SentItemsSettings) -> Verdict:
    """Try once. `mailbox` is its primary address. Any MailboxError that says something about server or mailbox passes.

    There may be one attempt at a time for a mailbox, whichever of its addresses jobs name.
    """
    try:
        return await _work(job, mailbox, server, settings)
    except UnusableCopyError as exc:
        state = JobState.SKIPPED if exc.reason == reasons.UNREADABLE else JobState.GIVEN_UP
        return Verdict(state, exc.reason, exc.detail)
    except OutcomeUnknownError as exc:
        return Verdict(JobState.WAITING, reasons.OUTCOME_UNKNOWN, exc.code, exc.placed)
    except (ConflictError, ItemGoneError) as exc:
        return Verdict(JobState.WAITING, reasons.CONFLICT, exc.code, exc.placed)


async def _work(job: SentItemJob, mailbox: str, server: SentItems, settings: SentItemsSettings) -> Verdict:
    copies = wanted(job.copies, settings.copies)
    if not job.placed and not any(copy.variant.is_changed for copy in copies):
        return Verdict(JobState.DONE, reasons.UNCHANGED)
    if any(size_octets(copy) > settings.largest for copy in copies):
        return Verdict(JobState.SKIPPED, reasons.TOO_LARGE, placed=job.placed)
    sample = await _sample(job)
    located = await locate(job, mailbox, server, sample)
    if len(located.originals) > 1:
        return Verdict(JobState.SKIPPED, reasons.AMBIGUOUS, f"{len(located.originals)} items")
    if located.others and not located.ours:
        return Verdict(JobState.SKIPPED, reasons.OTHER_JOB)
    if not located.originals and not located.ours:
        return _nothing(job)
    if job.reason == reasons.MADE_AGAIN and not located.ours and all(copy.key in job.placed.split() for copy in copies):
        return Verdict(JobState.SKIPPED, reasons.GONE)
    situation = Situation(job, mailbox, server, settings, copies, located, sample)
    missing = [copy.key for copy in situation.missing]
    if missing and _may_be_made(job, missing):
        placed = " ".join(dict.fromkeys([*situation.placed.split(), *missing]))
        return Verdict(JobState.WAITING, reasons.OUTCOME_UNKNOWN, "not seen yet", placed)
    if can_be_in_place(situation):
        return await rewrite(situation)
    verdict = await Replacement(situation).run()
    if verdict.state is JobState.DONE and missing and job.reason == reasons.OUTCOME_UNKNOWN:
        # What an attempt before this one may have made, and no list has shown, may show up yet.
        return replace(verdict, state=JobState.WAITING, reason=reasons.MADE_AGAIN)
    return verdict


async def _sample(job: SentItemJob) -> Content | None:
    """By which an original is looked for whose Message-ID we don't know."""
    readable = next((copy for copy in job.copies if has_bytes(copy)), None) if job.is_id_ours else None
    return None if readable is None else await off_the_loop(size_octets(readable), content_of, readable)


def _nothing(job: SentItemJob) -> Verdict:
    """What it means that neither the original nor an item of ours is there."""
    if job.placed and _may_be_made(job, []):
        return Verdict(JobState.WAITING, reasons.OUTCOME_UNKNOWN, "not seen yet")
    if job.placed:
        return Verdict(JobState.SKIPPED, reasons.GONE)
    return Verdict(JobState.WAITING, reasons.NOT_FOUND)


def _may_be_made(job: SentItemJob, missing: list[str]) -> bool:
    """Whether an attempt before this one may have made what the server doesn't show yet."""
    if job.reason == reasons.OUTCOME_UNKNOWN:
        return job.attempts < LOOKS
    return job.reason == reasons.INTERRUPTED or not set(job.placed.split()).isdisjoint(missing)
