"""Errors of mailbox servers and of authorities, as those of a task."""

from __future__ import annotations

from mta.model import task_reasons as reasons
from mta.ports import mailbox
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError

_KINDS: tuple[tuple[type[mailbox.MailboxError], type[TaskError], str], ...] = (
    (mailbox.EndpointBusyError, TargetDownError, reasons.BUSY),
    (mailbox.EndpointOverloadedError, TargetDownError, reasons.BUSY),
    (mailbox.EndpointDownError, TargetDownError, reasons.UNREACHABLE),
    (mailbox.TlsFailedError, TargetDownError, reasons.TLS_FAILED),
    (mailbox.SignInError, TargetDownError, reasons.SIGN_IN),
    (mailbox.AccessDeniedError, TargetDownError, reasons.SIGN_IN),
    (mailbox.NoMailboxError, TargetDownError, reasons.SIGN_IN),
    (mailbox.OutcomeUnknownError, TryAgainError, reasons.OUTCOME_UNKNOWN),
    (mailbox.RefusedError, RefusedTaskError, reasons.REFUSED),
)


def task_error_of(error: mailbox.MailboxError) -> TaskError:
    """What it means for a task; what is none of these passes by itself."""
    detail = f"{error.code}: {error.detail}" if error.detail else error.code
    for kind, meaning, reason in _KINDS:
        if isinstance(error, kind):
            return meaning(reason, detail, retry_after=error.retry_after)
    return TryAgainError(reasons.DEFERRED, detail, retry_after=error.retry_after)
