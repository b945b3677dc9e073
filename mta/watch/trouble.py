"""Something that is wrong."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from mta.model.printable import in_a_line


@dataclass(frozen=True, slots=True)
class Trouble:
    """`key` is the same as long as it is the same trouble; the words may change with it."""

    key: str
    kind: str
    subject: str
    """One line: what is wrong."""
    text: str
    """What it means, and what to do."""


SUBJECT_MAX, TEXT_MAX = 300, 2000


def plain(trouble: Trouble) -> Trouble:
    """The same without what would steer a terminal or add a line: other servers' words may stand in it."""
    return Trouble(
        in_a_line(trouble.key, SUBJECT_MAX),
        trouble.kind,
        in_a_line(trouble.subject, SUBJECT_MAX),
        in_a_line(trouble.text, TEXT_MAX),
    )


class CantLookError(Exception):
    """Nothing is known at the moment; what was wrong is taken to be so still."""


class Watcher(Protocol):
    """Looks at one thing."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of trouble that it may find."""
        ...

    def look(self, now: datetime) -> Coroutine[Any, Any, Sequence[Trouble]]:
        """What is wrong now. Raises CantLookError."""
        ...


def in_words(time: timedelta) -> str:
    """A length of time in words, in the largest unit that is at least one."""
    seconds = int(time.total_seconds())
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length or (seconds % length == 0 and seconds >= length):
            number = seconds // length
            return f"{number} {unit if number > 1 else unit[:-1]}"
    return f"{seconds} seconds"
