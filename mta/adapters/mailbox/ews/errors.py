"""What EWS answers instead of what was asked for, in the port's words.

Codes and their meanings: https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode;
throttling: https://learn.microsoft.com/exchange/client-developer/exchange-web-services/ews-throttling-in-exchange.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from mta.adapters.retry_after import retry_after
from mta.model.printable import in_a_line
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

_LONGEST_WAIT = timedelta(hours=1)
"""A server that asks for more isn't believed: another try an hour later does no harm."""
_LARGE_OCTETS = 1_000_000
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)(?=\s|,|$)")
"""Of WWW-Authenticate (RFC 9110 §11.6.1); parameters are followed by `=`."""

_BY_CLASS: Mapping[type[MailboxError], str] = MappingProxyType({
    EndpointBusyError: "ErrorServerBusy",
    EndpointOverloadedError: "ErrorExceededConnectionCount ErrorInsufficientResources ErrorNotEnoughMemory"
    " ErrorTooManyObjectsOpened",
    EndpointDownError: "ErrorADOperation ErrorADUnavailable ErrorIncorrectSchemaVersion"
    " ErrorInvalidSchemaVersionForMailboxVersion ErrorInvalidServerVersion ErrorWrongServerVersion",
    SignInError: "ErrorAccessModeSpecified ErrorCallerIsInvalidADAccount ErrorImpersonationFailed"
    " ErrorImpersonationRequired ErrorInvalidAuthorizationContext ErrorInvalidClientSecurityContext"
    " ErrorInvalidExchangeImpersonationHeaderData ErrorInvalidLogonType ErrorInvalidSerializedAccessToken"
    " ErrorPasswordChangeRequired ErrorPasswordExpired ErrorTokenSerializationDenied",
    AccessDeniedError: "ErrorAccessDenied ErrorAccountDisabled ErrorCreateItemAccessDenied ErrorDelegateNoUser"
    " ErrorFolderNotFound ErrorImpersonateUserDenied ErrorImpersonationDenied ErrorNotDelegate"
    " ErrorUserNotAllowedByPolicy",
    NoMailboxError: "ErrorInvalidMailbox ErrorInvalidSmtpAddress ErrorInvalidUserPrincipalName"
    " ErrorMailRecipientNotFound ErrorNameResolutionNoMailbox ErrorNameResolutionNoResults ErrorNonExistentMailbox"
    " ErrorNonPrimarySmtpAddress",
    MailboxUnavailableError: "ErrorClientDisconnected ErrorConnectionFailed ErrorConnectionFailedTransientError"
    " ErrorCrossSiteRequest ErrorInternalServerError ErrorInternalServerTransientError ErrorMailboxConfiguration"
    " ErrorMailboxFailover ErrorMailboxLogonFailed ErrorMailboxMoveInProgress ErrorMailboxStoreUnavailable"
    " ErrorNoApplicableProxyCASServersAvailable ErrorNoDestinationCASDueToKerberosRequirements"
    " ErrorNoDestinationCASDueToSSLRequirements ErrorNoDestinationCASDueToVersionMismatch"
    " ErrorNoRespondingCASInDestinationSite ErrorProxyCallFailed ErrorProxyGroupSidLimitExceeded"
    " ErrorProxyRequestNotAllowed ErrorProxyRequestProcessingFailed ErrorProxyServiceDiscoveryFailed"
    " ErrorProxyTokenExpired ErrorRequestAborted ErrorServiceDiscoveryFailed ErrorTimeoutExpired",
    ConflictError: "ErrorChangeKeyRequired ErrorChangeKeyRequiredForWriteOperations ErrorInvalidChangeKey"
    " ErrorIrresolvableConflict ErrorObjectTypeChanged ErrorStaleObject",
    ItemGoneError: "ErrorInvalidId ErrorInvalidIdEmpty ErrorInvalidIdMalformed ErrorItemNotFound",
    QuotaError: "ErrorQuotaExceeded",
    RefusedError: "ErrorAttachmentSizeLimitExceeded ErrorContentConversionFailed ErrorCorruptData"
    " ErrorDataSizeLimitExceeded ErrorInvalidExtendedProperty ErrorInvalidExtendedPropertyValue"
    " ErrorInvalidPropertySet ErrorInvalidPropertyUpdateSentMessage ErrorInvalidRecipients"
    " ErrorInvalidValueForProperty ErrorItemCorrupt ErrorItemSave ErrorItemSavePropertyError"
    " ErrorCannotDeleteObject ErrorMessageSizeExceeded ErrorMoveCopyFailed ErrorMimeContentConversionFailed"
    " ErrorMimeContentInvalid ErrorMimeContentInvalidBase64String ErrorPropertyValidationFailure"
    " ErrorRequestStreamTooBig ErrorSchemaValidation ErrorUnsupportedMimeConversion ErrorUpdatePropertyMismatch"
    " ErrorVirusDetected ErrorVirusMessageDeleted",
})  # fmt: skip
BY_CODE: Mapping[str, type[MailboxError]] = MappingProxyType({
    code: kind for kind, codes in _BY_CLASS.items() for code in codes.split()
})  # fmt: skip
"""Response codes; all others are plain MailboxErrors."""

