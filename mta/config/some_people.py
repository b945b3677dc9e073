"""People as settings name them."""

from __future__ import annotations

from collections.abc import Iterable

from mta.message.wildcards import Glob
from mta.model.person import Person


class SomePeople:
    """Some people of an organisation: by addresses, in which `*` stands for anything, and by groups."""

    def __init__(self, addresses: Iterable[str], groups: Iterable[str]) -> None:
        written = tuple(addresses)
        self._addresses = Glob(written) if written else None
        self._groups = frozenset(group.lower() for group in groups)

    def __bool__(self) -> bool:
        return self._addresses is not None or bool(self._groups)

    def holds(self, address_key: str, person: Person | None) -> bool:
        """Whether it is one of them; by all addresses of the person, and all groups, nested ones included.

        Raises DirectoryDownError where groups count, and nobody can say which the person is in.
        """
        keys = {address_key} if person is None else {address_key, person.address, *person.aliases}
        if self._addresses is not None and any(map(self._addresses.search, keys)):
            return True
        return bool(self._groups) and person is not None and not self._groups.isdisjoint(person.groups)
