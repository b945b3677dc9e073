"""What becomes of a job, its mailbox and its server after an attempt. Nothing here waits, asks or remembers.

`after_error` is what a server's trouble means for the server as a whole, said once for each refusal; `decide` is what
the attempt means for the job and its mailbox, by the server's notes as they stand then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from mta.model.sentitem import EndpointNotes, JobOutcome, JobState, MailboxNotes, SentItemJob
from mta.ports import mailbox as port
from mta.sentitems import reasons
from mta.sentitems.schedule import (
    ABSENT_FOR,
    BUSY_MAX_S,
    BUSY_S,
    DOWN_WAITS_S,
    GIVE_UP_AFTER,
    JOB_WAITS_S,
    MISSING_IN_A_ROW,
    OTHER_WAITS_S,
    OVERLOADED_S,
    PATIENT_WAITS_S,
    SELDOM_FOR,
    SIGN_IN_WAITS_S,
    nth,
)
from mta.sentitems.verdict import Verdict

EndpointEffect = Literal["", "busy", "fewer", "down", "sign-in", "stop"]
MailboxEffect = Literal["", "absent", "denied", "leave-alone"]


class LeftAloneError(port.MailboxError):
    """Nobody asked: the server is left alone at present. What for, is in its notes."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of error leads to."""

    reason: str
    end: JobState | None = None
    """None: the job waits, by its reason's schedule."""
    mailbox: MailboxEffect = ""
    endpoint: EndpointEffect = ""
    is_patient: bool = False
    """It is the server's trouble: the job waits for it, and for no number of attempts is it given up."""


_SKIPPED, _GIVEN_UP = JobState.SKIPPED, JobState.GIVEN_UP

TABLE: dict[type[port.MailboxError], Row] = {
    port.EndpointBusyError: Row(reasons.SERVER_BUSY, endpoint="busy", is_patient=True),
    port.EndpointOverloadedError: Row(reasons.SERVER_OVERLOADED, endpoint="fewer", is_patient=True),
    port.EndpointDownError: Row(reasons.SERVER_DOWN, endpoint="down", is_patient=True),
    port.TlsFailedError: Row(reasons.TLS_FAILED, endpoint="stop", is_patient=True),
    port.SignInError: Row(reasons.SIGN_IN, endpoint="sign-in", is_patient=True),
    port.AccessDeniedError: Row(reasons.ACCESS_DENIED, _SKIPPED, mailbox="denied"),
    port.NoMailboxError: Row(reasons.NO_MAILBOX, _SKIPPED, mailbox="absent"),
    port.MailboxUnavailableError: Row(reasons.MAILBOX_UNAVAILABLE, mailbox="leave-alone"),
    port.ConflictError: Row(reasons.CONFLICT),
    port.ItemGoneError: Row(reasons.CONFLICT),
    port.QuotaError: Row(reasons.QUOTA),
    port.RefusedError: Row(reasons.REFUSED, _GIVEN_UP),
    port.OutcomeUnknownError: Row(reasons.OUTCOME_UNKNOWN),
}
"""Whatever else goes wrong is `internal-error`."""

