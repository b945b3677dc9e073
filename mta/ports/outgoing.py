"""Accounts by which notices and test mails go out, past the relay's queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    sender: str
    """The reverse-path, the same address as From: bounces come back to a monitored mailbox."""
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)
    """Whole, CRLF line ends, not dot-stuffed. Its Message-ID is the same at each attempt."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Some recipients, at least, have it."""

    deferred: Mapping[str, str] = field(default_factory=dict)
    """Recipients whom the server may take later → what it said."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Recipients whom it won't take ever → what it said."""


class MailAccount(Protocol):
    """One account. Several mails may go out at a time. Bounded in time.

    At least once: where the answer to the whole message is lost it is sent again, with the same Message-ID.
    """

    async def sign_in(self) -> str:
        """Connect and sign in, send nothing; gives what answered, in a few words for an administrator.

        Raises TargetDownError.
        """
        ...

    async def send(self, mail: OutgoingMail) -> Sent:
        """Send it. Raises TryAgainError, TargetDownError, RefusedTaskError (`mta.ports.task_errors`)."""
        ...

    async def close(self) -> None:
        """End connections and threads."""
        ...
