"""People and groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from mta.model.person import Person


class Directory(Protocol):
    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Entries by address key (`Address.key`, primary or alias), with the managers of those found.

        Unknown keys are left out. Answers from memory or within a bounded time. Raises TemporaryError when the
        source is down and nothing is cached.
        """
        ...

    def group_names(self) -> frozenset[str] | None:
        """All known groups in lower case, for checking rules; None where the source can't list them."""
        ...

    def attribute_names(self) -> frozenset[str] | None:
        """All known attribute names, for checking templates; None where the source can't list them."""
        ...
