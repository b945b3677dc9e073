"""A directory that is a file: all entries in memory, read once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Self

from mta.adapters.directory.attributes import WELL_KNOWN_ATTRIBUTES
from mta.adapters.directory.entries import DirectoryFile, entries_of, problems_of, read_photos
from mta.config.load import Located, read_yaml
from mta.config.problems import ConfigurationError
from mta.model.person import Person


class FileDirectory:
    """Never waits, never fails once loaded."""

    def __init__(self, entries: Mapping[str, Person], groups: frozenset[str], attributes: frozenset[str]) -> None:
        self._entries = entries
        self._groups = groups
        self._attributes = attributes

    @classmethod
    def of(cls, located: Located[DirectoryFile]) -> Self:
        """From what a file holds. Raises ConfigurationError with every problem of it."""
        photos, photo_problems = read_photos(located)
        problems = sorted([*problems_of(located), *photo_problems])
        if problems:
            raise ConfigurationError(problems)
        people = list(entries_of(located.value, photos))
        used = {name for person in people for name in person.attributes}
        return cls(
            {key: person for person in people for key in (person.address, *person.aliases)},
            frozenset(group.name.lower() for group in located.value.groups),
            WELL_KNOWN_ATTRIBUTES | used,
        )

    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        """Entries by address key, primary or alias, with the managers of those found; unknown keys are left out."""
        entries = self._entries
        found = {key: entries[key] for key in keys if key in entries}
        managers = {person.manager for person in found.values() if person.manager}
        for manager in managers.difference(found):
            if manager in entries:
                found[manager] = entries[manager]
        return found

    async def everybody(self) -> AsyncIterator[Person]:
        """All entries, each once."""
        for key, person in self._entries.items():
            if key == person.address:
                yield person

    def group_names(self) -> frozenset[str]:
        """All groups of the file, lower case."""
        return self._groups

    def attribute_names(self) -> frozenset[str]:
        """Active Directory's well-known names, and those used in the file."""
        return self._attributes

    async def start(self) -> None:
        """Nothing runs in the background."""

    async def close(self) -> None:
        """Nothing is open."""


class YamlDirectory(FileDirectory):
    """People and groups in one YAML file: for demonstrations, tests, and organisations without Active Directory."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file. Raises ConfigurationError with every problem of it."""
        return cls.of(read_yaml(path, DirectoryFile))
