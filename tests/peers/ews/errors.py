"""What a request is refused by: response codes, SOAP faults, and answers that are no SOAP at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXTS = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorAttachmentSizeLimitExceeded": "The attachment is too large.",
    "ErrorBatchProcessingStopped": "The batch processing stopped because of an error in an earlier entry.",
    "ErrorChangeKeyRequired": "A change key is required for this operation.",
    "ErrorChangeKeyRequiredForWriteOperations": "The change key is required for this operation.",
    "ErrorExceededConnectionCount": (
        "You have exceeded the available concurrent connections for your account.  "
        "Try again once your other requests have completed."
    ),
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorImpersonationDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorImpersonationRequired": "ExchangeImpersonation SOAP header must be present for this type of OAuth token.",
    "ErrorImpersonationFailed": "Exchange Web Services are not currently available for this request.",
    "ErrorInsufficientResources": "Insufficient resources. Operation aborted.",
    "ErrorIrresolvableConflict": (
        "The send or update operation could not be performed because the change key passed in the request does not "
        "match the current change key for the item."
    ),
    "ErrorInvalidAttachmentId": "The attachment id is invalid.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidExtendedProperty": "The specified property is not valid.",
    "ErrorInvalidExtendedPropertyValue": "The extended property value is not valid for the specified type.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidPropertyDelete": "Delete action is invalid for property.",
    "ErrorInvalidPropertyRequest": "Property is not valid for this object type.",
    "ErrorInvalidPropertyUpdateSentMessage": "Updating the property isn't allowed on a message that was sent.",
    "ErrorInvalidPropertySet": "Set action is invalid for property.",
    "ErrorInvalidServerVersion": "The specified server version is invalid.",
    "ErrorInvalidUserSid": "The SID that was passed is not valid.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorMailboxFailover": "The mailbox was failed over to another server.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress.  Try again later.",
    "ErrorMailboxStoreUnavailable": "The mailbox database is temporarily unavailable.",
    "ErrorMessageSizeExceeded": "The message exceeds the maximum supported size.",
    "ErrorMimeContentInvalid": "The MIME content is invalid.",
    "ErrorMimeContentInvalidBase64String": "The MIME content string is not a valid Base64 string.",
    "ErrorMissingEmailAddress": "When making a request as an account that does not have a mailbox, "
    "you must specify the mailbox primary SMTP address for any distinguished folder Ids.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorNonPrimarySmtpAddress": "The primary SMTP address must be specified when referencing a mailbox.",
    "ErrorNoRespondingCASInDestinationSite": "No Client Access Server in the destination site answered.",
    "ErrorQuotaExceeded": "The mailbox or the mailbox's quota was exceeded.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorStaleObject": "The object is stale. Reload it and try again.",
    "ErrorTooManyObjectsOpened": "Too many objects are open.",
    "ErrorVirusDetected": "A virus was found in the item.",
}


class EwsError(Exception):
    """A response code, for one response message; `values` stand in its MessageXml."""

    def __init__(self, code: str, text: str = "", values: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.text = text or TEXTS.get(code, code)
        self.values = dict(values or {})


class SoapFaultError(EwsError):
    """The whole request is refused with it: HTTP 500 and a soap:Fault."""

    def __init__(
        self,
        code: str,
        text: str = "",
        values: Mapping[str, str] | None = None,
        *,
        where: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(code, text, values)
        self.where = where
        """Line and position, of ErrorSchemaValidation."""


@dataclass(eq=False)
class HttpAnswer(Exception):  # noqa: N818 - some are no errors
    """An answer that is no SOAP."""

    status: int
    body: bytes = b""
    content_type: str = "text/html"
    headers: list[tuple[str, str]] = field(default_factory=list)


class CutError(Exception):
    """The connection is reset."""
