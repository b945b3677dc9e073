"""What is asked of each kind's surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from mta.ports.outgoing import MailAccount

SENDER = "desk@example.com"
LARGEST = 2_000_000
"""Octets that every server takes; four times as many none does."""


class Fault(Enum):
    SECRET = "wrong secret"
    UNTRUSTED = "a certificate that nobody vouches for"
    DOWN = "nobody there"
    BUSY = "it wants to be left alone"
    REFUSES = "it won't take this mail"


@dataclass(frozen=True, slots=True)
class Arrived:
    """Recipients in the order of the envelope; the message without what the server put on top."""

    recipients: tuple[str, ...]
    message: bytes = field(repr=False)


class Harness(Protocol):
    def open(self, **settings: Any) -> MailAccount: ...

    def arrived(self) -> Sequence[Arrived]:
        """All so far."""
        ...

    def fault(self, fault: Fault) -> AbstractContextManager[MailAccount]:
        """An account that meets it."""
        ...

    def close(self) -> None: ...
