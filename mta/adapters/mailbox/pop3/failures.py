"""What a POP3 server's refusals (RFC 1939, RFC 2449 §8, RFC 3206) and broken connections mean for a mailbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from mta.adapters.mailbox.tls import tls_failure
from mta.model.printable import in_a_line
from mta.ports.mailbox import (
    EndpointDownError,
    EndpointOverloadedError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    SignInError,
    TlsFailedError,
)

Stage = Literal["connect", "sign-in", "read", "quit"]

_DETAIL_MAX = 200
_CODE = re.compile(r"\[([A-Z][A-Z0-9/-]{1,40})\]")
_TOO_MANY = re.compile(r"too many|maximum number of conn|connection limit", re.IGNORECASE)
_LOCKED = re.compile(
    r"\b(?:maildrop|mailbox|mail drop)\b.{0,30}\b(?:lock|locked|in use|busy)\b"
    r"|\b(?:lock|locked)\b.{0,30}\b(?:maildrop|mailbox|mail drop)\b", re.IGNORECASE,
)  # fmt: skip
"""Of servers without codes: another program has the mailbox open (RFC 1939 §4)."""
_BY_CODE: dict[str, type[MailboxError]] = {
    "AUTH": SignInError,
    "IN-USE": MailboxUnavailableError,
    "LOGIN-DELAY": MailboxUnavailableError,
    "SYS/TEMP": MailboxUnavailableError,
    "SYS/PERM": MailboxUnavailableError,
}
_WITHOUT_CODE: dict[Stage, type[MailboxError]] = {
    "connect": EndpointDownError,
    "sign-in": SignInError,
    "read": MailboxUnavailableError,
    "quit": MailboxUnavailableError,
}
_BROKEN: dict[Stage, type[MailboxError]] = {
    "connect": EndpointDownError,
    "sign-in": EndpointDownError,
    "read": MailboxUnavailableError,
    "quit": OutcomeUnknownError,
}


@contextmanager
def failures(stage: Stage) -> Iterator[None]:
    """A broken connection inside comes out as a MailboxError."""
    try:
        yield
    except OSError as exc:
        if stage in ("connect", "sign-in") and (reason := tls_failure(exc)) is not None:
            raise TlsFailedError("tls", in_a_line(reason, _DETAIL_MAX)) from exc
        text = exc.strerror or str(exc) or type(exc).__name__
        raise _BROKEN[stage]("broken", in_a_line(text, _DETAIL_MAX)) from exc


def refusal(stage: Stage, text: str) -> MailboxError:
    """What -ERR means; `text` is what follows it."""
    match = _CODE.match(text)
    code = match[1] if match else ""
    detail = in_a_line(text.removeprefix(f"[{code}]").strip(), _DETAIL_MAX)  # the code stands beside it
    if _TOO_MANY.search(text):
        return EndpointOverloadedError(code or "-ERR", detail)
    if not code and stage == "sign-in" and _LOCKED.search(text):
        return MailboxUnavailableError("IN-USE", detail)
    return (_BY_CODE.get(code) or _WITHOUT_CODE[stage])(code or "-ERR", detail)


def nonsense(stage: Stage) -> MailboxError:
    """For what is no answer of POP3; nothing of it is told, as it may be of a message."""
    kind = EndpointDownError if stage in ("connect", "sign-in") else MailboxUnavailableError
    return kind("nonsense", "the server answers what is no POP3")
