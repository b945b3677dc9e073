"""Entries of directories that are files: their schema, what can be wrong with them, and the people they make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from mta.adapters.directory.photos import PHOTOS_OCTETS_MAX, PhotoError, read_photo
from mta.config.explain_errors import closest
from mta.config.load import Located
from mta.config.problems import Problem
from mta.config.types import Strict
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address
from mta.model.person import Person


def _text(value: Any) -> Any:
    # Whole numbers are read in their plain decimal form only, so this gives back what was written.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _address_key(value: Any) -> Any:
    try:
        return parse_address(value).key if isinstance(value, str) else value
    except AddressError as exc:
        raise ValueError(f"{value!r} is no address: {exc} | write it as jane@example.com") from exc


def _unit(value: Any) -> Any:
    return "/".join(part.strip().lower() for part in value.strip("/").split("/")) if isinstance(value, str) else value


AttributeValue = Annotated[str, BeforeValidator(_text)]
AddressKey = Annotated[str, BeforeValidator(_address_key)]
Unit = Annotated[str, BeforeValidator(_unit)]


class PersonEntry(Strict):
    """One person of the organisation, or a contact outside it."""

    address: AddressKey
    aliases: tuple[AddressKey, ...] = ()
    manager: AddressKey | None = None
    disabled: bool = False
    unit: Unit = ""
    """Organisational unit, outermost first: `corp.example/Berlin/Sales`."""
    photo: str = ""
    """A PNG or JPEG file, beside the directory's file or below it."""
    attributes: dict[str, AttributeValue] = {}


class GroupEntry(Strict):
    """A group; `members` are addresses of people and contacts, `groups` are names of groups inside it."""

    name: AttributeValue
    address: AddressKey | None = None
    aliases: tuple[AddressKey, ...] = ()
    members: tuple[AddressKey, ...] = ()
    groups: tuple[AttributeValue, ...] = ()
    attributes: dict[str, AttributeValue] = {}


