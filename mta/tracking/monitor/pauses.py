"""How long a mailbox is left alone after a poll, by how it went. Nothing here waits or remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mta.ports import mailbox as port
from mta.ports.mailbox import MailboxError

TROUBLE_AFTER = 3
"""Polls in a row that could not sign in, before people are told."""
SIGN_IN_ERRORS = (port.SignInError, port.TlsFailedError, port.AccessDeniedError, port.NoMailboxError)
"""What somebody has to mend: account, secret, certificate, rights, mailbox or folder. A server that is down, busy or
being moved is none of these: it comes back by itself."""

_SIGN_IN_WAITS_S = (900.0, 1800.0, 3600.0)
"""Once people are told; the last one repeats. Accounts are locked by several failures within minutes."""
_DOWN_WAITS_S = (30.0, 60.0, 120.0, 300.0)
_UNAVAILABLE_WAITS_S = (60.0, 300.0, 900.0, 1800.0)
_BUSY_S, _BUSY_MAX_S = 60.0, 3600.0
PAUSE_MAX = timedelta(hours=1)
"""What is noted of a longer one was noted by a clock that was wrong."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What a failed poll leads to."""

    length: timedelta
    is_sign_in: bool
    """It counts towards the three after which people are told."""


def pause_after(error: Exception, *, failures: int, others: int, every: timedelta) -> Pause:
    """After a poll that ended with this error.

    `failures` polls in a row could not sign in, `others` failed otherwise since the last good one; this one included.
    """
    if isinstance(error, SIGN_IN_ERRORS):
        wait_s = every.total_seconds()
        if failures >= TROUBLE_AFTER:
            wait_s = max(min(wait_s, PAUSE_MAX.total_seconds()), nth(_SIGN_IN_WAITS_S, failures - TROUBLE_AFTER))
        return Pause(timedelta(seconds=min(wait_s, PAUSE_MAX.total_seconds())), is_sign_in=True)
    if isinstance(error, port.EndpointBusyError | port.EndpointOverloadedError):
        return Pause(_hinted(error, min(_BUSY_S * 2 ** min(others - 1, 10), _BUSY_MAX_S)), is_sign_in=False)
    if isinstance(error, port.MailboxUnavailableError):
        return Pause(_hinted(error, nth(_UNAVAILABLE_WAITS_S, others - 1)), is_sign_in=False)
    wait_s = nth(_DOWN_WAITS_S, others - 1)
    if isinstance(error, MailboxError):
        return Pause(_hinted(error, wait_s), is_sign_in=False)
    return Pause(timedelta(seconds=wait_s), is_sign_in=False)


def nth(waits_s: tuple[float, ...], number: int) -> float:
    """The last one repeats."""
    return waits_s[min(max(number, 0), len(waits_s) - 1)]


def _hinted(error: MailboxError, else_s: float) -> timedelta:
    """The server's own hint, within reason."""
    if error.retry_after is None:
        return timedelta(seconds=else_s)
    return min(max(error.retry_after, timedelta(seconds=1)), PAUSE_MAX)
