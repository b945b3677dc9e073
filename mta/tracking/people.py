"""Who is known: roles by addresses, groups and the directory, and which addresses are one person's."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from mta.config.some_people import SomePeople
from mta.config.tracking_schema import People, TrackingSettings
from mta.model.address import without_tag
from mta.model.person import Person
from mta.ports.directory import Directory

_LOOKED_UP_MAX = 200
"""Participants of one conversation that are looked up in the directory, to see whether one is a group."""


class Role(Enum):
    REQUESTOR = "requestor"
    """Of the settings' requestors, or anybody in the directory."""
    TECHNICIAN = "technician"
    BOTH = "both"
    UNKNOWN = "unknown"

    @property
    def is_requestor(self) -> bool:
        return self in (Role.REQUESTOR, Role.BOTH)

    @property
    def is_technician(self) -> bool:
        return self in (Role.TECHNICIAN, Role.BOTH)


class KnownPeople:
    """The people of one organisation. What needs the directory raises DirectoryDownError while nobody can tell."""

    def __init__(self, directory: Directory, settings: TrackingSettings) -> None:
        self._directory = directory
        self._technicians = _some(settings.technicians)
        self._requestors = _some(settings.requestors)
        self._token_joiners = _some(settings.correlation.token_joiners)
        self._audience = _some(settings.write_back.audience if settings.write_back is not None else People())

    async def person(self, address_key: str) -> Person | None:
        """The directory's entry, by any of the person's addresses; a tag behind `+` doesn't count."""
        if not address_key:
            return None
        keys = dict.fromkeys((address_key, without_tag(address_key)))
        found = await self._directory.people(keys)
        return next((found[key] for key in keys if key in found), None)

    async def role(self, address_key: str) -> Role:
        """A technician who is in the directory is a requestor, too: he may ask for something as anybody else."""
        if not address_key:
            return Role.UNKNOWN
        person = await self.person(address_key)
        is_technician = _holds(self._technicians, address_key, person)
        is_requestor = person is not None or _holds(self._requestors, address_key, person)
        if is_technician:
            return Role.BOTH if is_requestor else Role.TECHNICIAN
        return Role.REQUESTOR if is_requestor else Role.UNKNOWN

    async def joins_by_token(self, address_key: str) -> bool:
        """Whether the settings let this person join a conversation by what anybody can write."""
        return bool(address_key) and _holds(self._token_joiners, address_key, await self.person(address_key))

    def gets_marks(self, address_key: str, person: Person | None) -> bool:
        """Whether copies in this person's mailbox are marked; `person` as the directory has it. A contact's mailbox is
        somebody else's."""
        return not (person is not None and person.is_contact) and _holds(self._audience, address_key, person)

    async def is_one_of(self, address_key: str, others: Collection[str]) -> bool:
        """Whether one of these address keys is this person: by the same address but for a tag, by another address of
        the same entry in the directory, or by a group with an address, which the person is in."""
        if not address_key or not others:
            return False
        if address_key in others or without_tag(address_key) in {without_tag(other) for other in others}:
            return True
        person = await self.person(address_key)
        if person is None:
            return False
        if not ({person.address} | person.aliases).isdisjoint(others):
            return True
        if not person.groups:
            return False
        found = await self._directory.people(sorted(others)[:_LOOKED_UP_MAX])
        return any(entry.group_name and entry.group_name in person.groups for entry in found.values())


def _some(people: People) -> SomePeople:
    return SomePeople(people.addresses, people.groups)


def _holds(some: SomePeople, address_key: str, person: Person | None) -> bool:
    return any(some.holds(key, person) for key in {address_key, without_tag(address_key)})
