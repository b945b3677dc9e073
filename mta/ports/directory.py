"""People and groups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from mta.model.person import Person
from mta.model.reply import Reply, TemporaryError

DIRECTORY_DOWN = Reply(451, "4.4.3", "The directory does not answer, try again later")


class DirectoryDownError(TemporaryError):
    """The source is down, and about somebody nothing is cached.

    `people` is what is known all the same, with an `UnansweredPerson` for each key that got no answer.
    """

    def __init__(self, people: Mapping[str, Person] | None = None) -> None:
        super().__init__(DIRECTORY_DOWN)
        self.people: Mapping[str, Person] = people or {}


class Directory(Protocol):
    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Entries by address key (`Address.key`, primary or alias), with the managers of those found.

        Unknown keys are left out. Answers from memory or within a bounded time. Raises DirectoryDownError when the
        source is down and nothing is cached.
        """
        ...

    def everybody(self) -> AsyncIterator[Person]:
        """All entries, each once, fresh from the source; for reports. Raises DirectoryDownError, on the way too."""
        ...

    def group_names(self) -> frozenset[str] | None:
        """All known groups in lower case, for checking rules; None where the source can't list them at once."""
        ...

    def attribute_names(self) -> frozenset[str] | None:
        """All known attribute names, for checking templates; None where the source can't list them."""
        ...

    async def start(self) -> None:
        """Begin what runs in the background; look-ups work without it. Never waits for the source."""
        ...

    async def close(self) -> None:
        """End what runs in the background, and its connections. A look-up afterwards opens them again."""
        ...
