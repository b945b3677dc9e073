"""What Microsoft Graph's refusals mean for us.

Codes: https://learn.microsoft.com/graph/errors, and those of Exchange that Graph passes on,
https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode; limits:
https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from mta.adapters.retry_after import retry_after
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

_LONGEST_PAUSE = timedelta(days=1)

_BY_CODE: Mapping[str, type[MailboxError]] = MappingProxyType({
    # Outlook's limits are per application and mailbox: exceeding one doesn't keep us from other mailboxes.
    "ApplicationThrottled": MailboxUnavailableError,
    "ErrorMailboxMoveInProgress": MailboxUnavailableError,
    "ErrorMailboxStoreUnavailable": MailboxUnavailableError,
    "ErrorMailboxFailover": MailboxUnavailableError,
    "ErrorInternalServerTransientError": MailboxUnavailableError,
    "ErrorTimeoutExpired": MailboxUnavailableError,
    "ErrorADUnavailable": MailboxUnavailableError,
    "ErrorConnectionFailed": MailboxUnavailableError,
    "ErrorConnectionFailedTransientError": MailboxUnavailableError,
    "MailboxInfoStale": MailboxUnavailableError,
    "TargetIdShouldNotBeMeOrWhitespace": RefusedError,
    "ErrorServerBusy": EndpointBusyError,
    "TooManyRequests": EndpointBusyError,
    "ErrorExceededConnectionCount": EndpointOverloadedError,
    "ErrorTooManyObjectsOpened": EndpointOverloadedError,
    "ErrorInsufficientResources": EndpointOverloadedError,
    "InvalidAuthenticationToken": SignInError,
    "AuthenticationError": SignInError,
    "Authorization_RequestDenied": SignInError,
    "Authorization_IdentityNotFound": SignInError,
    "ErrorAccessDenied": AccessDeniedError,
    "ErrorImpersonateUserDenied": AccessDeniedError,
    "ErrorInvalidUser": NoMailboxError,
    "ErrorNonExistentMailbox": NoMailboxError,
    "ErrorMailboxNotFound": NoMailboxError,
    "MailboxNotEnabledForRESTAPI": NoMailboxError,
    "MailboxNotSupportedForRESTAPI": NoMailboxError,
    "ResourceNotFound": NoMailboxError,
    "Request_ResourceNotFound": NoMailboxError,
    "ErrorFolderNotFound": NoMailboxError,
    "ErrorIrresolvableConflict": ConflictError,
    "ErrorStaleObject": ConflictError,
    "ErrorChangeKeyRequired": ConflictError,
    "ErrorChangeKeyRequiredForWriteOperations": ConflictError,
    "ErrorItemNotFound": ItemGoneError,
    "ErrorInvalidIdMalformed": ItemGoneError,
    "ErrorInvalidId": ItemGoneError,
    "ErrorQuotaExceeded": QuotaError,
    "ErrorMailboxSizeLimitExceeded": QuotaError,
    "ErrorMessageSizeExceeded": RefusedError,
    "ErrorAttachmentSizeLimitExceeded": RefusedError,
    "ErrorVirusDetected": RefusedError,
    "ErrorVirusMessageDeleted": RefusedError,
    "ErrorInvalidRecipients": RefusedError,
})  # fmt: skip

_BY_STATUS: Mapping[int, type[MailboxError]] = MappingProxyType({
    401: SignInError, 402: NoMailboxError, 403: SignInError, 404: ItemGoneError, 409: ConflictError,
    410: MailboxUnavailableError, 412: ConflictError, 423: MailboxUnavailableError, 429: EndpointBusyError,
    503: EndpointBusyError, 507: QuotaError, 509: EndpointBusyError,
})  # fmt: skip

_HINTS: Mapping[str, str] = MappingProxyType({
    "ErrorAccessDenied": "the application may not open this mailbox: it needs Mail.ReadWrite, and the mailbox has to be"
    " in the scope of its role assignment (RBAC for Applications) or application access policy; changes take up to 2 h",
    "Authorization_RequestDenied": "the application lacks Mail.ReadWrite, or an administrator hasn't consented to it",
    "MailboxNotEnabledForRESTAPI": "no mailbox in Exchange Online: on-premises, unlicensed, inactive or being moved",
    "InvalidAuthenticationToken": "the token isn't for this server: check cloud, scope and url",
})  # fmt: skip


def error_of(status: int, answer: Any, headers: Mapping[str, str], *, writes: bool) -> MailboxError:
    """The error that an answer means. `writes`: the request may have changed something before it failed."""
    code, inner = _codes(answer)
    kind = _BY_CODE.get(code) or _BY_CODE.get(inner) or _BY_STATUS.get(status) or _otherwise(status, writes)
    named = code or inner or str(status)
    hint = retry_after(headers.get("retry-after", ""), datetime.now(UTC), longest=_LONGEST_PAUSE)
    return kind(named, _detail(status, named, headers), retry_after=hint)


def _otherwise(status: int, writes: bool) -> type[MailboxError]:
    if status >= 500:
        # 500, 502 and 504 may come from something on the way, after the mailbox server has done it.
        return OutcomeUnknownError if writes else MailboxUnavailableError if status == 500 else EndpointDownError
    return RefusedError if status >= 400 else EndpointDownError


def _codes(answer: Any) -> tuple[str, str]:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return "", ""
    inner = error.get("innerError", error.get("innererror"))
    return _word(error.get("code")), _word(inner.get("code") if isinstance(inner, dict) else None)


def _word(code: Any) -> str:
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z][\w.-]{1,79}", code, re.ASCII) else ""


def _detail(status: int, code: str, headers: Mapping[str, str]) -> str:
    """Not the server's own text, which may quote what we sent; by its request's id Microsoft finds it again."""
    request = headers.get("request-id", "")
    parts = [f"HTTP {status}"]
    if re.fullmatch(r"[0-9A-Za-z-]{8,64}", request):
        parts.append(f"request-id {request}")
    if code in _HINTS:
        parts.append(_HINTS[code])
    return "; ".join(parts)