_UNDECIDED = frozenset({"ErrorTimeoutExpired", "ErrorClientDisconnected", "ErrorRequestAborted"})
"""Of a request that changes something: whether it did isn't told."""
_QUOTING = frozenset({
    "ErrorSchemaValidation", "ErrorInvalidValueForProperty", "ErrorPropertyValidationFailure",
    "ErrorInvalidExtendedPropertyValue", "ErrorInvalidRecipients",
})  # fmt: skip
"""Their texts may quote values of the message."""


def response_error(code: str, text: str, *, retry_after: timedelta | None = None, changes: bool) -> MailboxError:
    """What a response message or a SOAP fault with this code means; `changes` is of the request.

    Texts of codes that aren't known here are not passed on: nobody knows what they quote.
    """
    code = in_a_line(code, 80) or "no-code"
    kind = BY_CODE.get(code)
    if changes and code in _UNDECIDED:
        kind = OutcomeUnknownError
    detail = in_a_line(text, 200) if kind is not None and code not in _QUOTING else ""
    return (kind or MailboxError)(code, detail, retry_after=retry_after)


def status_error(
    status: int, headers: Mapping[str, str], *, sent_octets: int, changes: bool, now: datetime | None = None
) -> MailboxError:
    """What an HTTP status means that comes without SOAP; `sent_octets` is the size of the request's body."""
    code = str(status)
    hint = retry_after(headers.get("Retry-After", ""), now or datetime.now(UTC), longest=_LONGEST_WAIT) or None
    if status in (429, 503):
        return EndpointBusyError(code, _why(headers), retry_after=hint)
    if status in (401, 403, 440):
        return SignInError(code, _why(headers))
    if status == 413 or (status == 404 and sent_octets > _LARGE_OCTETS):
        # IIS says 404 (.13) where a request is larger than maxAllowedContentLength.
        return RefusedError(code, f"a request of {sent_octets} octets is too large for this web server")
    if 300 <= status < 400:
        return EndpointDownError(code, "redirects elsewhere, which is not followed: check url")
    if changes and status in (500, 502, 504):
        return OutcomeUnknownError(code, _why(headers), retry_after=hint)
    return EndpointDownError(code, _why(headers) or "is this the address of EWS?", retry_after=hint)


def _why(headers: Mapping[str, str]) -> str:
    """What the front end says of its reasons: its own error code, and how one can sign in."""
    said = (headers.get(name, "") for name in ("X-CasErrorCode", "x-ms-diagnostics"))
    why = "; ".join(in_a_line(text, 120) for text in said if text)
    if (offered := headers.get("WWW-Authenticate", "")) and not why:
        why = f"the server offers {in_a_line(', '.join(_SCHEME.findall(offered[:1000])), 80) or 'no way to sign in'}"
    return why


def back_off(value: str | None) -> timedelta | None:
    """BackOffMilliseconds of an ErrorServerBusy."""
    try:
        wait = timedelta(milliseconds=int(value or ""))
    except (ValueError, OverflowError):
        return None
    return min(wait, _LONGEST_WAIT) if wait > timedelta(0) else None
