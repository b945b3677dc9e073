"""What an IMAP server's refusals (RFC 3501 §7.1, RFC 5530) and broken connections mean for a mailbox."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from imapclient.exceptions import ProtocolError

from mta.adapters.mailbox.imap.wire import Wire
from mta.adapters.mailbox.tls import tls_failure
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointDownError,
    EndpointOverloadedError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
    SignInError,
    TlsFailedError,
)

Stage = Literal["connect", "sign-in", "read", "change", "append"]

_DETAIL_MAX = 200
_NO_IMAP = "the server answers what is no IMAP"
_QUOTING = re.compile(r"unexpected|unterminated")
"""Texts of imaplib that go on with what came, which may be of a message."""
_CODE = re.compile(r"\[([A-Z][A-Z0-9-]{1,40})\b")
_BACK_OFF = re.compile(r"Backoff Time: (\d{1,8}) milliseconds")
"""Of Exchange, where a mailbox is throttled."""
_TOO_MANY = re.compile(r"too many|maximum number of conn|connection limit", re.IGNORECASE)
_LONGEST_BACK_OFF = timedelta(hours=1)

_BY_CODE: dict[str, type[MailboxError]] = {
    "UNAVAILABLE": MailboxUnavailableError,
    "INUSE": MailboxUnavailableError,
    "SERVERBUG": MailboxUnavailableError,
    "CORRUPTION": MailboxUnavailableError,
    "AUTHORIZATIONFAILED": AccessDeniedError,
    "CONTACTADMIN": AccessDeniedError,
    "NOPERM": AccessDeniedError,
    "OVERQUOTA": QuotaError,
    "EXPUNGEISSUED": ConflictError,
    "CANNOT": RefusedError,
    "TOOBIG": RefusedError,
    "BADCHARSET": RefusedError,
}
"""UNAVAILABLE and the like are said for one mailbox: Dovecot has it for one that its user database doesn't know."""
_AT_SIGN_IN: dict[str, type[MailboxError]] = {
    "AUTHENTICATIONFAILED": SignInError,
    "EXPIRED": SignInError,
    "PRIVACYREQUIRED": SignInError,
    "LIMIT": EndpointOverloadedError,
}
_WITHOUT_CODE: dict[Stage, type[MailboxError]] = {
    "connect": EndpointDownError,
    "sign-in": SignInError,
    "read": MailboxUnavailableError,
    "change": MailboxUnavailableError,
    "append": RefusedError,
}
_BROKEN: dict[Stage, type[MailboxError]] = {
    "connect": EndpointDownError,
    "sign-in": EndpointDownError,
    "read": MailboxUnavailableError,
    "change": OutcomeUnknownError,
    "append": OutcomeUnknownError,
}
# Of IMAPClient's parsers, where an answer is none of IMAP.
_NONSENSE = (ValueError, AssertionError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)


@contextmanager
def failures(stage: Stage, wire: Wire | None = None) -> Iterator[None]:
    """Whatever goes wrong inside comes out as a MailboxError. `wire` tells how far a change had come."""
    try:
        yield
    except MailboxError:
        raise
    except imaplib.IMAP4.abort as exc:
        raise _broken(stage, wire, str(exc)) from exc
    except ProtocolError as exc:
        raise _broken(stage, wire, _NO_IMAP) from exc
    except imaplib.IMAP4.error as exc:
        raise refusal(stage, str(exc)) from exc
    except OSError as exc:
        if stage in ("connect", "sign-in") and (reason := tls_failure(exc)) is not None:
            raise TlsFailedError("tls", in_a_line(reason, _DETAIL_MAX)) from exc
        raise _broken(stage, wire, exc.strerror or str(exc) or type(exc).__name__) from exc
    except _NONSENSE as exc:
        raise _broken(stage, wire, _NO_IMAP) from exc


def refusal(stage: Stage, text: str) -> MailboxError:
    """What NO, BAD or a greeting of BYE means; `text` is what imaplib made of it."""
    match = _CODE.search(text)
    code = match[1] if match else ""
    hint = _BACK_OFF.search(text)
    detail = _said(text.removeprefix(f"[{code}]").strip())  # the code stands beside it
    if hint is not None:
        wait = min(timedelta(milliseconds=int(hint[1])), _LONGEST_BACK_OFF)
        return MailboxUnavailableError(code or "throttled", detail, retry_after=wait)
    if " BAD [" in text:
        # Some servers quote what they could not read, which may be of a message.
        return MailboxUnavailableError("BAD", "the server didn't understand the command")
    if stage == "connect" and text == "None":  # what imaplib makes of a greeting that is none
        return EndpointDownError("nonsense", _NO_IMAP)
    if stage in ("connect", "sign-in"):
        if _TOO_MANY.search(text):
            return EndpointOverloadedError(code or "NO", detail)
        kind = _AT_SIGN_IN.get(code) or _BY_CODE.get(code)
    else:
        kind = RefusedError if code == "LIMIT" else _BY_CODE.get(code)
    return (kind or _WITHOUT_CODE[stage])(code or "NO", detail)


def _broken(stage: Stage, wire: Wire | None, text: str) -> MailboxError:
    """A connection that is of no use any more; of a BYE its reason."""
    text = (wire.farewell() if wire is not None else "") or text
    text = _NO_IMAP if _QUOTING.search(text) else text
    if _TOO_MANY.search(text):
        return EndpointOverloadedError("BYE", _said(text))
    kind = _BROKEN[stage]
    if kind is OutcomeUnknownError and wire is not None and wire.sent < (2 if stage == "append" else 1):
        kind = MailboxUnavailableError
    match = _CODE.search(text)
    return kind(match[1] if match else "broken", _said(text))


def _said(text: str) -> str:
    return in_a_line(text, _DETAIL_MAX)
