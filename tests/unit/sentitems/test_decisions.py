"""The table of errors: what each becomes for the job, its mailbox and its server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.config.mailbox_schema import MaildirMailboxes
from mta.config.sentitems_schema import SentItemsSettings
from mta.model.sentitem import EndpointNotes, JobOutcome, JobState, MailboxNotes, SentItemJob
from mta.ports import mailbox as port
from mta.sentitems import reasons
from mta.sentitems.decisions import (
    TABLE,
    Circumstances,
    LeftAloneError,
    after_answer,
    after_error,
    decide,
    is_reachable,
    skipped,
    waits,
)
from mta.sentitems.schedule import JOB_WAITS_S
from mta.sentitems.verdict import Verdict

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
SETTINGS = SentItemsSettings(
    servers=(MaildirMailboxes(name="local", kind="maildir", folder=Path("/mail/{local}")),),
    wait=timedelta(seconds=60),
    search_for=timedelta(days=1),
)
NOTES = MailboxNotes("jane@example.com", primary="jane@example.com", endpoint="local", resolved_at=NOW)
WAITING, SKIPPED, GIVEN_UP, DONE = JobState.WAITING, JobState.SKIPPED, JobState.GIVEN_UP, JobState.DONE


def job(reason: str = "", attempts: int = 0, age: timedelta = timedelta(minutes=1), placed: str = "") -> SentItemJob:
    return SentItemJob(
        "0" * 32, "jane@example.com", "default", "<m@example.com>", NOW, WAITING, NOW - age, NOW, attempts, reason,
        placed=placed,
    )  # fmt: skip


def around(
    mailbox: MailboxNotes = NOTES, endpoint: EndpointNotes | None = None, *, in_doubt: bool = False
) -> Circumstances:
    search_for = SETTINGS.wait + SETTINGS.search_for
    return Circumstances(NOW, search_for, mailbox, endpoint or EndpointNotes("local"), in_doubt)


def after(error: Exception, *, notes: EndpointNotes | None = None) -> EndpointNotes:
    return after_error(notes or EndpointNotes("local"), error, now=NOW, connections=8)


def wait_s(outcome: JobOutcome) -> float:
    assert outcome.due_at is not None
    return (outcome.due_at - NOW).total_seconds()


def seconds_left(notes: EndpointNotes) -> float:
    assert notes.resume_at is not None
    return (notes.resume_at - NOW).total_seconds()


def test_every_error_of_the_port_has_its_row() -> None:
    kinds = {value for value in vars(port).values() if isinstance(value, type) and issubclass(value, port.MailboxError)}
    assert kinds - {port.MailboxError} == set(TABLE)


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        (port.EndpointBusyError, WAITING, "server-busy"),
        (port.EndpointOverloadedError, WAITING, "server-overloaded"),
        (port.EndpointDownError, WAITING, "server-down"),
        (port.TlsFailedError, WAITING, "tls-failed"),
        (port.SignInError, WAITING, "sign-in"),
        (port.AccessDeniedError, SKIPPED, "access-denied"),
        (port.NoMailboxError, SKIPPED, "no-mailbox"),
        (port.MailboxUnavailableError, WAITING, "mailbox-unavailable"),
        (port.ConflictError, WAITING, "conflict"),
        (port.ItemGoneError, WAITING, "conflict"),
        (port.QuotaError, WAITING, "quota"),
        (port.RefusedError, GIVEN_UP, "refused"),
        (port.OutcomeUnknownError, WAITING, "outcome-unknown"),
        (port.MailboxError, WAITING, "internal-error"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_what_an_error_makes_of_a_job(kind: type[port.MailboxError], state: JobState, reason: str) -> None:
    outcome = decide(job(placed="q.1"), kind("ErrorX", "as it said"), around())
    assert (outcome.state, outcome.reason, outcome.placed) == (state, reason, "q.1")
    assert "ErrorX" in outcome.detail
    assert outcome.detail.endswith("as it said")
    assert (outcome.due_at is None) == state.is_final
    assert reasons.explained(reason)


def test_an_error_nobody_foresaw_is_tried_again_and_given_up_after_a_while_and_its_text_stays_here() -> None:
    error = ValueError("Dear Bob, this is private")
    waited = [wait_s(decide(job("internal-error", n), error, around())) for n in range(5)]
    assert waited == list(JOB_WAITS_S["internal-error"])
    outcome = decide(job("internal-error", 5), error, around())
    assert (outcome.state, outcome.detail) == (GIVEN_UP, "ValueError")


# --- the mailbox ------------------------------------------------------------------------------------------------------


def test_a_mailbox_that_is_not_there_is_not_asked_for_again_for_an_hour() -> None:
    notes = decide(job(), port.NoMailboxError("ErrorNonExistentMailbox"), around()).mailbox_notes
    assert notes is not None
    assert (notes.absent_until, notes.endpoint) == (NOW + timedelta(hours=1), "")


def test_that_a_mailbox_is_denied_is_remembered_since_the_first_time() -> None:
    error = port.AccessDeniedError("ErrorImpersonateUserDenied")
    first = decide(job(), error, around()).mailbox_notes
    assert first is not None
    assert first.denied_since == NOW
    earlier = replace(NOTES, denied_since=NOW - timedelta(days=3))
    again = decide(job(), error, around(earlier)).mailbox_notes
    assert again is not None
    assert again.denied_since == NOW - timedelta(days=3)


def test_a_mailbox_that_moves_is_left_alone_with_all_its_jobs_and_given_up_after_a_day() -> None:
    error = port.MailboxUnavailableError("ErrorMailboxMoveInProgress")
    waited = []
    for attempts in range(len(JOB_WAITS_S["mailbox-unavailable"])):
        outcome = decide(job("mailbox-unavailable", attempts), error, around())
        assert outcome.mailbox_notes is not None
        assert outcome.mailbox_notes.resume_at == outcome.due_at
        waited.append(wait_s(outcome))
    assert waited[0] == 60
    assert 23 <= sum(waited) / 3600 <= 25
    assert decide(job("mailbox-unavailable", len(waited)), error, around()).state is GIVEN_UP


@pytest.mark.parametrize(("hint_s", "waited_s"), [(1, 60), (300, 300), (86_400, 3600)])
def test_a_mailbox_is_left_alone_as_long_as_its_server_asks(hint_s: int, waited_s: int) -> None:
    error = port.MailboxUnavailableError("ApplicationThrottled", retry_after=timedelta(seconds=hint_s))
    outcome = decide(job(), error, around())
    assert wait_s(outcome) == waited_s
    assert outcome.mailbox_notes is not None
    assert outcome.mailbox_notes.resume_at == outcome.due_at


def test_a_full_mailbox_is_tried_on_three_days() -> None:
    error = port.QuotaError("ErrorQuotaExceeded")
    assert [wait_s(decide(job("quota", n), error, around())) for n in range(2)] == [86400, 86400]
    assert decide(job("quota", 2), error, around()).state is GIVEN_UP


def test_whatever_a_mailbox_was_blamed_for_is_over_when_it_lets_us_in() -> None:
    blamed = replace(NOTES, absent_until=NOW, denied_since=NOW, resume_at=NOW, missing_in_a_row=2, seldom_until=NOW)
    outcome = decide(job(), Verdict(DONE, placed="q.1"), around(blamed))
    assert (outcome.state, outcome.placed, outcome.mailbox_notes) == (DONE, "q.1", NOTES)


# --- not found --------------------------------------------------------------------------------------------------------


def not_found(attempts: int, age: timedelta, notes: MailboxNotes = NOTES, *, in_doubt: bool = False) -> JobOutcome:
    verdict = Verdict(WAITING, reasons.NOT_FOUND)
    return decide(job(reasons.NOT_FOUND, attempts, age), verdict, around(notes, in_doubt=in_doubt))


def test_an_item_is_looked_for_ever_more_seldom_for_as_long_as_configured() -> None:
    age, looked_after = SETTINGS.wait, []
    for attempts in range(20):
        outcome = not_found(attempts, age)
        if outcome.state is GIVEN_UP:
            break
        looked_after.append(wait_s(outcome))
        age += timedelta(seconds=looked_after[-1])
    assert looked_after[:8] == [5, 15, 45, 120, 300, 900, 3600, 14400]
    assert age == SETTINGS.wait + SETTINGS.search_for
    assert outcome.mailbox_notes is not None
    assert outcome.mailbox_notes.missing_in_a_row == 1


def test_after_three_messages_without_an_item_each_is_looked_for_once_for_a_day() -> None:
    late = timedelta(days=2)
    third = not_found(8, late, replace(NOTES, missing_in_a_row=2)).mailbox_notes
    assert third is not None
    assert (third.missing_in_a_row, third.seldom_until) == (3, NOW + timedelta(days=1))
    once = not_found(0, SETTINGS.wait, third)
    assert (once.state, once.reason) == (SKIPPED, reasons.NOT_FOUND)
    next_day = not_found(0, SETTINGS.wait, replace(third, seldom_until=NOW))
    assert (next_day.state, wait_s(next_day)) == (WAITING, 5)


def test_an_item_that_is_found_shows_that_the_mailbox_keeps_some() -> None:
    notes = replace(NOTES, missing_in_a_row=5, seldom_until=NOW + timedelta(hours=1))
    seen = Verdict(SKIPPED, "edited")
    assert decide(job(), seen, around(notes)).mailbox_notes == NOTES


def test_after_a_leap_of_the_clock_nothing_is_given_up_for_its_age() -> None:
    assert not_found(3, timedelta(days=400), in_doubt=True).state is WAITING
    assert not_found(3, timedelta(days=400)).state is GIVEN_UP


# --- the server -------------------------------------------------------------------------------------------------------


def test_a_busy_server_is_left_alone_for_its_hint_else_ever_longer() -> None:
    hinted = after(port.EndpointBusyError("ErrorServerBusy", retry_after=timedelta(seconds=297)))
    assert seconds_left(hinted) == 297
    notes, left = EndpointNotes("local"), []
    for _ in range(8):
        notes = after(port.EndpointBusyError("503"), notes=notes)
        left.append(seconds_left(notes))
    assert left == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.parametrize(("hint_s", "kept_s"), [(0, 1), (-5, 1), (10**6, 3600)])
def test_a_hint_counts_within_reason(hint_s: int, kept_s: float) -> None:
    assert seconds_left(after(port.EndpointBusyError("429", retry_after=timedelta(seconds=hint_s)))) == kept_s


def test_jobs_of_a_server_that_is_left_alone_are_due_when_it_is_and_none_counts_as_tried() -> None:
    busy = after(port.EndpointBusyError("429", retry_after=timedelta(seconds=100)))
    first = decide(job(), port.EndpointBusyError("429"), around(endpoint=busy))
    assert wait_s(first) == 100
    other = decide(job(), LeftAloneError("server-busy"), around(endpoint=busy))
    assert (other.state, other.reason, wait_s(other)) == (WAITING, "server-busy", 100)
    often = decide(job("server-busy", 500), port.EndpointBusyError("429"), around(endpoint=busy))
    assert often.state is WAITING


def test_what_may_have_been_made_is_known_until_it_was_looked_for() -> None:
    busy = after(port.EndpointBusyError("429"))
    left_alone = decide(job("interrupted"), LeftAloneError("server-busy"), around(endpoint=busy))
    assert (left_alone.state, left_alone.reason) == (WAITING, "interrupted")
    for kind in (port.EndpointBusyError, port.MailboxUnavailableError):
        error = kind("503")
        error.placed = "q1.0"
        assert decide(job(), error, around(endpoint=busy)).placed == "q1.0"


def test_a_message_at_which_a_server_fails_again_and_again_waits_behind_others() -> None:
    down = after(port.EndpointDownError("reset"))
    waited = [
        wait_s(decide(job("server-down", n), port.EndpointDownError("reset"), around(endpoint=down))) for n in range(4)
    ]
    assert waited == sorted(waited)
    assert waited[0] < waited[-1]


def test_an_overloaded_server_gets_half_the_connections() -> None:
    notes = after(port.EndpointOverloadedError("ErrorExceededConnectionCount"))
    assert notes.connections == 4
    least = after_error(notes, port.EndpointOverloadedError("x"), now=NOW, connections=1)
    assert least.connections == 1


def test_three_refused_sign_ins_in_a_row_stop_the_server_each_after_a_longer_wait() -> None:
    notes, left = EndpointNotes("local"), []
    for _ in range(2):
        notes = after(port.SignInError("401"), notes=notes)
        left.append(seconds_left(notes))
        assert not notes.is_stopped
    assert left == sorted(set(left))
    notes = after(port.SignInError("401"), notes=notes)
    assert (notes.is_stopped, notes.resume_at, notes.reason) == (True, None, "sign-in")


def test_two_tries_that_were_one_refusal_count_as_two() -> None:
    error = port.SignInError("NO")
    error.tries = 2
    notes = after(error)
    assert (notes.failures, notes.is_stopped) == (2, False)
    assert after(port.SignInError("NO"), notes=notes).is_stopped


def test_only_sign_ins_in_a_row_count() -> None:
    notes = after(port.SignInError("401"), notes=after(port.SignInError("401")))
    notes = after(port.SignInError("401"), notes=after_answer(notes))
    assert (notes.failures, notes.is_stopped) == (1, False)


def test_a_certificate_that_is_not_trusted_stops_the_server_at_once() -> None:
    notes = after(port.TlsFailedError("certificate", "self-signed"))
    assert (notes.is_stopped, notes.reason) == (True, "tls-failed")
    assert after_answer(notes) == notes


def test_a_server_that_answers_is_well_again_and_keeps_its_connections() -> None:
    notes = replace(after(port.EndpointOverloadedError("x")), connections=3)
    assert after_answer(notes) == EndpointNotes("local", connections=3)


@pytest.mark.parametrize("kind", [kind for kind, row in TABLE.items() if not row.endpoint], ids=lambda k: k.__name__)
def test_what_is_a_mailboxs_or_an_items_own_is_no_trouble_of_the_server(kind: type[port.MailboxError]) -> None:
    assert after(kind("x")) == EndpointNotes("local")
    assert is_reachable(kind("x")) == (kind is not port.OutcomeUnknownError)


# --- others -----------------------------------------------------------------------------------------------------------


def test_a_job_gets_no_older_than_a_week() -> None:
    old = job(age=timedelta(days=8))
    assert decide(old, port.EndpointDownError("x"), around()).state is GIVEN_UP
    assert decide(old, Verdict(WAITING, reasons.CONFLICT), around()).state is GIVEN_UP
    assert decide(old, port.EndpointDownError("x"), around(in_doubt=True)).state is WAITING


def test_waits_of_another_reason_begin_anew() -> None:
    outcome = decide(job("server-busy", 30), Verdict(WAITING, reasons.CONFLICT), around())
    assert wait_s(outcome) == JOB_WAITS_S["conflict"][0]


def test_what_can_not_be_tried_yet_waits_and_what_is_not_to_be_done_is_skipped() -> None:
    waiting = waits(job(placed="q.1"), reasons.DIRECTORY_DOWN, "", NOW)
    assert (waiting.state, wait_s(waiting), waiting.placed) == (WAITING, 30, "q.1")
    assert skipped(job(), reasons.GROUP) == JobOutcome(job(), SKIPPED, "group")
