"""What EWS refuses with, in the port's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import exchangelib.errors
import pytest

from mta.adapters.mailbox.ews.errors import BY_CODE, back_off, response_error, status_error
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointBusyError,
    EndpointDownError,
    EndpointOverloadedError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
    SignInError,
)

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ErrorServerBusy", EndpointBusyError),
        ("ErrorExceededConnectionCount", EndpointOverloadedError),
        ("ErrorTooManyObjectsOpened", EndpointOverloadedError),
        ("ErrorInsufficientResources", EndpointOverloadedError),
        ("ErrorMailboxMoveInProgress", MailboxUnavailableError),
        ("ErrorMailboxStoreUnavailable", MailboxUnavailableError),
        ("ErrorMailboxFailover", MailboxUnavailableError),
        ("ErrorInternalServerTransientError", MailboxUnavailableError),
        ("ErrorIrresolvableConflict", ConflictError),
        ("ErrorStaleObject", ConflictError),
        ("ErrorInvalidChangeKey", ConflictError),
        ("ErrorItemNotFound", ItemGoneError),
        ("ErrorNonExistentMailbox", NoMailboxError),
        ("ErrorImpersonateUserDenied", AccessDeniedError),
        ("ErrorAccessDenied", AccessDeniedError),
        ("ErrorImpersonationFailed", SignInError),
        ("ErrorQuotaExceeded", QuotaError),
        ("ErrorMessageSizeExceeded", RefusedError),
        ("ErrorMimeContentInvalid", RefusedError),
        ("ErrorInvalidPropertyUpdateSentMessage", RefusedError),
        ("ErrorVirusDetected", RefusedError),
        ("ErrorADUnavailable", EndpointDownError),
        ("ErrorCalendarIsNotOrganizer", MailboxError),
        ("ErrorOfNextYear", MailboxError),
        ("", MailboxError),
    ],
)
def test_codes_become_the_ports_errors(code: str, kind: type[MailboxError]) -> None:
    error = response_error(code, "the server's own words", changes=False)
    assert type(error) is kind
    assert error.code == (code or "no-code")


def test_the_table_names_codes_that_there_are() -> None:
    """exchangelib has Microsoft's list, but for the one that tokens of apps bring about."""
    known = {name for name in vars(exchangelib.errors) if name.startswith("Error")}
    assert set(BY_CODE) - known == {"ErrorImpersonationRequired"}


def test_a_time_out_leaves_open_whether_something_was_changed() -> None:
    assert type(response_error("ErrorTimeoutExpired", "", changes=True)) is OutcomeUnknownError
    assert type(response_error("ErrorTimeoutExpired", "", changes=False)) is MailboxUnavailableError


@pytest.mark.parametrize("code", ["ErrorSchemaValidation", "ErrorInvalidValueForProperty", "ErrorOfNextYear"])
def test_texts_that_may_quote_the_message_stay_out_of_logs(code: str) -> None:
    assert "secret subject" not in str(response_error(code, "The value 'secret subject' is invalid", changes=True))


def test_texts_are_one_short_line() -> None:
    error = response_error("ErrorAccessDenied", "a\r\nb\x1b[31m" + "c" * 5000, changes=False)
    assert error.detail.startswith("a b\N{REPLACEMENT CHARACTER}[31mc")
    assert len(error.detail) <= 200


@pytest.mark.parametrize(
    ("status", "changes", "sent_octets", "kind"),
    [
        (401, True, 100, SignInError),
        (403, False, 100, SignInError),
        (440, False, 100, SignInError),
        (429, True, 100, EndpointBusyError),
        (503, True, 100, EndpointBusyError),
        (500, False, 100, EndpointDownError),
        (500, True, 100, OutcomeUnknownError),
        (502, True, 100, OutcomeUnknownError),
        (504, True, 100, OutcomeUnknownError),
        (504, False, 100, EndpointDownError),
        (404, True, 100, EndpointDownError),
        (404, True, 50_000_000, RefusedError),
        (413, True, 100, RefusedError),
        (302, True, 100, EndpointDownError),
        (418, False, 100, EndpointDownError),
    ],
)
def test_statuses_without_soap(status: int, changes: bool, sent_octets: int, kind: type[MailboxError]) -> None:
    error = status_error(status, {}, sent_octets=sent_octets, changes=changes)
    assert type(error) is kind
    assert error.code == str(status)


def test_a_refused_sign_in_says_which_ones_there_are() -> None:
    offered = {"WWW-Authenticate": 'Negotiate, NTLM, Basic realm="mail", Bearer client_id="0000", issuers="a@b, c"'}
    error = status_error(401, offered, sent_octets=1, changes=False)
    assert error.detail == "the server offers Negotiate, NTLM, Basic, Bearer"


def test_the_front_ends_own_word_is_passed_on() -> None:
    error = status_error(503, {"X-CasErrorCode": "UserNotFound", "Retry-After": "7"}, sent_octets=1, changes=False)
    assert (error.detail, error.retry_after) == ("UserNotFound", timedelta(seconds=7))


@pytest.mark.parametrize(
    ("value", "wait"),
    [("2500", timedelta(seconds=2.5)), ("99999999999999999999", None), ("0", None), ("-1", None), ("x", None),
     (None, None), ("36000000", timedelta(hours=1))],
    ids=["milliseconds", "overflow", "0", "negative", "word", "none", "long"],
)  # fmt: skip
def test_back_off_is_milliseconds(value: str | None, wait: timedelta | None) -> None:
    assert back_off(value) == wait