class DirectoryFile(Strict):
    """The whole file."""

    people: tuple[PersonEntry, ...] = ()
    contacts: tuple[PersonEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()


def entries_of(content: DirectoryFile, photos: Mapping[str, bytes]) -> Iterator[Person]:
    """The people, contacts and groups with addresses; `photos` by primary address key."""
    memberships = _memberships(content)
    for entries, is_contact in ((content.people, False), (content.contacts, True)):
        for entry in entries:
            yield Person(
                entry.address,
                frozenset(entry.aliases),
                {"mail": entry.address, **entry.attributes},
                memberships.get(entry.address, frozenset()),
                entry.manager,
                entry.disabled,
                is_contact,
                entry.unit,
                photos.get(entry.address, b""),
            )
    parents = _parents(content)
    for group in content.groups:
        if group.address is not None:
            yield Person(
                group.address,
                frozenset(group.aliases),
                {"displayName": group.name, "mail": group.address, **group.attributes},
                _closure(parents, parents.get(group.name.lower(), ())) - {group.name.lower()},
                group_name=group.name.lower(),
            )


def read_photos(located: Located[DirectoryFile]) -> tuple[dict[str, bytes], list[Problem]]:
    """The pictures that the entries name, by primary address key, and what is wrong with some."""
    folder = located.file.absolute().parent
    photos: dict[str, bytes] = {}
    problems: list[Problem] = []
    octets = 0
    for kind, entries in (("people", located.value.people), ("contacts", located.value.contacts)):
        for index, entry in enumerate(entries):
            if not entry.photo:
                continue
            try:
                photos[entry.address] = read_photo(folder, entry.photo)
            except PhotoError as exc:
                problems.append(located.problem((kind, index, "photo"), str(exc), exc.mend))
                continue
            octets += len(photos[entry.address])
            if octets > PHOTOS_OCTETS_MAX:
                what = f"the photos up to here are more than {PHOTOS_OCTETS_MAX // 1_000_000} MB"
                return {}, [*problems, located.problem((kind, index, "photo"), what, "make them smaller")]
    return photos, problems


def _parents(content: DirectoryFile) -> dict[str, set[str]]:
    """Group name → the groups that it stands in directly; lower case."""
    parents: dict[str, set[str]] = {}
    for group in content.groups:
        for inner in group.groups:
            parents.setdefault(inner.lower(), set()).add(group.name.lower())
    return parents


def _closure(parents: Mapping[str, Collection[str]], start: Collection[str]) -> frozenset[str]:
    """All groups reached from `start` upwards, those included; circles end by themselves."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(parents.get(name, ()))
    return frozenset(reached)


def _memberships(content: DirectoryFile) -> dict[str, frozenset[str]]:
    """Primary address key → every group that the person is in, nested ones included."""
    primary = {
        key: entry.address for entry in (*content.people, *content.contacts) for key in (entry.address, *entry.aliases)
    }
    direct: dict[str, set[str]] = {}
    for group in content.groups:
        for member in group.members:
            direct.setdefault(primary[member], set()).add(group.name.lower())
    parents = _parents(content)
    # Many people are in the same groups: each set is found and kept once.
    found: dict[frozenset[str], frozenset[str]] = {}
    kept: dict[frozenset[str], frozenset[str]] = {}
    memberships: dict[str, frozenset[str]] = {}
    for address, names in direct.items():
        inner = frozenset(names)
        if inner not in found:
            reached = _closure(parents, inner)
            found[inner] = kept.setdefault(reached, reached)
        memberships[address] = found[inner]
    return memberships


def problems_of(located: Located[DirectoryFile]) -> Iterator[Problem]:
    """What the schema can't say: names and addresses that nobody has, or that two have."""
    content = located.value
    yield from _repeated_addresses(located)
    known = {key for entry in (*content.people, *content.contacts) for key in (entry.address, *entry.aliases)}
    for kind, entries in (("people", content.people), ("contacts", content.contacts)):
        for index, entry in enumerate(entries):
            if entry.manager is not None and entry.manager not in known:
                yield located.problem(
                    (kind, index, "manager"),
                    f"nobody here has the address {entry.manager}",
                    closest(entry.manager, known),
                )
    yield from _group_problems(located, known)


def _repeated_addresses(located: Located[DirectoryFile]) -> Iterator[Problem]:
    content = located.value
    first: dict[str, Loc] = {}
    kinds: list[tuple[str, Sequence[PersonEntry | GroupEntry]]] = [
        ("people", content.people),
        ("contacts", content.contacts),
        ("groups", content.groups),
    ]
    for kind, entries in kinds:
        for index, entry in enumerate(entries):
            places: list[tuple[Loc, str | None]] = [((kind, index, "address"), entry.address)]
            places += [((kind, index, "aliases", n), alias) for n, alias in enumerate(entry.aliases)]
            for loc, key in places:
                if key is None:
                    continue
                if key in first:
                    line, _ = located.place(first[key])
                    yield located.problem(
                        loc, f"{key} is taken already (line {line})", "give each address to one entry"
                    )
                first.setdefault(key, loc)


def _group_problems(located: Located[DirectoryFile], known: Collection[str]) -> Iterator[Problem]:
    names: set[str] = set()
    everyone: dict[str, str] = {}
    for group in located.value.groups:
        everyone.setdefault(group.name.lower(), group.name)
    for index, group in enumerate(located.value.groups):
        if group.name.lower() in names:
            yield located.problem(("groups", index, "name"), f"two groups are called {group.name!r}", "rename one")
        names.add(group.name.lower())
        for n, member in enumerate(group.members):
            if member not in known:
                yield located.problem(
                    ("groups", index, "members", n), f"nobody here has the address {member}", closest(member, known)
                )
        for n, inner in enumerate(group.groups):
            if inner.lower() not in everyone:
                yield located.problem(
                    ("groups", index, "groups", n),
                    f"no group is called {inner!r}",
                    closest(inner, set(everyone.values())),
                )
