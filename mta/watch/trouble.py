"""Something that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Trouble:
    """`key` is the same as long as it is the same trouble; the words may change with it."""

    key: str
    kind: str
    subject: str
    """One line: what is wrong."""
    text: str
    """What it means, and what to do."""


class CantLookError(Exception):
    """Nothing is known at the moment; what was wrong is taken to be so still."""


class Watcher(Protocol):
    """Looks at one thing."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of trouble that it may find."""
        ...

    async def look(self, now: datetime) -> Sequence[Trouble]:
        """What is wrong now. Raises CantLookError."""
        ...
