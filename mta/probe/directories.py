"""Whether directories answer, let our account in, and have people for us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field

from mta.adapters.directory import open_directory
from mta.config.directory_schema import DirectorySettings, LdapDirectory
from mta.model.person import Person
from mta.ports.directory import Directory, DirectoryDownError
from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning


@dataclass(frozen=True, slots=True)
class DirectoryProbe:
    """One directory, which several organisations may share."""

    settings: DirectorySettings
    organisations: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return ", ".join(self.organisations)

    async def run(self, say: Say) -> None:
        if isinstance(self.settings, LdapDirectory):
            await self._of_servers(self.settings, say)
        else:
            directory = await asyncio.to_thread(open_directory, self.settings)
            await _look_up(directory, f"{self.settings.file}", say)

    async def _of_servers(self, settings: LdapDirectory, say: Say) -> None:
        from mta.adapters.directory.ldap.directory import LdapDirectory as Adapter
        from mta.adapters.directory.ldap.examine import examine

        directory = Adapter(settings)
        examination = await examine(directory)
        for trouble in examination.troubles:
            say(
                failed(trouble, "see host, port, tls, bind_dn and password of the directory; mail is relayed meanwhile")
            )
        if examination.groups is None:
            return
        silent = [endpoint for endpoint in directory.endpoints if not _is_named(endpoint, examination.troubles)]
        for endpoint in silent:
            say(ok(f"{endpoint} lets {settings.bind_dn or 'us, without an account,'} in, and has what we look in"))
        say(ok(f"{len(examination.groups)} groups can be read"))
        await _look_up(directory, "it", say)


def _is_named(endpoint: object, troubles: Iterable[str]) -> bool:
    return any(trouble.startswith(f"{endpoint}:") for trouble in troubles)


async def _look_up(directory: Directory, what: str, say: Say) -> None:
    """Read the first person there is, then ask for the same by address, as a message would."""
    try:
        found = await _first_person(directory)
        if found is None:
            say(warning(f"{what} has nobody with a mail address", "see bases and filter, or what the account may read"))
            return
        again = await directory.people([found.address])
        if found.address in again:
            say(ok(f"{what} has people, and finds them by address ({len(found.attributes)} attributes of the first)"))
        else:
            say(failed(f"{what} has people, and does not find them by address", "see `stampline directory show`"))
    except DirectoryDownError:
        say(failed(f"{what} does not answer a look-up", "see the lines above"))
    finally:
        await directory.close()


async def _first_person(directory: Directory) -> Person | None:
    """Somebody, a person rather than a contact or group."""
    found = None
    people = directory.everybody()
    async for person in people:
        found = person
        if not person.is_contact and not person.group_name:
            break
    if isinstance(people, AsyncGenerator):
        await people.aclose()
    return found


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each directory."""
    found: list[DirectoryProbe] = []
    for book in surroundings.snapshot.books:
        probe = next((each for each in found if each.settings == book.settings.directory), None)
        if probe is None:
            probe = DirectoryProbe(book.settings.directory)
            found.append(probe)
        probe.organisations.append(book.name)
    return found
