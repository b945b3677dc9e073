"""Which groups an entry is in, groups inside groups included.

Active Directory can answer that by itself (the matching rule "in chain"), but in a large domain that takes it long for
each single person. So we climb: each group is read once, remembered, and asked what it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mta.adapters.directory.ldap.by_name import EntriesByName
from mta.adapters.directory.ldap.names import name_parts
from mta.adapters.directory.ldap.protocol import Entry
from mta.adapters.directory.ldap.servers import LdapServers

GROUPS_MAX = 5000
"""Groups that one entry can be in."""
_SETS_MAX = 5000
NAME_ATTRIBUTES = ("cn", "sAMAccountName")


@dataclass(frozen=True, slots=True)
class _Group:
    names: frozenset[str]
    parents: frozenset[str]
    """Distinguished names of what it stands in."""


class GroupTree:
    """The groups read so far, each for `ttl_s`."""

    def __init__(self, servers: LdapServers, ttl_s: float) -> None:
        self._sets: dict[frozenset[str], frozenset[str]] = {}
        """What many people are in alike, kept once."""
        self._groups = EntriesByName(servers, (*NAME_ATTRIBUTES, "memberOf"), _group, ttl_s)

    async def all_of(self, dns: Iterable[str]) -> frozenset[str]:
        """The names of these groups and of all they stand in; circles end by themselves. Raises LdapError."""
        names: set[str] = set()
        reached: set[str] = set()
        waiting = set(dns)
        while waiting and len(reached) < GROUPS_MAX:
            found = await self._groups.get(waiting)
            reached |= waiting
            for group in found.values():
                names |= group.names
            waiting = {parent for group in found.values() for parent in group.parents} - reached
        if len(self._sets) > _SETS_MAX:
            self._sets.clear()
        found_names = frozenset(names)
        return self._sets.setdefault(found_names, found_names)


def names_of_group(entry: Entry) -> frozenset[str]:
    """What rules may call a group, lower case: its cn and its sAMAccountName."""
    values = [value for name in NAME_ATTRIBUTES for value in entry.attributes.get(name.lower(), ())]
    return frozenset(value.decode("utf-8", "replace").lower() for value in values)


def _group(name: str, entry: Entry | None) -> _Group:
    if entry is None:  # out of our sight; its name at least is known
        parts = name_parts(name)
        return _Group(frozenset((parts[0][1].lower(),)) if parts else frozenset(), frozenset())
    parents = entry.attributes.get("memberof", ())
    return _Group(names_of_group(entry), frozenset(value.decode("utf-8", "replace") for value in parents))
