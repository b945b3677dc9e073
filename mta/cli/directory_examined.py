"""What `stampline check` finds out from LDAP servers: whether they answer, and whether the groups of rules exist."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mta.adapters.directory import open_directory
from mta.config.directory_schema import DirectorySettings, LdapDirectory
from mta.config.load import examine_configuration
from mta.config.problems import ConfigurationError, Problem
from mta.model.person import Person
from mta.relay.snapshot import Snapshot, load_snapshot

if TYPE_CHECKING:
    from mta.adapters.directory.ldap.examine import Examination
    from mta.ports.directory import Directory


@dataclass(frozen=True, slots=True)
class _Listed:
    """A directory whose groups were listed, so that rules can be checked against them."""

    directory: Directory
    groups: frozenset[str] | None

    def group_names(self) -> frozenset[str] | None:
        return self.groups

    def attribute_names(self) -> frozenset[str] | None:
        return self.directory.attribute_names()

    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        return await self.directory.people(keys)

    def everybody(self) -> AsyncIterator[Person]:
        return self.directory.everybody()

    async def start(self) -> None:
        await self.directory.start()

    async def close(self) -> None:
        await self.directory.close()


async def examined(path: Path, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Warnings, at the place of the directory's settings or of the rule. Empty where no directory is LDAP."""
    found = _Examinations()
    for book in snapshot.books:
        settings = book.settings.directory
        if isinstance(settings, LdapDirectory) and found.of(settings) is None:
            found.done.append((settings, await _examination(settings)))
    return (*_of_servers(path, found), *_of_groups(path, found)) if found.done else ()


@dataclass(frozen=True, slots=True)
class _Examinations:
    """By settings, which several organisations may share."""

    done: list[tuple[LdapDirectory, Examination]] = field(default_factory=list)

    def of(self, settings: DirectorySettings) -> Examination | None:
        return next((examination for each, examination in self.done if each == settings), None)


async def _examination(settings: LdapDirectory) -> Examination:
    from mta.adapters.directory.ldap.directory import LdapDirectory as Adapter
    from mta.adapters.directory.ldap.examine import examine

    return await examine(Adapter(settings))


def _of_servers(path: Path, found: _Examinations) -> Iterator[Problem]:
    located, _ = examine_configuration(path)
    for place, organisation in located.value.placed_organisations:
        examination = found.of(organisation.directory)
        for trouble in examination.troubles if examination is not None else ():
            yield located.problem((*place, "directory"), trouble, "mail is relayed meanwhile")


def _of_groups(path: Path, found: _Examinations) -> tuple[Problem, ...]:
    """What rules say of groups, where these are known now."""

    def open_listed(settings: DirectorySettings) -> Directory:
        directory, examination = open_directory(settings), found.of(settings)
        return _Listed(directory, examination.groups) if examination is not None else directory

    try:
        load_snapshot(path, open_listed)
    except ConfigurationError as exc:
        return exc.problems
    return ()
