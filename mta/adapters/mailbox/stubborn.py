"""Messages that a server fails at, time after time, while it answers for all others.

Without telling them apart the first one would hold up all that come after it for ever.
"""

from __future__ import annotations

from mta.ports.mailbox import (
    EndpointDownError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    RefusedError,
)

_PATIENCE = 3
_MOST = 1000


class Stubborn:
    """Of one mailbox, for as long as its adapter is there."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def blames(self, ref: str, error: MailboxError) -> bool:
        """Note what the server answered for this message; whether that may be the message's own fault by now.

        It is, if the server answers well for what is smaller: the caller has to see.
        """
        is_fault = isinstance(error, MailboxUnavailableError | EndpointDownError | OutcomeUnknownError)
        if not is_fault and type(error) is not MailboxError:  # a plain one is a code that nobody knows
            return False
        if ref not in self._failures and len(self._failures) >= _MOST:
            self._failures.clear()
        self._failures[ref] = self._failures.get(ref, 0) + 1
        return self._failures[ref] >= _PATIENCE

    def went_well(self, ref: str) -> None:
        self._failures.pop(ref, None)


def refusal(error: MailboxError) -> RefusedError:
    """What a message's own fault is raised as."""
    return RefusedError(error.code, f"the server fails at this message time after time; {error.detail}"[:200])
