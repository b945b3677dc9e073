"""The way out: hand one copy to one next hop."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope

Segments = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A next hop that is left alone but for probes."""

    for_s: float
    """Since when, in seconds ago."""
    reason: str
    """The last failure, as a reply."""


class Transport(Protocol):
    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> Sequence[RecipientResult]:
        """Hand over one copy (CRLF line ends, not dot-stuffed); give one result per recipient.

        A copy that the next hop can't take in this form is not sent: each result says so by its `misfit`. Of those in
        `overlook` it is sent all the same. Never raises for a remote's fault.
        """
        ...

    def is_blocked(self, domain: str) -> bool:
        """Whether `blocked` has this domain key in it, or all."""
        ...

    def blocked(self) -> Collection[str]:
        """Whose mail should be left in the queue: circuit open, or all is waiting that may be given for now.

        Domain keys, for a transport that delivers to the servers of each recipient's domain; {""} for all mail.
        """
        ...

    def stopped(self) -> Mapping[str, Stopped]:
        """Open circuits, by domain key or ""."""
        ...

    async def close(self) -> None:
        """End kept connections."""
        ...
