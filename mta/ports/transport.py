"""The way out: hand one copy to one next hop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mta.model.delivery import RecipientEntry, RecipientResult
from mta.model.envelope import Envelope

Segments = Sequence[bytes | memoryview]


class Transport(Protocol):
    async def deliver(
        self, envelope: Envelope, recipients: Sequence[RecipientEntry], content: Segments, *, deadline_s: float
    ) -> Sequence[RecipientResult]:
        """Hand over one copy (CRLF line ends, not dot-stuffed); give one result per recipient.

        Never raises for a remote's fault.
        """
        ...

    @property
    def is_blocked(self) -> bool:
        """Whether the next hop failed lately and should be left alone (its circuit is open)."""
        ...

    async def close(self) -> None:
        """End kept connections."""
        ...
