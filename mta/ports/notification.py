"""The way to administrators, beside the mail that is relayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

SEND_MAX_S = 45.0
"""For all that a channel tells at once, whatever a server does to make it last."""


class NotificationError(Exception):
    """It did not get through; the text says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that administrators are told."""

    key: str
    """The same for the same trouble, as long as it lasts: `next-hop-stopped:exchange`."""
    kind: str
    state: Literal["begun", "lasts", "over", "test"]
    subject: str
    """One line: what is wrong."""
    text: str
    """What it means, and what to do."""
    since: datetime


class NotificationChannel(Protocol):
    """Sends at once, or not at all: nothing is queued behind it."""

    @property
    def name(self) -> str:
        """For log lines, and by which it is remembered who knows what."""
        ...

    async def send(self, notices: Sequence[Notice]) -> None:
        """Tell of all in one message. Raises NotificationError, within SEND_MAX_S."""
        ...