_OTHER = Row(reasons.INTERNAL_ERROR)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision goes by, beside the job and what was seen."""

    now: datetime
    search_for: timedelta
    """How long after a job was made its item is looked for."""
    mailbox: MailboxNotes
    """With the endpoint and the primary address that this attempt went by."""
    endpoint: EndpointNotes
    """As they are now that the attempt is over."""
    is_clock_in_doubt: bool = False
    """The clock has leapt: nothing is given up for its age."""


def decide(job: SentItemJob, seen: Verdict | Exception, around: Circumstances) -> JobOutcome:
    """What to write down of an attempt that came to a verdict or failed."""
    if isinstance(seen, LeftAloneError):
        outcome = _wait_for_server(job, around.endpoint.reason or reasons.SERVER_DOWN, seen.detail, around)
    elif isinstance(seen, Exception):
        outcome = _after_failure(job, seen, around)
        if isinstance(seen, port.MailboxError) and seen.placed:
            outcome = replace(outcome, placed=seen.placed)
    else:
        outcome = _after_verdict(job, seen, around)
    return _not_for_ever(outcome, around)


def after_error(notes: EndpointNotes, error: Exception, *, now: datetime, connections: int) -> EndpointNotes:
    """A server's notes after an error; the same where it is no trouble of the server. `connections`: in use so far."""
    row = _row(error)
    if not isinstance(error, port.MailboxError) or not row.endpoint:
        return notes
    tries = error.tries if isinstance(error, port.SignInError) else 1
    failures = tries + (notes.failures if notes.reason == row.reason else 0)
    told = replace(notes, reason=row.reason, detail=_words(error), failures=failures)
    match row.endpoint:
        case "busy":
            return replace(told, resume_at=now + _busy_for(error, failures))
        case "fewer":
            fewer = max(connections // 2, 1)
            return replace(told, connections=fewer, resume_at=now + _hinted(error, OVERLOADED_S))
        case "down":
            return replace(told, resume_at=now + _hinted(error, nth(DOWN_WAITS_S, failures - 1)))
        case "sign-in" if failures <= len(SIGN_IN_WAITS_S):
            return replace(told, resume_at=now + timedelta(seconds=SIGN_IN_WAITS_S[failures - 1]))
    return replace(told, is_stopped=True, resume_at=None)


def after_answer(notes: EndpointNotes) -> EndpointNotes:
    """A server's notes after it has done what it was asked: what was wrong with it is over."""
    if notes.is_stopped or not (notes.failures or notes.resume_at):
        return notes
    return replace(notes, resume_at=None, reason="", detail="", failures=0)


def is_reachable(error: Exception) -> bool:
    """Whether it is an error that only a server gives which has let us in."""
    return isinstance(error, port.MailboxError) and not _row(error).endpoint and not isinstance(error, _MAY_BE_AWAY)


_MAY_BE_AWAY = (port.OutcomeUnknownError, LeftAloneError)


def waits(job: SentItemJob, reason: str, detail: str, now: datetime) -> JobOutcome:
    """For a job that could not be tried yet, through no fault of a mailbox or a server."""
    waits_s = JOB_WAITS_S.get(reason, OTHER_WAITS_S)
    due_at = now + timedelta(seconds=nth(waits_s, _attempts(job, reason)))
    return JobOutcome(job, JobState.WAITING, reason, detail, due_at, job.endpoint, job.placed)


def skipped(job: SentItemJob, reason: str, detail: str = "") -> JobOutcome:
    """For a job of which nothing is to be done."""
    return JobOutcome(job, JobState.SKIPPED, reason, detail, None, job.endpoint, job.placed)


def _row(error: Exception) -> Row:
    return next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), _OTHER)


def _after_failure(job: SentItemJob, error: Exception, around: Circumstances) -> JobOutcome:
    row, now, detail = _row(error), around.now, _words(error)
    if row.is_patient:
        return _wait_for_server(job, row.reason, detail, around)
    if row.end is not None:
        outcome = _outcome(job, row.end, row.reason, detail, around)
    else:
        outcome = _by_schedule(job, row.reason, detail, around)
    match row.mailbox:
        case "absent":
            return replace(outcome, mailbox_notes=replace(around.mailbox, endpoint="", absent_until=now + ABSENT_FOR))
        case "denied":
            notes = replace(around.mailbox, denied_since=around.mailbox.denied_since or now, resolved_at=now)
            return replace(outcome, mailbox_notes=notes)
        case "leave-alone":
            outcome = _not_before_its_hint(outcome, error, now)
            return replace(outcome, mailbox_notes=replace(around.mailbox, resume_at=outcome.due_at))
    return outcome


def _not_before_its_hint(outcome: JobOutcome, error: Exception, now: datetime) -> JobOutcome:
    """A server may ask for a longer pause for a mailbox, as Graph does by Retry-After."""
    if outcome.due_at is None or not isinstance(error, port.MailboxError) or error.retry_after is None:
        return outcome
    return replace(outcome, due_at=max(outcome.due_at, now + _hinted(error, 0)))


def _after_verdict(job: SentItemJob, verdict: Verdict, around: Circumstances) -> JobOutcome:
    """The mailbox is there and open to us, so what was remembered against it is over."""
    mailbox = replace(around.mailbox, absent_until=None, denied_since=None, resume_at=None)
    if verdict.reason == reasons.NOT_FOUND and verdict.state is JobState.WAITING:
        return _not_found(job, verdict, replace(around, mailbox=mailbox))
    if job.mark is None:
        mailbox = replace(mailbox, missing_in_a_row=0, seldom_until=None)
    if verdict.state is JobState.WAITING:
        outcome = _by_schedule(job, verdict.reason, verdict.detail, around)
    else:
        outcome = _outcome(job, verdict.state, verdict.reason, verdict.detail, around)
    return replace(outcome, placed=verdict.placed, mailbox_notes=mailbox)


def _not_found(job: SentItemJob, verdict: Verdict, around: Circumstances) -> JobOutcome:
    """Again and again for as long as configured; once only where a mailbox is known to keep no sent items."""
    now, notes = around.now, around.mailbox
    is_mark = job.mark is not None  # whether somebody keeps a filed message, says nothing of his sent items
    if not is_mark and notes.seldom_until is not None and now < notes.seldom_until:
        outcome = _outcome(job, _SKIPPED, verdict.reason, "this mailbox keeps no sent items", around)
        return replace(outcome, placed=verdict.placed, mailbox_notes=notes)
    outcome = replace(
        _by_schedule(job, verdict.reason, verdict.detail, around), placed=verdict.placed, mailbox_notes=notes
    )
    last = job.created_at + around.search_for
    if not around.is_clock_in_doubt:
        if now >= last:
            outcome = replace(outcome, state=_GIVEN_UP, due_at=None)
        elif outcome.due_at is not None and outcome.due_at > last:
            outcome = replace(outcome, due_at=last)
    if outcome.state is _GIVEN_UP and is_mark:
        return replace(outcome, state=_SKIPPED)
    if outcome.state is _GIVEN_UP:
        missing = notes.missing_in_a_row + 1
        seldom_until = now + SELDOM_FOR if missing >= MISSING_IN_A_ROW else None
        outcome = replace(
            outcome, mailbox_notes=replace(notes, missing_in_a_row=missing, seldom_until=seldom_until)
        )  # fmt: skip
    return outcome


def _wait_for_server(job: SentItemJob, reason: str, detail: str, around: Circumstances) -> JobOutcome:
    """The job is due when its server is, and a bit later each time: it may be what troubles the server."""
    resume_at = around.endpoint.resume_at
    free_at = max(resume_at, around.now) if resume_at is not None else around.now
    if job.reason == reasons.INTERRUPTED:
        reason = job.reason  # what may have been made then hasn't been looked for yet
    due_at = free_at + timedelta(seconds=nth(PATIENT_WAITS_S, _attempts(job, reason)))
    return replace(_outcome(job, JobState.WAITING, reason, detail, around), due_at=due_at)


def _by_schedule(job: SentItemJob, reason: str, detail: str, around: Circumstances) -> JobOutcome:
    waits_s, attempts = JOB_WAITS_S.get(reason, OTHER_WAITS_S), _attempts(job, reason)
    if attempts >= len(waits_s):
        return _outcome(job, _GIVEN_UP, reason, detail, around)
    due_at = around.now + timedelta(seconds=waits_s[attempts])
    return replace(_outcome(job, JobState.WAITING, reason, detail, around), due_at=due_at)


def _not_for_ever(outcome: JobOutcome, around: Circumstances) -> JobOutcome:
    is_old = around.now - outcome.job.created_at > GIVE_UP_AFTER and not around.is_clock_in_doubt
    if outcome.state is JobState.WAITING and is_old:
        return replace(outcome, state=_GIVEN_UP, due_at=None)
    return outcome


def _outcome(job: SentItemJob, state: JobState, reason: str, detail: str, around: Circumstances) -> JobOutcome:
    endpoint = around.mailbox.endpoint or job.endpoint
    return JobOutcome(job, state, reason, detail, None, endpoint, job.placed, around.mailbox)


def _attempts(job: SentItemJob, reason: str) -> int:
    """So far, for this reason."""
    return job.attempts if job.reason == reason else 0


def _busy_for(error: port.MailboxError, failures: int) -> timedelta:
    return _hinted(error, min(BUSY_S * 2 ** min(failures - 1, 10), BUSY_MAX_S))


def _hinted(error: port.MailboxError, else_s: float) -> timedelta:
    """The server's own hint, within reason."""
    if error.retry_after is None:
        return timedelta(seconds=else_s)
    return min(max(error.retry_after, timedelta(seconds=1)), timedelta(seconds=BUSY_MAX_S))


def _words(error: Exception) -> str:
    """Of an error that we didn't foresee the kind only: its text might hold anything."""
    return str(error) if isinstance(error, port.MailboxError) else type(error).__name__
